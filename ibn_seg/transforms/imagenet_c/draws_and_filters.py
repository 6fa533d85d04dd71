"""What a corruption draws, and the filters that several of them share."""

from dataclasses import dataclass
from types import ModuleType

import cv2
import numpy as np

from ibn_seg.errors import EnvError


@dataclass(frozen=True)
class Draws:
    """The generators of one picture's corruption.

    Attributes:
        legacy: What `np.random.seed` controls in the reference.
        modern: For impulse noise, which the reference draws by scikit-image.
    """

    legacy: np.random.RandomState
    modern: np.random.Generator

    @classmethod
    def of_seed(cls, seed: int) -> "Draws":
        """Return the generators of a seed, 0..2**32-1."""
        return cls(np.random.RandomState(seed), np.random.default_rng(seed))


def ndimage() -> ModuleType:
    """Return `scipy.ndimage`.

    Raises:
        EnvError: SciPy is not installed.
    """
    try:
        from scipy import ndimage as found
    except ModuleNotFoundError as error:
        raise EnvError(
            "scipy is missing, which ImageNet-C's corruptions need",
            "pip install scipy (mmsegmentation brings it)",
        ) from error
    return found


def share(image: np.ndarray) -> np.ndarray:
    """Return a picture of uint8 as float64 from 0 to 1."""
    return image / 255.0


def levels(values: np.ndarray) -> np.ndarray:
    """Return values from 0 to 1 as uint8: cut off, times 255, truncated as in the reference."""
    return (np.clip(values, 0, 1) * 255).astype(np.uint8)


def smooth(values: np.ndarray, sigma: float) -> np.ndarray:
    """Return a Gaussian blur of rows and columns, as scikit-image's `gaussian` has it.

    Args:
        values: (H, W) or (H, W, C) floats.
        sigma: In pixels; the filter ends at four of them, and borders repeat.
    """
    along = (sigma, sigma, 0)[: values.ndim]
    return ndimage().gaussian_filter(values, along, mode="nearest", truncate=4.0)


def zoom_in(values: np.ndarray, factor: float) -> np.ndarray:
    """Return the middle of a picture, enlarged bilinearly; at least as large as the picture.

    Args:
        values: (H, W, C) floats.
        factor: At least 1.
    """
    height, width = values.shape[:2]
    tall, wide = int(np.ceil(height / factor)), int(np.ceil(width / factor))
    top, left = (height - tall) // 2, (width - wide) // 2
    middle = values[top : top + tall, left : left + wide]
    return ndimage().zoom(middle, (factor, factor, 1), order=1)


def smear(values: np.ndarray, radius: int, sigma: float, degrees: float) -> np.ndarray:
    """Return a picture smeared to one side along a line; borders repeat.

    The weights fall as a Gaussian from the pixel itself, so the content shifts by up to 0.8 sigma.

    Args:
        values: (H, W) or (H, W, C).
        radius: 2 * radius + 1 copies are added.
        sigma: Of the weights, in pixels.
        degrees: The direction.

    Returns:
        float64 of the same shape.
    """
    height, width = values.shape[:2]
    steps = np.arange(2 * radius + 1)
    # The factor before the sum changes the last digits, and so single truncated levels.
    weights = np.exp(-(steps**2) / (2.0 * sigma**2)) / (np.sqrt(2 * np.pi) * sigma)
    weights /= weights.sum()
    sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    reach = 2 * radius + 1
    padded = cv2.copyMakeBorder(
        values.astype(np.float64), reach, reach, reach, reach, cv2.BORDER_REPLICATE
    )
    total = np.zeros(values.shape)
    for at, weight in zip(steps, weights, strict=True):
        down, right = -int(np.ceil(at * sine - 0.5)), -int(np.ceil(at * cosine - 0.5))
        if abs(down) >= height or abs(right) >= width:
            break
        top, left = reach - down, reach - right
        total += weight * padded[top : top + height, left : left + width]
    return total
