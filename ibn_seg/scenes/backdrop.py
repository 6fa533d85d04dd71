"""Draws the end of the view: hills, a skyline, and a line of trees in every scene."""

import math
import random

from ibn_seg.scenes.canvas import Canvas, depth_code, scaled
from ibn_seg.scenes.ids import BUILDING, VEGETATION
from ibn_seg.scenes.scene import Scene

_CODE = depth_code(260.0)
_GREEN = (0.22, 0.33, 0.16)


def draw_backdrop(canvas: Canvas, scene: Scene) -> None:
    """Draw the end of the view; the ground later covers its foot."""
    rng = random.Random(f"backdrop/{scene.key}")
    if scene.backdrop == "hills":
        _hills(canvas, rng)
    if scene.backdrop == "city":
        _skyline(canvas, rng)
    _treeline(canvas, rng, 1.3 if scene.backdrop == "trees" else 0.8)


def _outline(canvas: Canvas, tops: list[tuple[float, float]], tone: float, openness: float) -> None:
    """Fill a green outline given by points along its top, in shares of the frame's size."""
    camera = canvas.camera
    foot = camera.cy + 0.02 * camera.height
    points = [(u * camera.width, camera.cy - v * camera.height) for u, v in tops]
    points += [(tops[-1][0] * camera.width, foot), (tops[0][0] * camera.width, foot)]
    lit = canvas.light.shade(scaled(_GREEN, tone), (0.0, openness, -0.5))
    canvas.fill_outline(canvas.fixed(points), lit, _CODE, VEGETATION)


def _hills(canvas: Canvas, rng: random.Random) -> None:
    """Draw two ranges of wooded hills."""
    phase = rng.uniform(0, 6.28)
    for height, tone in ((0.1, 0.8), (0.06, 1.0)):
        waves = [
            0.75 + 0.25 * math.sin(phase + step * 0.45) + 0.12 * math.sin(step * 1.3)
            for step in range(-1, 26)
        ]
        tops = [((number - 1) / 24, height * wave) for number, wave in enumerate(waves)]
        _outline(canvas, tops, tone, 0.5)
        phase += 2.0


def _skyline(canvas: Canvas, rng: random.Random) -> None:
    """Draw far high-rise buildings."""
    camera = canvas.camera
    foot = camera.cy + 0.02 * camera.height
    left = -0.02
    while left < 1.0:
        width = rng.uniform(0.015, 0.05)
        tone = rng.uniform(0.35, 0.7)
        top = camera.cy - rng.uniform(0.03, 0.16) * camera.height
        start, end = left * camera.width, (left + width) * camera.width
        lit = canvas.light.shade((tone, tone * 0.97, tone * 0.94), (0.0, 0.0, -1.0))
        canvas.fill([(start, foot), (start, top), (end, top), (end, foot)], lit, _CODE, BUILDING)
        left += width * rng.uniform(0.9, 1.3)


def _treeline(canvas: Canvas, rng: random.Random, size: float) -> None:
    """Draw two rows of far trees."""
    for tone, height in ((0.85, 1.0), (1.1, 0.6)):
        tops, u = [], -0.02
        while u < 1.03:
            top = rng.uniform(0.015, 0.05) * size * height
            width = rng.uniform(0.01, 0.03)
            tops += [(u, top * 0.7), (u + width * 0.35, top), (u + width * 0.7, top * 0.95)]
            u += width
        _outline(canvas, tops, tone, 0.2)
