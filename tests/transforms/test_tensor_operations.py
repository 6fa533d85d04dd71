"""PyTorch's side of the changes of appearance against OpenCV's, for equal draws."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmseg.datasets.transforms import PhotoMetricDistortion

from ibn_seg.errors import UserError
from ibn_seg.scenes import render
from ibn_seg.transforms.appearance import RECORD
from ibn_seg.transforms.distortion import Uint8PhotoMetricDistortion
from ibn_seg.transforms.photometric import ColorJitter, RandomGaussianBlur
from ibn_seg.transforms.tensor_operations import applied, gaussian_taps

CHAINS = {
    "jitter": (ColorJitter, dict(hue=0.1)),
    "wild jitter": (ColorJitter, dict(brightness=2.0, contrast=2.0, saturation=3.0, hue=0.5)),
    "distortion": (Uint8PhotoMetricDistortion, {}),
    "wild distortion": (Uint8PhotoMetricDistortion, dict(
        brightness_delta=255, contrast_range=(0.0, 4.0), saturation_range=(0.0, 4.0),
        hue_delta=90)),
    "blur": (RandomGaussianBlur, dict(sigma=(0.1, 4.0))),
}  # fmt: skip
NAMES = {
    "jitter": {"brightness", "contrast", "saturation", "hue"},
    "distortion": {"levels", "hsv"},
    "blur": {"blur"},
}
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


def noise(seed, height, width):
    """Return noise, a flat colour and greys. OpenCV treats the ends of odd rows by themselves."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    pixels[: height // 4] = rng.integers(0, 256, 3)
    pixels[height // 4 : height // 2] = rng.integers(0, 256, (1, width, 1))
    return pixels


def on_cpu(steps, pixels, seed):
    np.random.seed(seed)
    results = {"img": pixels}
    for kind, settings_ in steps:
        results = kind(**settings_)(results)
    return results["img"], np.random.random()


def on_device(steps, pixels, seed, device="cpu", dtype=torch.uint8):
    np.random.seed(seed)
    results = {"img": pixels}
    for kind, settings_ in steps:
        results = kind(**settings_, on_device=True)(results)
    after = np.random.random()
    assert results["img"] is pixels
    tensor = torch.from_numpy(pixels.transpose(2, 0, 1).copy()).to(device, dtype)
    before = tensor.clone()
    changed = applied(tensor, results[RECORD])
    assert torch.equal(tensor, before)
    assert (changed.dtype, changed.device) == (tensor.dtype, tensor.device)
    return changed.cpu().numpy().transpose(1, 2, 0), after


def assert_same(steps, pixels, seed, **more):
    expected, state = on_cpu(steps, pixels, seed)
    found, other = on_device(steps, pixels, seed, **more)
    assert state == other, "other draws"
    assert np.abs(found.astype(int) - expected).max() <= 2
    # What the docstring promises is more.
    assert np.array_equal(found, expected)
    return found


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    size=st.tuples(st.integers(1, 50), st.integers(1, 90)),
    names=st.lists(st.sampled_from(list(CHAINS)), min_size=1, max_size=3),
)
def test_levels_are_those_of_opencv(device, seed, size, names):
    assert_same([CHAINS[name] for name in names], noise(seed, *size), seed, device=device)


@pytest.mark.parametrize("names", [("jitter", "blur"), ("distortion", "blur")])
@pytest.mark.parametrize("domain", ["source", "target"])
def test_rendered_scenes(domain, names):
    scene = render(domain, 7, size=(250, 120))[0]
    for seed in range(12):
        assert_same([CHAINS[name] for name in names], scene, seed)


@pytest.mark.parametrize("name", ["distortion", "wild distortion"])
def test_distortion_is_that_of_mmseg(name):
    kind, arguments = CHAINS[name]
    changed = 0
    for seed in range(40):
        pixels = noise(seed, 40, 50 + seed)
        np.random.seed(seed)
        expected = PhotoMetricDistortion(**arguments)({"img": pixels.copy()})["img"]
        found, _ = on_device([(kind, arguments)], pixels, seed)
        assert np.array_equal(found, expected)
        changed += not np.array_equal(found, pixels)
    assert changed > 30


def test_float_levels_give_the_same():
    steps = [CHAINS["jitter"], CHAINS["blur"]]
    for dtype in (torch.float32, torch.float16, torch.int64):
        assert_same(steps, noise(3, 20, 30), 3, dtype=dtype)


def test_taps_are_those_of_a_gaussian():
    for sigma in (0.2, 0.5, 1.0, 1.3, 3.0, 6.0):
        taps = np.array(gaussian_taps(sigma))
        side = round(6 * sigma + 1) | 1
        exact = cv2.getGaussianKernel(side, sigma).ravel() * 256
        missing = (side - len(taps)) // 2
        assert taps.sum() == 256
        assert np.abs(np.pad(taps, missing) - exact).max() < 1.5


def test_every_jitter_moves_an_image():
    """An operation that did nothing would agree with another that did nothing."""
    pixels = noise(0, 30, 40)
    tensor = torch.from_numpy(pixels.transpose(2, 0, 1).copy())
    for operation in (
        ("brightness", 0.7), ("contrast", 0.7), ("saturation", 0.7), ("hue", 0.1), ("blur", 1.0)
    ):  # fmt: skip
        assert (applied(tensor, [operation]) != tensor).float().mean() > 0.3, operation


@pytest.mark.parametrize("name", NAMES)
def test_all_is_done_on_the_device_and_nothing_waits_for_it(name):
    """PyTorch's 'meta' device has no values to wait for, and takes no tensors of another."""
    kind, arguments = CHAINS[name]
    tensor = torch.empty(3, 40, 75, dtype=torch.uint8, device="meta")
    seen = set()
    for seed in range(12):
        np.random.seed(seed)
        record = kind(**arguments, on_device=True)({"img": noise(0, 40, 75)})[RECORD]
        assert applied(tensor, record).shape == tensor.shape
        seen |= {operation[0] for operation in record}
    assert seen == NAMES[name]


def test_what_is_not_known_is_refused():
    with pytest.raises(UserError, match="'sharpen'"):
        applied(torch.zeros(3, 4, 4), [("sharpen", 1.0)])
    with pytest.raises(UserError, match=r"\(1, 4, 4\)"):
        applied(torch.zeros(1, 4, 4), [("blur", 1.0)])
