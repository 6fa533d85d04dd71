"""Scores over the share of the target's training set, from rows of a benchmark's index."""

import numpy as np
import pytest

from ibn_seg.analyses.transfer.drawing import transfer_bands, transfer_chart
from ibn_seg.errors import UserError
from tests.report.test_plots import _areas, _paths, _words


def row(method, start, share, seed, miou, **changes):
    return {
        "id": f"{method}-{start}-{share}-{seed}", "task": "train", "method": method,
        "backbone": "ResNet-18", "seed": seed, "start": start, "share": share, "state": "done",
        "mIoU": {"dashcam": miou, "game": 1.0},
    } | changes  # fmt: skip


ROWS = [
    row("IBN-a", "source", 10.0, 0, 30.0),
    row("BN", "scratch", 1.0, 0, 10.0),
    row("BN", "scratch", 10.0, 0, 20.0),
    row("BN", "scratch", 10.0, 1, 24.0),
    row("BN", "scratch", 100.0, 0, 40.0),
    row("BN", "source", 100.0, 0, 44.0),
    row("BN", None, None, 0, 99.0),
    row("BN", "source", 1.0, 0, 99.0, state="failed"),
    row("BN", "source", 30.0, 0, 99.0, mIoU={"game": 3.0}),
    {"id": "d", "task": "divergence", "state": "done", "method": "BN", "start": None},
]


def test_one_line_per_method_and_start_with_its_seeds():
    bands = transfer_bands(ROWS, "dashcam")
    assert [(band.name, band.at, band.dashed) for band in bands] == [
        ("BN, fine-tuned from the source", (100.0,), False),
        ("BN, without the source", (1.0, 10.0, 100.0), True),
        ("IBN-a, fine-tuned from the source", (10.0,), False),
    ]
    assert bands[1].values == ((10.0,), (20.0, 24.0), (40.0,))
    assert [band.look.colour for band in bands] == [0, 0, 1]


def test_shares_are_on_a_logarithmic_axis_at_the_mean_of_seeds():
    svg = transfer_chart(ROWS, "dashcam", "t", "transfer", methods=("other", "BN"))
    (line,) = (p for p in _paths(svg, "--series-0") if len(p) == 3)
    x, y = line.T
    assert x[1] - x[0] == pytest.approx(x[2] - x[1], abs=0.01)
    assert (y[0] - y[1]) / (y[0] - y[2]) == pytest.approx(12 / 30, abs=1e-3)
    assert {"1", "10", "100"} <= set(_words(svg))
    assert "stroke-dasharray" in svg
    area = next(a for a in _areas(svg, "--series-0"))
    assert np.ptp(area[np.isclose(area[:, 0], x[1]), 1]) == pytest.approx(
        (y[0] - y[2]) * 4 / 30, abs=0.01
    )


def test_a_single_share_of_a_single_seed_and_many_methods_are_drawn():
    many = [row(f"M{k}", "source", share, 0, 20.0 + k) for k in range(11) for share in (1.0, 5.0)]
    svg = transfer_chart(many, "dashcam", "t", "transfer")
    # Eleven methods have eleven colours.
    drawn = [sum(len(p) == 2 for p in _paths(svg, f"--series-{k}")) for k in range(12)]
    assert drawn == [0] + 11 * [1]
    alone = transfer_chart(ROWS[:1], "dashcam", "t", "transfer")
    assert "10" in _words(alone)
    assert _paths(alone, "--series-1")


def test_wrong_rows_are_refused():
    def refused(match, *rows, domain="dashcam"):
        with pytest.raises(UserError, match=match):
            transfer_chart(rows, domain, "t", "transfer")

    refused("no finished transfer was evaluated on fog", *ROWS, domain="fog")
    refused("no finished transfer", *ROWS[6:])
    refused("two transfers of BN with 1 % from scratch, seed 0", *ROWS, ROWS[1])
    refused("several backbones .ResNet-18, ResNet-50.", *ROWS,
            row("BN", "source", 5.0, 0, 1.0, backbone="ResNet-50"))  # fmt: skip
    refused("unknown start of cell BN-sorce-5.0-0 'sorce'.*source", row("BN", "sorce", 5.0, 0, 1.0))
    refused("cell .*: share is 120", row("BN", "source", 120, 0, 1.0))
    refused("cell .*: 'share' is missing", row("BN", "source", None, 0, 1.0))
    with pytest.raises(UserError, match="not the rows of a benchmark"):
        transfer_bands({"schema": 1, "cells": []}, "dashcam")
