"""What lens, sensor and file do to a frame of the source `varied`."""

import random

import cv2
import numpy as np


def through_lens(image: np.ndarray, rng: random.Random) -> np.ndarray:
    """Return the frame as some camera would have stored it.

    Args:
        image: (height, width, 3) uint8 RGB.
        rng: The random numbers.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    if rng.random() < 0.35:
        image = _veiled(image, rng.uniform(0.03, 0.2))
    if rng.random() < 0.4:
        image = _sharpened(image, rng.uniform(0.3, 1.2))
    if rng.random() < 0.5:
        image = _soft_colour(image, rng.choice((2, 4)))
    return image


def _veiled(image: np.ndarray, share: float) -> np.ndarray:
    """Return the frame with light that strays in the lens from bright places into dark ones."""
    height, width = image.shape[:2]
    cells = (max(width // 16, 2), max(height // 16, 2))
    small = cv2.resize(image, cells, interpolation=cv2.INTER_AREA)
    veil = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)
    return cv2.addWeighted(image, 1.0 - share * 0.5, veil, share, 0.0)


def _sharpened(image: np.ndarray, strength: float) -> np.ndarray:
    """Return the frame with the halos that small cameras put around edges."""
    soft = cv2.GaussianBlur(image, (0, 0), 0.9 * image.shape[0] / 128.0)
    return cv2.addWeighted(image, 1.0 + strength, soft, -strength, 0.0)


def _soft_colour(image: np.ndarray, factor: int) -> np.ndarray:
    """Return the frame with coarser colour than brightness, as videos and JPEGs keep it."""
    height, width = image.shape[:2]
    codes = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
    small = cv2.resize(
        codes, (max(width // factor, 2), max(height // factor, 2)), interpolation=cv2.INTER_AREA
    )
    colour = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)
    colour[:, :, 0] = codes[:, :, 0]
    return cv2.cvtColor(colour, cv2.COLOR_YCrCb2RGB)
