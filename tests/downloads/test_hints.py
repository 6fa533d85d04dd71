"""`data check` notes where labels look like those of another table, and finds nothing wrong."""

import json

import numpy as np
import pytest

from ibn_seg.cli import run
from ibn_seg.datasets.known_classes import CAMVID
from ibn_seg.downloads.check import check
from ibn_seg.downloads.hints import label_notes
from tests.datasets.own_class_writers import CAMVID_FRAMES
from tests.helpers import write_image

# A street: sky over buildings, pavement beside the road, and a little of all else.
STREET = np.full((48, 64), 1, np.uint8)
STREET[:16] = 0
STREET[32:, :40] = 3
STREET[32:, 40:] = 4
for place, index in enumerate((2, 5, 6, 7, 8, 9, 10)):
    STREET[20:30, 8 * place : 8 * place + 4] = index


def write(root, label):
    for split, name in CAMVID_FRAMES.items():
        write_image(root / split / f"{name}.png", np.zeros((48, 64, 3), np.uint8) + len(name))
        write_image(root / f"{split}annot" / f"{name}.png", label)
    return root


def of_table(order):
    """Return the street as a program with another order of classes writes it."""
    table = np.arange(256, dtype=np.uint8)
    table[: len(order)] = order
    return table[STREET]


def test_a_street_gives_no_note(tmp_path):
    assert check("camvid", write(tmp_path, STREET), workers=1).notes == []


@pytest.mark.parametrize(
    ("order", "words"),
    [
        # Road marking has come in at 3, so that the road is 4 and the last class is void.
        ([0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11],
         ["1 of 11 classes occur in none of the 3 labels: road"]),
        ([3, 1, 2, 0, 4, 5, 6, 7, 8, 9, 10],
         ["100 % of the pixels of sky lie in the lower half",
          "100 % of the pixels of road lie in the upper half"]),
        ([0, 3, 2, 6, 4, 5, 1, 7, 8, 9, 10], ["of the pixels of road lie in the upper half"]),
        ([0, 1, 2, 5, 4, 3, 6, 7, 8, 9, 10], ["road is only 1.3 % of the labelled pixels"]),
    ],
)  # fmt: skip
def test_another_order_of_classes_is_noted(order, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "root", of_table(order))
    assert run(["data", "check", "camvid", "root", "--allow", "duplicate-across-splits",
                "--workers", "1"]) == 0  # fmt: skip
    out = capsys.readouterr().out
    report = json.loads((tmp_path / "data_check_camvid.json").read_text())
    for line in words:
        assert any(line in note for note in report["notes"])
        assert line in out
    assert "if that is odd, look at the labels" in out
    assert {finding["kind"] for finding in report["findings"]} <= {"duplicate-across-splits"}


def test_halves_are_counted_over_all_labels(tmp_path):
    result = check("camvid", write(tmp_path, STREET), workers=1)
    upper = sum(result.upper.values())
    assert np.array_equal(upper, 3 * np.bincount(STREET[:24].ravel(), minlength=256))


def test_classes_of_other_things_have_no_place():
    pixels = np.array([100, 100, *[0] * 254])
    assert label_notes(("grass", "path"), pixels, pixels, 4) == []
    assert label_notes(("grass", "path"), 0 * pixels, pixels, 4) == []
    (note,) = label_notes(("grass", "path", "wall"), pixels, pixels, 4)
    assert note == "1 of 3 classes occur in none of the 4 labels: wall"


def test_a_few_pixels_may_lie_anywhere():
    pixels = np.zeros(256, np.int64)
    pixels[: len(CAMVID)] = 10**6
    pixels[CAMVID.index("pavement")] = 100
    upper = np.zeros(256, np.int64)
    upper[CAMVID.index("pavement")], upper[CAMVID.index("sky")] = 100, 10**6
    assert label_notes(CAMVID.classes, pixels, upper, 9) == []
