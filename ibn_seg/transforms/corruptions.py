"""Our twelve image corruptions in five severities, the set `ours`, for measuring robustness.

The method is from Hendrycks and Dietterich (ICLR 2019, arXiv:1903.12261, ImageNet-C). Kamann and
Rother (CVPR 2020, arXiv:1908.05005) brought it to Cityscapes. Each corruption has five severities,
and the network is trained on none of them.

Results hang on these twelve, so their levels never change. Strengths marked ImageNet-C are its
published constants, in its units. Noise and brightness are
shares of the range; blurs are in pixels for any picture size. The other strengths are ours; their
middle one is the paper's if the paper has one.

These are not ImageNet-C's own algorithms: values are rounded, and blurs are centred. Those are in
`ibn_seg.transforms.imagenet_c`. Haze has one depth for the whole picture, because a single
photograph has no depth. No corruption moves objects within the picture, so labels stay valid.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch

from ibn_seg.errors import UserError
from ibn_seg.transforms.pixel_shifts import brighter, redder, scaled_deviation

SEVERITIES = (1, 2, 3, 4, 5)
# A light, nearly white grey: the colour of distant objects in haze.
_AIRLIGHT = 0.9 * 255.0


@dataclass(frozen=True)
class Corruption:
    """One way to change pictures.

    Attributes:
        change: Gets a picture in RGB uint8, the strength and a generator for random parts. Returns
            the changed picture, (H, W, 3) of any number type; the given picture stays unchanged.
        strengths: One for each severity.
        source: Where the strengths come from.
    """

    change: Callable[[np.ndarray, Any, np.random.Generator], np.ndarray]
    strengths: tuple[Any, Any, Any, Any, Any]
    source: str


def corrupt(image: np.ndarray, name: str, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Return a picture under one corruption.

    Args:
        image: (H, W, 3) uint8 RGB, not changed.
        name: A key of `CORRUPTIONS`.
        severity: 1 to 5.
        rng: The source of noise and directions, see `generator`.

    Returns:
        (H, W, 3) uint8 RGB, rounded and cut off at 0 and 255.
    """
    corruption = CORRUPTIONS[name]
    changed = corruption.change(image, corruption.strengths[severity - 1], rng)
    if changed.dtype == np.uint8:
        return changed
    return np.clip(np.rint(changed), 0, 255).astype(np.uint8)


def generator(seed: int, name: str, picture: str) -> np.random.Generator:
    """Return the generator of one picture's corruption.

    It does not depend on the batch, the data worker or the order. The severities of a corruption
    share it, so a picture has the same noise in five strengths.

    Args:
        seed: Chooses the whole series.
        name: The corruption.
        picture: The picture's name.
    """
    return np.random.default_rng(picture_seed(seed, name, picture))


def picture_seed(seed: int, name: str, picture: str) -> int:
    """Return the seed of one picture's corruption, 0..2**128-1; see `generator`."""
    # Names of files need not be valid Unicode.
    words = f"{seed}/{name}/{picture}".encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(words).digest()[:16], "little")


def check_severities(severities: Iterable[int]) -> tuple[int, ...]:
    """Return the given severities in rising order, or all five if there are none.

    Raises:
        UserError: One is not from 1 to 5, or is given twice.
    """
    severities = tuple(severities) or SEVERITIES
    for severity in severities:
        if severity not in SEVERITIES:
            raise UserError(f"severity {severity!r} is out of range", "allowed: 1, 2, 3, 4, 5")
    return tuple(sorted(each_once("severities", severities)))


def each_once(what: str, values: tuple) -> tuple:
    """Return values; raise `UserError` if one is given twice."""
    if len(set(values)) < len(values):
        given = ", ".join(map(str, values))
        raise UserError(f"{what} {given}: one is given twice", "name each once")
    return values


def _as_pixels(change: Callable[..., torch.Tensor]) -> Callable:
    """Return a change of the ImageNet tests in the form for a single picture."""

    def apply(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
        pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()
        return change(pixels, strength)[0].permute(1, 2, 0).numpy()

    return apply


def _brightness(image: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Raise the V of HSV by a share of its range."""
    hsv = cv2.cvtColor(image.astype(np.float32) / 255.0, cv2.COLOR_RGB2HSV)
    hsv[..., 2] = np.minimum(hsv[..., 2] + np.float32(share), 1.0)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * np.float32(255.0)


def _gamma(image: np.ndarray, exponent: float, rng: np.random.Generator) -> np.ndarray:
    """Darken the middle tones: an exponent on values from 0 to 1."""
    table = np.rint((np.arange(256) / 255.0) ** exponent * 255.0).astype(np.uint8)
    return cv2.LUT(image, table)


def _haze(image: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Lay haze over the picture: Koschmieder's law at one depth for all pixels."""
    table = np.rint(np.arange(256) * (1.0 - share) + _AIRLIGHT * share).astype(np.uint8)
    return cv2.LUT(image, table)


def _gaussian_noise(image: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Add normal noise to each value; its standard deviation is a share of the range."""
    noise = rng.standard_normal(image.shape, np.float32)
    noise *= np.float32(share * 255.0)
    noise += image
    return noise


def _shot_noise(image: np.ndarray, photons: float, rng: np.random.Generator) -> np.ndarray:
    """Draw each value as a photon count; a full value has so many photons on average."""
    rates = np.arange(256) * (photons / 255.0)
    return rng.poisson(rates[image]) * (255.0 / photons)


def _gaussian_blur(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), sigma)


def _motion_blur(
    image: np.ndarray, size: tuple[int, float], rng: np.random.Generator
) -> np.ndarray:
    """Smear along a line, up to 45 degrees from the horizontal: (radius, sigma) in pixels."""
    radius, sigma = size
    angle = rng.uniform(-math.pi / 4, math.pi / 4)
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1), np.float32)
    for at in np.arange(-radius, radius + 0.25, 0.5):
        x, y = radius + at * math.cos(angle), radius + at * math.sin(angle)
        weight = math.exp(-0.5 * (at / sigma) ** 2)
        # A point between pixels is shared out among its four neighbours.
        left, top = int(x), int(y)
        for column, along in ((left, 1 - (x - left)), (left + 1, x - left)):
            for row, down in ((top, 1 - (y - top)), (top + 1, y - top)):
                if along * down > 0:
                    kernel[row, column] += weight * along * down
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101)


def _jpeg(image: np.ndarray, quality: int, rng: np.random.Generator) -> np.ndarray:
    """Write and read the picture as a JPEG file of a quality, 0 to 100."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


_OURS = "ours"
_PAPER = "ours; 3 is the IBN-Net paper's"
_IMAGENET_C = "ImageNet-C"

CORRUPTIONS: Mapping[str, Corruption] = {
    "rgb_offset": Corruption(_as_pixels(brighter), (10.0, 30.0, 50.0, 70.0, 90.0), _PAPER),
    "r_offset": Corruption(_as_pixels(redder), (10.0, 30.0, 50.0, 70.0, 90.0), _PAPER),
    "deviation": Corruption(_as_pixels(scaled_deviation), (1.1, 1.3, 1.5, 1.7, 1.9), _PAPER),
    "contrast": Corruption(_as_pixels(scaled_deviation), (0.4, 0.3, 0.2, 0.1, 0.05), _IMAGENET_C),
    "brightness": Corruption(_brightness, (0.1, 0.2, 0.3, 0.4, 0.5), _IMAGENET_C),
    "gamma": Corruption(_gamma, (1.25, 1.5, 2.0, 2.5, 3.0), _OURS),
    "haze": Corruption(_haze, (0.15, 0.3, 0.45, 0.6, 0.75), _OURS),
    "gaussian_noise": Corruption(_gaussian_noise, (0.08, 0.12, 0.18, 0.26, 0.38), _IMAGENET_C),
    "shot_noise": Corruption(_shot_noise, (60, 25, 12, 5, 3), _IMAGENET_C),
    "gaussian_blur": Corruption(_gaussian_blur, (1, 2, 3, 4, 6), _IMAGENET_C),
    "motion_blur": Corruption(
        _motion_blur, ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)), _IMAGENET_C
    ),
    "jpeg": Corruption(_jpeg, (25, 18, 15, 10, 7), _IMAGENET_C),
}
