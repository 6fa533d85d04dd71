"""ImageNet-C's four noises, of values from 0 to 1."""

import numpy as np

from ibn_seg.transforms.imagenet_c.draws_and_filters import Draws, levels, share


def gaussian_noise(image: np.ndarray, deviation: float, draws: Draws) -> np.ndarray:
    """Add normal noise to each value."""
    return levels(share(image) + draws.legacy.normal(0, deviation, image.shape))


def shot_noise(image: np.ndarray, photons: float, draws: Draws) -> np.ndarray:
    """Draw each value as a photon count; a full value has so many photons on average."""
    return levels(draws.legacy.poisson(share(image) * photons) / photons)


def impulse_noise(image: np.ndarray, amount: float, draws: Draws) -> np.ndarray:
    """Set a share of the values to 0 or 1, each channel by itself."""
    flipped = draws.modern.random(image.shape) <= amount
    salt = draws.modern.random(image.shape) <= 0.5
    return levels(np.where(flipped, salt, share(image)))


def speckle_noise(image: np.ndarray, deviation: float, draws: Draws) -> np.ndarray:
    """Add normal noise in proportion to each value."""
    values = share(image)
    return levels(values + values * draws.legacy.normal(0, deviation, image.shape))
