"""Masks of unknown things in the layouts of the downloads."""

import shutil

import cv2
import numpy as np
import pytest

pytest.importorskip("mmseg")

from ibn_seg.datasets.unknown_things import LAYOUTS, UnknownThingsDataset, read_unknown
from ibn_seg.errors import UserError

# Of each layout: a picture, its mask, and values of known, unknown and void pixels.
FILES = {
    "smiyc": ("images/cow0013.jpg", "labels_masks/cow0013_labels_semantic.png", (0, 1, 255)),
    "fishyscapes": (
        "images/04_Maurener_Weg_8/04_Maurener_Weg_8_000000_000030_leftImg8bit.png",
        "labels/04_Maurener_Weg_8/0000_04_Maurener_Weg_8_000000_000030_labels.png", (0, 1, 255),
    ),
    "street_hazards": ("images/test/t5/100.png", "annotations/test/t5/100.png", (13, 14, 0)),
    "bravo": (
        "images/RoadAnomaly21/cow0013.jpg", "masks/RoadAnomaly21/cow0013_mask.png", (0, 255, None)
    ),
    "oddities": ("images/000000.png", "masks/000000.png", (0, 1, 255)),
}  # fmt: skip


def write(root, layout):
    image, mask, (known, unknown, void) = FILES[layout]
    values = np.full((6, 8), known, np.uint8)
    values[2:4, 3:5] = unknown
    expected = np.zeros((6, 8), np.uint8)
    expected[2:4, 3:5] = 1
    if void is not None:
        values[0], expected[0] = void, 255
    for path, pixels in ((image, np.zeros((6, 8, 3), np.uint8)), (mask, values)):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(root / path), pixels)
    return root / image, root / mask, expected


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read(layout, tmp_path):
    image, mask, expected = write(tmp_path, layout)
    # Pictures without a mask, as of a test split, are left out.
    cv2.imwrite(str(image.with_name(image.name.replace("0", "7"))), np.zeros((6, 8, 3), np.uint8))
    dataset = UnknownThingsDataset(layout, tmp_path, target="mine")
    assert len(dataset) == 1
    info = dataset.get_data_info(0)
    assert (info["img_path"], info["unknown_path"]) == (str(image), str(mask))
    assert (info["target"], info["unknown_layout"]) == ("mine", layout)
    assert np.array_equal(read_unknown(mask, layout, (6, 8)), expected)


def test_pixels_without_a_label_do_not_count_in_bravo(tmp_path):
    _, mask, expected = write(tmp_path, "bravo")
    labels = np.full((6, 8), 7, np.uint8)
    labels[:, 4] = 255
    file = mask.with_name("cow0013_gt.png")
    cv2.imwrite(str(file), labels)
    expected[:, 4] = 255
    assert np.array_equal(read_unknown(mask, "bravo", (6, 8)), expected)
    assert len(UnknownThingsDataset("bravo", tmp_path)) == 1
    cv2.imwrite(str(file), labels[:4])
    with pytest.raises(UserError, match=r"_gt.png: labels of 8x4 pixels for a picture of 8x6"):
        read_unknown(mask, "bravo", (6, 8))


def test_bad_input_is_one_line(tmp_path):
    _, mask, _ = write(tmp_path, "smiyc")
    with pytest.raises(UserError, match="did you mean 'smiyc'"):
        UnknownThingsDataset("smyic", tmp_path)
    with pytest.raises(UserError, match="mask of 8x6 pixels for a picture of 9x6"):
        read_unknown(mask, "smiyc", (6, 9))
    with pytest.raises(UserError, match="cannot be read"):
        read_unknown(tmp_path / "gone.png", "smiyc", (6, 8))
    cv2.imwrite(str(mask), np.zeros((6, 8), np.uint16))
    with pytest.raises(UserError, match="no mask: expected a grey PNG of 8 bits"):
        read_unknown(mask, "smiyc", (6, 8))
    shutil.copy(mask, mask.with_name("dog_labels_semantic.png"))
    with pytest.raises(UserError, match="mask without picture"):
        UnknownThingsDataset("smiyc", tmp_path)
