"""The colour transforms against torchvision, on smooth and on random pictures."""

import cv2
import numpy as np
import pytest
from mmengine.registry import TRANSFORMS

from ibn_seg.errors import UserError
from ibn_seg.transforms import photometric
from ibn_seg.transforms.photometric import ColorJitter, RandomGaussianBlur

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (64, 96, 3), dtype=np.uint8)
SMOOTH = cv2.resize(RNG.integers(0, 256, (4, 6, 3), dtype=np.uint8), (96, 64))
PICTURES = {"noise": NOISE, "smooth": SMOOTH}


def by_torchvision(name: str, image: np.ndarray, factor: float) -> np.ndarray:
    """Return torchvision's result for a BGR image, computed on an RGB tensor."""
    functional = pytest.importorskip("torchvision.transforms.functional")
    import torch

    tensor = torch.from_numpy(image[..., ::-1].transpose(2, 0, 1).copy())
    return getattr(functional, name)(tensor, factor).numpy().transpose(1, 2, 0)[..., ::-1]


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize(
    ("name", "factors"),
    [
        ("adjust_brightness", (0.0, 0.6, 1.0, 1.4)),
        ("adjust_contrast", (0.0, 0.6, 1.0, 1.4)),
        ("adjust_saturation", (0.0, 0.6, 1.0, 1.4)),
        ("adjust_hue", (-0.5, -0.1, 0.0, 0.07, 0.3)),
    ],
)
def test_factors_mean_what_they_mean_in_torchvision(name, factors, picture):
    image = PICTURES[picture]
    for factor in factors:
        ours = getattr(photometric, name)(image, factor)
        assert ours.dtype == np.uint8
        difference = np.abs(ours.astype(int) - by_torchvision(name, image, factor))
        # One level: torchvision cuts fractions off where OpenCV rounds.
        assert difference.max() <= 1, (factor, difference.max())


def test_hue_turns_large_pictures_as_small_ones():
    """It works on some rows at a time."""
    tall = np.tile(NOISE, (30, 1, 1))
    assert np.array_equal(
        photometric.adjust_hue(tall, 0.2), np.tile(photometric.adjust_hue(NOISE, 0.2), (30, 1, 1))
    )


def test_jitter_draws_factors_and_order_as_documented(monkeypatch):
    calls = []
    for name in ("brightness", "contrast", "saturation", "hue"):

        def record(image, factor, name=name):
            calls.append((name, factor))
            return image

        monkeypatch.setattr(photometric, f"adjust_{name}", record)
    jitter = ColorJitter(0.4, 0.4, 1.5, 0.1)
    np.random.seed(0)
    orders = set()
    for _ in range(300):
        calls.clear()
        jitter({"img": NOISE})
        orders.add(tuple(name for name, _ in calls))
        drawn = dict(calls)
        assert set(drawn) == {"brightness", "contrast", "saturation", "hue"}
        assert 0.6 <= drawn["brightness"] <= 1.4
        assert 0.6 <= drawn["contrast"] <= 1.4
        assert 0.0 <= drawn["saturation"] <= 2.5
        assert -0.1 <= drawn["hue"] <= 0.1
    assert len(orders) == 24


@pytest.mark.parametrize("kind", ["ColorJitter", "RandomGaussianBlur"])
def test_seed_governs_the_result_and_the_input_stays(kind):
    transform = TRANSFORMS.build({"type": kind, "prob": 0.5})
    before = NOISE.copy()

    def run(seed):
        np.random.seed(seed)
        return [transform({"img": NOISE})["img"] for _ in range(20)]

    first, second, other = run(1), run(1), run(2)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    unchanged = sum(np.array_equal(a, NOISE) for a in first)
    assert 3 <= unchanged <= 17
    assert np.array_equal(NOISE, before)


def test_nothing_happens_at_zero():
    assert np.array_equal(ColorJitter(0, 0, 0, 0)({"img": NOISE})["img"], NOISE)
    assert np.array_equal(ColorJitter(prob=0)({"img": NOISE})["img"], NOISE)
    assert np.array_equal(RandomGaussianBlur(prob=0)({"img": NOISE})["img"], NOISE)


def test_blur_has_the_given_width():
    from scipy.ndimage import gaussian_filter

    image = np.zeros((41, 41, 3), np.uint8)
    image[20, 20] = 255
    blurred = RandomGaussianBlur(sigma=(1.3, 1.3))({"img": image})["img"]
    expected = gaussian_filter(image[..., 0].astype(float), 1.3)
    assert np.abs(blurred[..., 0] - expected).max() <= 1


@pytest.mark.parametrize(
    "build",
    [
        lambda: ColorJitter(brightness=-0.1),
        lambda: ColorJitter(hue=0.6),
        lambda: ColorJitter(prob=1.5),
        lambda: RandomGaussianBlur(sigma=(0.0, 1.0)),
        lambda: RandomGaussianBlur(sigma=(2.0, 1.0)),
    ],
)
def test_settings_out_of_range(build):
    with pytest.raises(UserError, match="allowed"):
        build()


@pytest.mark.parametrize("image", [NOISE.astype(np.float32), NOISE[..., 0]])
def test_other_kinds_of_images_are_refused(image):
    for transform in (ColorJitter(), RandomGaussianBlur()):
        with pytest.raises(UserError, match="uint8"):
            transform({"img": image})
