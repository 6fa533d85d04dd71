"""ImageNet-C's changes of colour, shape and coding."""

import io

import numpy as np
from PIL import Image

from ibn_seg.transforms.imagenet_c.draws_and_filters import Draws, levels, ndimage, share


def brightness(image: np.ndarray, added: float, draws: Draws) -> np.ndarray:
    """Raise the V of HSV, 0..1."""
    hue, saturation, value = to_hsv(share(image))
    return levels(from_hsv(hue, saturation, np.clip(value + added, 0, 1)))


def saturate(image: np.ndarray, strength: tuple[float, float], draws: Draws) -> np.ndarray:
    """Change the S of HSV, 0..1: a factor, and what is added."""
    hue, saturation, value = to_hsv(share(image))
    factor, added = strength
    return levels(from_hsv(hue, np.clip(saturation * factor + added, 0, 1), value))


def contrast(image: np.ndarray, kept: float, draws: Draws) -> np.ndarray:
    """Move the values towards their channel's mean; a share of the distance is kept."""
    values = share(image)
    mean = values.mean(axis=(0, 1), keepdims=True)
    return levels((values - mean) * kept + mean)


def elastic_transform(image: np.ndarray, alpha: float, draws: Draws) -> np.ndarray:
    """Distort the picture, by less than about 0.15 alpha percent of its height.

    Objects move within the picture. In the benchmark their labels do not.
    """
    height, width = image.shape[:2]
    most = 0.005 * height
    right, down = (
        ndimage().gaussian_filter(
            draws.legacy.uniform(-most, most, (height, width)),
            (0.01 * height, 0.01 * width), mode="reflect", truncate=3.0,
        ) * alpha
        for _ in range(2)
    )  # fmt: skip
    y, x = np.mgrid[0:height, 0:width]
    places = (y + down.astype(np.float32), x + right.astype(np.float32))
    values = share(image).astype(np.float32)
    moved = [
        ndimage().map_coordinates(values[..., channel], places, order=1, mode="reflect")
        for channel in range(image.shape[2])
    ]
    return levels(np.stack(moved, axis=-1))


def pixelate(image: np.ndarray, scale: float, draws: Draws) -> np.ndarray:
    """Make the picture smaller and enlarge it again, without interpolation."""
    height, width = image.shape[:2]
    small = Image.fromarray(image).resize(
        (int(width * scale), int(height * scale)), Image.Resampling.BOX
    )
    return np.asarray(small.resize((width, height), Image.Resampling.NEAREST))


def jpeg_compression(image: np.ndarray, quality: int, draws: Draws) -> np.ndarray:
    """Write and read the picture as a JPEG file of a quality, 0 to 100."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def to_hsv(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return hue, saturation and value, each 0..1, of (H, W, 3) RGB from 0 to 1."""
    red, green, blue = np.moveaxis(values, -1, 0)
    value = values.max(axis=-1)
    span = value - values.min(axis=-1)
    safe = np.where(span == 0, 1, span)
    hue = np.select(
        [blue == value, green == value],
        [4 + (red - green) / safe, 2 + (blue - red) / safe],
        (green - blue) / safe,
    )
    hue = np.where(span == 0, 0, hue / 6 % 1)
    saturation = np.where(span == 0, 0, span / np.where(value == 0, 1, value))
    return hue, saturation, value


def from_hsv(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return (H, W, 3) RGB from 0 to 1 of hue, saturation and value, each 0..1."""
    sector = np.floor(hue * 6)
    within = hue * 6 - sector
    low = value * (1 - saturation)
    falling = value * (1 - within * saturation)
    rising = value * (1 - (1 - within) * saturation)
    channels = (
        (value, falling, low, low, rising, value),
        (rising, value, value, falling, low, low),
        (low, low, rising, value, value, falling),
    )
    place = sector.astype(np.int64) % 6
    return np.stack([np.choose(place, one) for one in channels], axis=-1)
