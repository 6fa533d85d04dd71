"""Surfaces of the source `varied`: each frame draws other colours and textures for each class.

Four fields of noise differ in scale and direction. A frame mixes them anew for every class, so
that no one texture stands for a class. What stays is what holds in the world: leaves are rougher
than walls, and roads are smoother.
"""

import random

import cv2
import numpy as np

from ibn_seg.scenes.canvas import Canvas
from ibn_seg.scenes.ids import BUILDING, FENCE, ROAD, SIDEWALK, SKY, TERRAIN, VEGETATION, WALL
from ibn_seg.scenes.texture import ground_relief, smooth_noise

# Strength of the fields: broad patches, grain, clumps of a few pixels, streaks, ground pattern.
_STRENGTHS = {
    ROAD: (0.14, 0.03, 0.02, 0.03, 0.05),
    SIDEWALK: (0.16, 0.04, 0.04, 0.04, 0.1),
    TERRAIN: (0.2, 0.25, 0.3, 0.0, 0.4),
    VEGETATION: (0.25, 0.3, 0.6, 0.0, 0.0),
    BUILDING: (0.35, 0.08, 0.16, 0.22, 0.0),
    WALL: (0.25, 0.15, 0.18, 0.25, 0.0),
    FENCE: (0.15, 0.1, 0.15, 0.1, 0.0),
}
_OTHER = (0.12, 0.08, 0.1, 0.04, 0.0)
# The range of a class's brightness from frame to frame, as a factor, and how far its hue drifts.
_GAINS = {
    ROAD: (0.5, 1.15, 0.06),
    SIDEWALK: (0.35, 1.05, 0.08),
    TERRAIN: (0.5, 1.2, 0.15),
    VEGETATION: (0.35, 1.2, 0.2),
    BUILDING: (0.4, 1.3, 0.1),
    WALL: (0.4, 1.2, 0.1),
}
_OTHER_GAIN = (0.6, 1.25, 0.06)


def varied_relief(canvas: Canvas, roughness: float, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the factors of colour and texture on red, green and blue.

    Args:
        canvas: The finished scene; the sky stays as it is.
        roughness: Share of fine grain on the ground.
        rng: The random numbers.

    Returns:
        Three arrays (height, width) float32.
    """
    draws = random.Random(int(rng.integers(2**62)))
    strengths, gains = _tables(draws)
    total = _mixed_fields(canvas, strengths, roughness, draws, rng)
    return [total * cv2.LUT(canvas.label, gains[channel]) for channel in range(3)]


def _tables(draws: random.Random) -> tuple[np.ndarray, np.ndarray]:
    """Return a frame's strengths (5, 256) and gains (3, 256) per raw id, float32."""
    strengths, gains = np.empty((5, 256), np.float32), np.empty((3, 256), np.float32)
    for raw_id in range(256):
        low, high, hue = _GAINS.get(raw_id, _OTHER_GAIN)
        if raw_id < 64:
            base = _STRENGTHS.get(raw_id, _OTHER)
            strengths[:, raw_id] = [value * draws.uniform(0.2, 1.8) for value in base]
            gain = draws.uniform(low, high)
            gains[:, raw_id] = [gain * (1.0 + draws.uniform(-hue, hue)) for _ in range(3)]
    strengths[:, SKY], gains[:, SKY] = 0.0, 1.0
    return strengths, gains


def _mixed_fields(
    canvas: Canvas,
    strengths: np.ndarray,
    roughness: float,
    draws: random.Random,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the texture of the whole frame, (height, width) float32 around 1."""
    height, width = canvas.label.shape
    size, half = (width, height), np.float32(0.5)
    broad = draws.randint(3, 16)
    patches = smooth_noise(rng, size, ((broad, 2 * broad), (3 * broad, 6 * broad))) - half
    ground = patches.copy()
    ground_relief(ground, canvas, roughness)
    # Counts of cells span the frame as in `smooth_noise`: a larger frame shows the same pattern.
    clump = draws.uniform(26.0, 64.0)
    clumps = smooth_noise(rng, size, ((int(clump), int(2 * clump)),)) - half
    fine, coarse = draws.randint(30, 90), draws.randint(4, 24)
    grid = (fine, 2 * coarse) if draws.random() < 0.6 else (coarse, 2 * fine)
    streaks = smooth_noise(rng, size, (grid,)) - half
    grain = rng.integers(0, 256, (height, width), np.uint8) * np.float32(1 / 255.0) - half
    total = np.ones((height, width), np.float32)
    for field, table in zip((patches, grain, clumps, streaks, ground), strengths, strict=True):
        total += np.float32(2.0) * field * cv2.LUT(canvas.label, table)
    return np.maximum(total, np.float32(0.05), out=total)
