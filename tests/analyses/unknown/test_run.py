"""A real network, and things that are none of its classes."""

import json

import cv2
import numpy as np
import pytest

pytest.importorskip("mmseg")

import torch

from ibn_seg import cli
from ibn_seg.analyses.unknown.cell import summary
from ibn_seg.analyses.unknown.run import find_unknown
from ibn_seg.engine.unknown_metric import unknown_counts
from ibn_seg.errors import UserError
from ibn_seg.scenes import write_pair
from ibn_seg.trust.confidence_bins import LOG_ODDS
from tests.datasets.test_unknown_things import write


def test_counts_are_those_of_the_largest_probability():
    logits = 4 * torch.randn(7, 20, 30, generator=torch.Generator().manual_seed(0))
    mask = np.random.default_rng(0).choice(np.array([0, 1, 255], np.uint8), (20, 30))
    counts = unknown_counts(logits, mask)
    p = logits.double().softmax(0).amax(0).numpy()
    place = LOG_ODDS.of_log_odds(np.log(p / (1 - p)))
    for row in (0, 1):
        expected = np.bincount(place[mask == row], minlength=LOG_ODDS.count)
        # Rounding may move a pixel to the bin beside.
        assert np.abs(np.cumsum(counts[row] - expected)).max() <= 1
        assert counts[row].sum() == (mask == row).sum()


def test_the_command_measures_pictures_in_two_layouts(tiny, trained, tmp_path, capsys):
    write_pair(tmp_path, size=(64, 32), source_frames=0, target_train=0, target_val=0, oddities=3)
    image, _, _ = write(tmp_path / "smiyc", "smiyc")
    cv2.imwrite(str(image), np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8))
    checkpoint = str(trained[0] / "iter_6.pth")
    data = (f"oddities={tmp_path / 'oddities'}", f"cows:smiyc={tmp_path / 'smiyc'}")
    work = tmp_path / "work"
    options = ("--data", data[0], "--data", data[1], "--work-dir", str(work))
    assert cli.run(["unknown", str(tiny), checkpoint, *options]) == 0
    said = capsys.readouterr().out
    result = json.loads((work / "unknown.json").read_text())
    found = result["unknown_things"]
    assert summary(result).startswith("AUROC oddities ")
    assert list(found) == ["oddities", "cows"]
    masks = [cv2.imread(str(p), -1) for p in (tmp_path / "oddities" / "masks").iterdir()]
    assert found["oddities"]["images"] == 3
    assert found["oddities"]["unknown_pixels"] == sum((mask == 1).sum() for mask in masks)
    assert found["cows"]["known_pixels"] == 36
    for one in found.values():
        assert 0 <= one["pooled"]["unknown_auroc"] <= 1
        assert f"{100 * one['pooled']['unknown_auroc']:.2f}" in said


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (["smiyc"], "'smiyc' has no root; write LAYOUT=ROOT"),
        (["smiyc=a", "smiyc=b"], "two are named 'smiyc'"),
        ([], "no data set of unknown things"),
        (["oddities"], "'oddities' has no root; write oddities=ROOT"),
        (["smyic=a"], "did you mean 'smiyc'"),
    ],
)
def test_bad_data_is_one_line(data, line, monkeypatch):
    monkeypatch.delenv("IBN_SEG_SCENES", raising=False)
    with pytest.raises(UserError, match=line.replace("; ", ": ")):
        find_unknown("config.py", "weights.pth", data)
