"""Numbers and contact sheet of a data set, against numpy over all its files at once."""

import json

import numpy as np
import pytest
from PIL import Image

from ibn_seg.cli import run as run_cli
from ibn_seg.datasets.class_colors import CITYSCAPES_COLORS
from ibn_seg.downloads.sheet import write_sheet
from ibn_seg.downloads.stats import measure
from tests.datasets import own_class_writers as own
from tests.datasets.writers import bdd100k, kitti, mapillary_20, wilddash_panoptic
from tests.helpers import truncate, write_cityscapes


@pytest.fixture
def root(tmp_path):
    return write_cityscapes(tmp_path / "cityscapes", {"train": 5, "val": 2}, label_train_ids=True)


def pictures(root, pattern):
    return np.stack([np.asarray(Image.open(path)) for path in sorted(root.glob(pattern))])


@pytest.mark.parametrize("workers", [1, 2])
def test_numbers_are_numpy_s(root, workers):
    report = measure("cityscapes", root, workers=workers).report()
    images = pictures(root, "leftImg8bit/*/*/*.png").reshape(-1, 3).astype(np.float64)
    assert np.allclose(report["mean"], images.mean(axis=0), rtol=1e-12)
    assert np.allclose(report["std"], images.std(axis=0), rtol=1e-9)
    labels = pictures(root, "gtFine/*/*/*_labelTrainIds.png")
    for row in report["classes"]:
        assert row["pixels"] == (labels == row["train_id"]).sum()
        assert row["percent"] == pytest.approx(100 * (labels == row["train_id"]).mean())
        if row["train_id"] < 19:
            assert row["labels"] == (labels == row["train_id"]).any(axis=(1, 2)).sum()
    assert report["samples"] == 7
    assert report["sizes"] == {"64x48": 7}


def test_parts_by_option_and_images_once(root, tmp_path):
    assert measure("cityscapes", root, options={"split": "val"}, workers=1).sums.images == 2
    mapillary_20(tmp_path / "m")
    result = measure("mapillary", tmp_path / "m", workers=1)
    assert (result.sums.images, result.parts) == (3, ["val robustnet"])


@pytest.mark.parametrize(
    ("name", "write", "options"),
    [
        ("bdd100k", bdd100k, {}), ("wilddash2", wilddash_panoptic, {}),
        ("camvid", own.camvid_segnet, {}), ("camvid", own.camvid_original, {}),
        ("camvid", own.camvid_fastai, {}), ("idd_lite", own.idd_lite, {}), ("kitti", kitti, {}),
        ("folder", own.folder_of_colors, {"encoding": "colors", "classes": own.YARD_CLASSES}),
    ],
)  # fmt: skip
def test_other_encodings(name, write, options, tmp_path):
    expected = write(tmp_path)
    pixels = measure(name, tmp_path, options=options, workers=1).sums.pixels
    counted = sum(np.bincount(ids.ravel(), minlength=256) for ids in expected.values())
    assert np.array_equal(pixels, counted)


def test_sheet_shows_each_image_beside_its_overlay(root, tmp_path):
    result = measure("cityscapes", root, workers=1)
    write_sheet(result.samples, tmp_path / "sheet.png", result.palette, count=4)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png")).astype(int)
    height, width = 18 + 240 + 4, 640 + 4
    assert sheet.shape == (2 * height, 3 * width, 3)
    first = result.samples[0]
    image = np.asarray(Image.open(first.image)).astype(int)
    train_ids = np.asarray(Image.open(first.label))
    # In the middle of the blocks of 8 pixels, enlarged 5 times.
    for y in range(4, 48, 8):
        for x in range(4, 64, 8):
            left = sheet[18 + y * 5, x * 5]
            right = sheet[18 + y * 5, 320 + x * 5]
            assert np.abs(left - image[y - 1 : y + 2, x - 1 : x + 2].mean(axis=(0, 1))).max() < 25
            colour = CITYSCAPES_COLORS.table[train_ids][y, x]
            expected = left if train_ids[y, x] == 255 else 0.4 * left + 0.6 * colour
            assert np.abs(right - expected).max() <= 2
    assert (sheet[height + 18 :, width:] == 255).all()


def test_command(root, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert run_cli(["data", "stats", "cityscapes", str(root), "--sheet", "s.png"]) == 0
    out = capfd.readouterr().out
    assert "7 samples: 64x48 (7)" in out
    assert "mean, RGB" in out
    report = json.loads((tmp_path / "data_stats_cityscapes.json").read_text())
    assert len(report["classes"]) == 20
    assert Image.open(tmp_path / "s.png").size[0] == 3 * 644


def test_a_value_outside_the_table_is_one_line(root, tmp_path, monkeypatch, capfd):
    """It would otherwise be counted as ignored."""
    monkeypatch.chdir(tmp_path)
    path = next(root.glob("gtFine/val/*/*_labelTrainIds.png"))
    label = np.array(Image.open(path))
    label[3, 3] = 77
    Image.fromarray(label).save(path)
    assert run_cli(["data", "stats", "cityscapes", str(root)]) == 2
    line = capfd.readouterr().err.splitlines()[-1]
    assert line.startswith(f"error: {path}: value 77 is not a trainId")


def test_damaged_file_is_one_line(root, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    path = truncate(next(root.glob("leftImg8bit/val/*/*.png")))
    assert run_cli(["data", "stats", "cityscapes", str(root)]) == 2
    line = capfd.readouterr().err.splitlines()[-1]
    assert line.startswith(f"error: {path}: truncated or damaged")
    assert run_cli(["data", "stats", "cityscapes", str(root / "gtFine")]) == 2
    assert "does not exist" in capfd.readouterr().err.splitlines()[-1]
