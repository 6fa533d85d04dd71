"""Pictures of confidence: BRAVO's 16 bits, and one line for what is none."""

import itertools

import cv2
import numpy as np
import pytest

from ibn_seg.errors import UserError
from ibn_seg.trust.confidence_files import heat_map, paired_name, read_levels

LEVELS = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1390


def test_a_picture_gives_back_its_levels(tmp_path):
    cv2.imwrite(str(tmp_path / "a_conf.png"), LEVELS)
    found = read_levels(tmp_path / "a_conf.png", (6, 8))
    assert found.dtype == np.uint16
    assert np.array_equal(found, LEVELS)
    assert paired_name("D/a.png", "conf") == "D/a_conf.png"


def test_a_heat_map_is_brighter_where_the_network_is_less_sure():
    heat = heat_map(np.array([[0, 20000, 40000, 65535]], np.uint16)).astype(int).sum(axis=-1)[0]
    assert all(a > b for a, b in itertools.pairwise(heat))
    assert heat[-1] < 30


@pytest.mark.parametrize(
    ("image", "line"),
    [
        (LEVELS.astype(np.uint8), "confidence of 8 bits in 1 channels: write 16-bit grey"),
        (np.dstack([LEVELS] * 3), "confidence of 16 bits in 3 channels"),
        (LEVELS[:, :5], "5x6 pixels for a prediction of 8x6"),
        (None, "not a picture, or damaged"),
    ],
)
def test_other_pictures_are_one_line(image, line, tmp_path):
    path = tmp_path / "a_conf.png"
    path.write_bytes(b"no picture") if image is None else cv2.imwrite(str(path), image)
    with pytest.raises(UserError, match=line) as error:
        read_levels(path, (6, 8))
    assert str(path) in error.value.line
    with pytest.raises(UserError, match=r"other\.png: cannot be read"):
        read_levels(tmp_path / "other.png", (6, 8))
