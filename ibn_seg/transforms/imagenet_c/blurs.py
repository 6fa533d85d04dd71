"""ImageNet-C's five blurs; their sizes are in pixels, whatever the picture's size."""

import cv2
import numpy as np

from ibn_seg.transforms.imagenet_c.draws_and_filters import (
    Draws,
    levels,
    share,
    smear,
    smooth,
    zoom_in,
)


def defocus_blur(image: np.ndarray, strength: tuple[int, float], draws: Draws) -> np.ndarray:
    """Blur by a disk: (radius, sigma of its soft border) in pixels."""
    radius, alias = strength
    half = max(8, radius)
    x, y = np.meshgrid(np.arange(-half, half + 1), np.arange(-half, half + 1))
    disk = (x**2 + y**2 <= radius**2).astype(np.float32)
    disk /= disk.sum()
    size = 3 if radius <= 8 else 5
    kernel = cv2.GaussianBlur(disk, (size, size), sigmaX=alias)
    return levels(cv2.filter2D(share(image), -1, kernel))


def gaussian_blur(image: np.ndarray, sigma: float, draws: Draws) -> np.ndarray:
    """Blur by a Gaussian, sigma in pixels."""
    return levels(smooth(share(image), sigma))


def motion_blur(image: np.ndarray, strength: tuple[int, float], draws: Draws) -> np.ndarray:
    """Smear to one side, up to 45 degrees from the horizontal: (radius, sigma) in pixels."""
    smeared = smear(image, *strength, draws.legacy.uniform(-45, 45))
    return np.clip(smeared, 0, 255).astype(np.uint8)


def zoom_blur(image: np.ndarray, strength: tuple[float, float], draws: Draws) -> np.ndarray:
    """Average the picture with enlargements: (end, step) of their factors, from 1."""
    height, width = image.shape[:2]
    values = share(image).astype(np.float32)
    factors = np.arange(1, *strength)
    total = np.zeros_like(values)
    for factor in factors:
        total += zoom_in(values, factor)[:height, :width]
    return levels((values + total) / (len(factors) + 1))


def glass_blur(image: np.ndarray, strength: tuple[float, int, int], draws: Draws) -> np.ndarray:
    """Scatter pixels as behind rough glass: (sigma, largest step, rounds) in pixels."""
    sigma, reach, rounds = strength
    scattered = (smooth(share(image), sigma) * 255).astype(np.uint8)
    for _ in range(rounds):
        scattered = _scatter(scattered, reach, draws)
    return levels(smooth(scattered / 255.0, sigma))


def _scatter(image: np.ndarray, reach: int, draws: Draws) -> np.ndarray:
    """Return a picture whose pixels, from the last to the first, took a near pixel's value.

    The reference means to swap two pixels and copies one. A pixel may copy one that copied before
    it, and so on. Such chains are followed by doubling, log2 of the longest chain times.
    """
    height, width = image.shape[:2]
    size = height * width
    rows, columns = np.arange(height - reach, reach, -1), np.arange(width - reach, reach, -1)
    steps = draws.legacy.randint(-reach, reach, (len(rows) * len(columns), 2))
    own = (rows[:, None] * width + columns[None]).ravel()
    other = own + steps[:, 1] * width + steps[:, 0]
    row, column = np.divmod(other, width)
    moved = (row > reach) & (row <= height - reach) & (column > reach) & (column <= width - reach)
    # Values below `size` point at a pixel's new value, others at its old one.
    points_at = np.arange(size, 2 * size)
    points_at[own] = np.where(moved & (other > own), other, size + other)
    while (open_ends := np.flatnonzero(points_at < size)).size:
        points_at[open_ends] = points_at[points_at[open_ends]]
    return image.reshape(size, -1)[points_at - size].reshape(image.shape)
