"""The table of ImageNet-C's corruptions with their published strengths."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ibn_seg.errors import UserError
from ibn_seg.transforms.imagenet_c import blurs, digital, noises, weathers
from ibn_seg.transforms.imagenet_c.draws_and_filters import Draws


@dataclass(frozen=True)
class Published:
    """One of ImageNet-C's corruptions.

    Attributes:
        change: Gets a picture in RGB uint8, the strength and the draws; frost also its folder.
            Returns the changed picture, uint8; the given one stays unchanged.
        strengths: One for each severity, in the units of `change`.
    """

    change: Callable[..., np.ndarray]
    strengths: tuple[Any, Any, Any, Any, Any]


# The paper's fifteen, in its order.
COMMON: Mapping[str, Published] = {
    "gaussian_noise": Published(noises.gaussian_noise, (0.08, 0.12, 0.18, 0.26, 0.38)),
    "shot_noise": Published(noises.shot_noise, (60, 25, 12, 5, 3)),
    "impulse_noise": Published(noises.impulse_noise, (0.03, 0.06, 0.09, 0.17, 0.27)),
    "defocus_blur": Published(
        blurs.defocus_blur, ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))
    ),
    "glass_blur": Published(
        blurs.glass_blur, ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))
    ),
    "motion_blur": Published(
        blurs.motion_blur, ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))
    ),
    "zoom_blur": Published(
        blurs.zoom_blur, ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))
    ),
    "snow": Published(
        weathers.snow,
        (
            (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
            (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
            (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
            (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
        ),
    ),
    "frost": Published(
        weathers.frost, ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))
    ),
    "fog": Published(weathers.fog, ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))),
    "brightness": Published(digital.brightness, (0.1, 0.2, 0.3, 0.4, 0.5)),
    "contrast": Published(digital.contrast, (0.4, 0.3, 0.2, 0.1, 0.05)),
    "elastic_transform": Published(digital.elastic_transform, (12.5, 16.25, 21.25, 25, 30)),
    "pixelate": Published(digital.pixelate, (0.6, 0.5, 0.4, 0.3, 0.25)),
    "jpeg_compression": Published(digital.jpeg_compression, (25, 18, 15, 10, 7)),
}  # fmt: skip
# The paper's extra four, meant for validation.
EXTRA: Mapping[str, Published] = {
    "speckle_noise": Published(noises.speckle_noise, (0.15, 0.2, 0.35, 0.45, 0.6)),
    "gaussian_blur": Published(blurs.gaussian_blur, (1, 2, 3, 4, 6)),
    "spatter": Published(
        weathers.spatter,
        (
            (0.65, 0.3, 4, 0.69, 0.6, 0),
            (0.65, 0.3, 3, 0.68, 0.6, 0),
            (0.65, 0.3, 2, 0.68, 0.5, 0),
            (0.65, 0.3, 1, 0.65, 1.5, 1),
            (0.67, 0.4, 1, 0.65, 1.5, 1),
        ),
    ),
    "saturate": Published(digital.saturate, ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2))),
}
PUBLISHED: Mapping[str, Published] = {**COMMON, **EXTRA}
NOISES = ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise")
# Below this, windows and crops are empty.
SMALLEST = 32


def corrupt_as_published(
    image: np.ndarray, name: str, severity: int, draws: Draws, frost: str | None = None
) -> np.ndarray:
    """Return a picture under one of ImageNet-C's corruptions.

    Args:
        image: (H, W, 3) uint8 RGB, at least 32 x 32, not changed.
        name: A key of `PUBLISHED`.
        severity: 1 to 5.
        draws: The generators; with those of the reference the levels are the reference's.
        frost: A folder that `weathers.frost_folder` returned; for frost alone.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        UserError: The picture is too small, or frost has no folder.
    """
    height, width = image.shape[:2]
    if min(height, width) < SMALLEST:
        raise UserError(
            f"a picture of {width}x{height} for imagenet_c.{name}", "at least 32x32 is needed"
        )
    one = PUBLISHED[name]
    strength = one.strengths[severity - 1]
    if name == "frost":
        return one.change(image, strength, draws, frost or weathers.frost_folder())
    return one.change(image, strength, draws)
