"""A generated ImageFolder: ten classes that differ in shape or texture alone.

Colour and brightness of figure and ground, position and size are drawn from the same distribution
for every class, so that nothing but the shape or the texture tells them apart.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

# Least difference in mean brightness of figure and ground, of 255: the figure can be seen.
_CONTRAST = 60.0
_NOISE = 6.0
_SMOOTHING = 3  # pictures are drawn this much larger and scaled down


def write_shapes(root: Path, train: int = 40, val: int = 20, size: int = 72, seed: int = 0) -> Path:
    """Write `train/CLASS/NNN.png` and `val/CLASS/NNN.png`.

    Args:
        root: The folder; it is made.
        train: Training pictures of each class.
        val: Held-out pictures of each class.
        size: Side of the pictures in pixels.
        seed: Seed of the contents.

    Returns:
        `root`.
    """
    for split, (part, count) in enumerate({"train": train, "val": val}.items()):
        for label, name in enumerate(CLASSES):
            folder = root / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                rng = np.random.default_rng((seed, split, label, index))
                Image.fromarray(draw(name, size, rng)).save(folder / f"{index:03}.png")
    return root


def draw(name: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return a picture of a class, (size, size, 3) uint8 RGB."""
    figure, ground = _colours(rng)
    # Coordinates from -1 to 1 in a square of random place and size, the same for every class.
    radius = rng.uniform(0.7, 0.95)
    centre = rng.uniform(radius - 1.0, 1.0 - radius, 2)
    grid = np.linspace(-1.0, 1.0, size * _SMOOTHING)
    x, y = ((grid - middle) / radius for middle in centre)
    inside = CLASSES[name](x[None, :], y[:, None], rng).astype(np.float64)
    inside = inside.reshape(size, _SMOOTHING, size, _SMOOTHING).mean(axis=(1, 3))[..., None]
    picture = inside * figure + (1.0 - inside) * ground + rng.normal(0, _NOISE, (size, size, 3))
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _colours(rng: np.random.Generator) -> np.ndarray:
    """Draw two colours of which one is brighter; either may be the figure's."""
    while True:
        colours = rng.uniform(20, 236, (2, 3))
        if abs(np.subtract(*colours.mean(axis=1))) > _CONTRAST:
            return colours


def _turned(x: np.ndarray, y: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    cos, sin = np.cos(angle), np.sin(angle)
    return x * cos + y * sin, y * cos - x * sin


def _disc(x, y, rng):
    return x**2 + y**2 < 0.8


def _ring(x, y, rng):
    distance = x**2 + y**2
    return (distance < 0.9) & (distance > rng.uniform(0.3, 0.45))


def _target(x, y, rng):
    distance = np.hypot(x, y)
    return (distance < 0.95) & _wave(distance, rng)


def _cross(x, y, rng):
    x, y = _turned(x, y, rng.uniform(-0.4, 0.4))
    arm = rng.uniform(0.18, 0.25)
    return (np.minimum(abs(x), abs(y)) < arm) & (np.maximum(abs(x), abs(y)) < 0.9)


def _in_square(x, y, pattern):
    return pattern & (np.maximum(abs(x), abs(y)) < 0.9)


def _wave(values, rng):
    return np.sin(values * rng.uniform(9, 13) + rng.uniform(0, 2 * np.pi)) > 0


def _horizontal(x, y, rng):
    return _in_square(x, y, _wave(y, rng))


def _vertical(x, y, rng):
    return _in_square(x, y, _wave(x, rng))


def _diagonal(x, y, rng):
    across, _ = _turned(x, y, rng.choice([-1, 1]) * rng.uniform(0.6, 0.95))
    return _in_square(x, y, _wave(across, rng))


def _checker(x, y, rng):
    return _in_square(x, y, _wave(x, rng) ^ _wave(y, rng))


def _dots(x, y, rng):
    step = rng.uniform(0.38, 0.5)
    across, down = ((values / step + rng.uniform()) % 1.0 - 0.5 for values in (x, y))
    return _in_square(x, y, across**2 + down**2 < 0.08)


def _grid(x, y, rng):
    step, width = rng.uniform(0.38, 0.5), rng.uniform(0.1, 0.13)
    across, down = (abs((values / step + rng.uniform()) % 1.0 - 0.5) for values in (x, y))
    return _in_square(x, y, np.minimum(across, down) < width)


CLASSES: dict[str, Callable] = {
    "checker": _checker,
    "cross": _cross,
    "diagonal": _diagonal,
    "disc": _disc,
    "dots": _dots,
    "grid": _grid,
    "horizontal": _horizontal,
    "ring": _ring,
    "target": _target,
    "vertical": _vertical,
}
