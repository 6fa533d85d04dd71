"""`Uint8PhotoMetricDistortion` against mmseg's own, for equal states of the generator."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmseg.datasets.transforms import PhotoMetricDistortion

from ibn_seg.errors import UserError
from ibn_seg.transforms.distortion import Uint8PhotoMetricDistortion


def image(seed, height=48, width=64):
    """Return noise, flat colours and greys: all corners of the colour space."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    pixels[: height // 4] = rng.integers(0, 256, 3)
    pixels[height // 4 : height // 2] = rng.integers(0, 256, (height // 4, width, 1))
    return pixels


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    brightness=st.sampled_from([0, 32, 255]),
    contrast=st.sampled_from([(0.5, 1.5), (0.0, 4.0)]),
    saturation=st.sampled_from([(0.5, 1.5), (0.0, 4.0)]),
    hue=st.sampled_from([1, 18, 90]),
)
def test_same_colours_for_the_same_draws(seed, brightness, contrast, saturation, hue):
    arguments = (brightness, contrast, saturation, hue)
    pixels = image(seed)
    np.random.seed(seed)
    expected = PhotoMetricDistortion(*arguments)({"img": pixels.copy()})["img"]
    after = np.random.random()
    np.random.seed(seed)
    found = Uint8PhotoMetricDistortion(*arguments)({"img": pixels.copy()})["img"]
    assert np.random.random() == after, "other draws"
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - expected).max() <= 2
    # What the docstring promises is more.
    assert np.array_equal(found, expected)


def test_the_input_is_left_alone():
    pixels = image(0)
    before = pixels.copy()
    for seed in range(20):
        np.random.seed(seed)
        Uint8PhotoMetricDistortion()({"img": pixels})
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize("wrong", [
    dict(brightness_delta=-1), dict(contrast_range=(2.0, 1.0)), dict(saturation_range=(1.0,)),
    dict(hue_delta=0), dict(hue_delta=0.5),
])  # fmt: skip
def test_bad_settings(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        Uint8PhotoMetricDistortion(**wrong)


def test_float_images_are_refused():
    with pytest.raises(UserError, match="float32"):
        Uint8PhotoMetricDistortion()({"img": np.zeros((4, 4, 3), np.float32)})
