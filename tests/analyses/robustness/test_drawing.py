"""Robustness over severity, from results as `ibn-seg robustness` writes them."""

import copy

import numpy as np
import pytest

from ibn_seg.analyses.robustness.drawing import MEAN, robustness_bands, robustness_charts
from ibn_seg.errors import UserError
from tests.report.test_plots import _areas, _paths, _words


def result(method, seed, clean, scores, **changes):
    """Return a result of the corruptions 'haze' and 'blur'; scores by (corruption, severity)."""
    domains = lambda miou: {"dashcam": {"mIoU": miou, "images": 4}}  # noqa: E731
    corrupted = [
        {
            "corruption": name,
            "severity": severity,
            "domains": domains(miou),
            "retention": {"dashcam": miou / clean if clean else None},
        }
        for (name, severity), miou in scores.items()
    ]
    return {
        "kind": "robustness", "name": f"{method}_{seed}", "method": method, "seed": seed,
        "backbone": "ResNet-18", "protocol": "native", "domains": domains(clean),
        "corruptions": ["haze", "blur"], "severities": [1, 3], "corrupted": corrupted,
    } | changes  # fmt: skip


def scores(*values):
    cells = [(name, severity) for name in ("haze", "blur") for severity in (1, 3)]
    return dict(zip(cells, values, strict=True))


BN = [result("BN", 0, 40.0, scores(20, 10, 40, 30)), result("BN", 1, 50.0, scores(30, 20, 40, 10))]
IBN = [result("IBN-a", 0, 40.0, scores(36, 30, 40, 38))]


def test_values_are_those_of_the_results_by_seed_and_the_mean_is_over_corruptions():
    bands = robustness_bands([*IBN, *BN], "dashcam")
    assert list(bands) == [MEAN, "haze", "blur"]
    baseline, other = bands["haze"]
    assert (baseline.name, baseline.at) == ("BN", (0, 1, 3))
    assert baseline.values == ((100, 100), (50, 60), (25, 40))
    assert baseline.means == (100, 55, 32.5)
    assert other.values == ((100,), (90,), (75,))
    # Seed 0 keeps a half and all, seed 1 three and four fifths.
    np.testing.assert_allclose(bands[MEAN][0].values[1], (75, 70))
    miou = robustness_bands(BN, "dashcam", quantity="mIoU")
    assert miou["blur"][0].values == ((40, 50), (40, 40), (30, 10))


def test_an_undefined_retention_is_left_out():
    nothing = result("BN", 2, 0.0, scores(0, 0, 0, 0))
    assert robustness_bands([*BN, nothing], "dashcam") == robustness_bands(BN, "dashcam")
    (alone,) = robustness_bands([nothing], "dashcam")["haze"]
    assert alone.at == ()
    assert set(robustness_charts([nothing], "dashcam", "r")) == {MEAN, "haze", "blur"}


def test_lines_are_as_high_as_the_values_on_axes_that_all_drawings_share():
    charts = robustness_charts([*BN, *IBN], "dashcam", "r", methods=("other", "IBN-a", "BN"))
    assert {"clean", "1", "3"} <= set(_words(charts["haze"]))
    heights = {}
    for title in ("haze", "blur"):
        (line,) = (p for p in _paths(charts[title], "--series-1") if len(p) == 3)
        heights[title] = line[:, 1]
        # BN has its colour wherever it stands on the page. Its area is between the seeds.
        assert len(_areas(charts[title], "--series-0")) == 1
    scale = (heights["haze"][2] - heights["haze"][0]) / 25
    np.testing.assert_allclose(heights["haze"] - heights["haze"][0], [0, 10 * scale, 25 * scale])
    np.testing.assert_allclose(heights["blur"] - heights["haze"][0], [0, 0, 5 * scale], atol=0.01)


def test_one_seed_has_no_area():
    chart = robustness_charts(IBN, "dashcam", "r")["haze"]
    assert sum(len(p) == 3 for p in _paths(chart, "--series-1")) == 1
    assert _areas(chart, "--series-1") == []


def test_what_cannot_be_compared_is_refused():
    def refused(match, *results, **options):
        with pytest.raises(UserError, match=match):
            robustness_bands(results, "dashcam", **options)

    refused("train: not a result of `ibn-seg robustness`", {"kind": "train", "name": "train"})
    refused("result: not a result of", [1])
    refused("different severities", *BN, result("X", 0, 40.0, scores(1, 1, 1, 1), severities=[1]))
    fewer = copy.deepcopy(IBN[0])
    fewer["domains"]["dashcam"]["images"] = 2
    refused("IBN-a_0 and BN_0 were measured with different images", *BN, fewer)
    refused("backbone 'ResNet-50'", *BN, IBN[0] | {"backbone": "ResNet-50"})
    refused("both of BN, seed 0", *BN, BN[0])
    refused("IBN-a_0: incomplete or damaged", *BN, IBN[0] | {"corrupted": IBN[0]["corrupted"][1:]})
    refused("unknown quantity 'miou'.*mIoU", *BN, quantity="miou")
    with pytest.raises(UserError, match=r"unknown domain of BN_0 'dashcm'.*dashcam"):
        robustness_bands(BN, "dashcm")
