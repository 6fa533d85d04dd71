"""Trees, bushes and hedges, built of clumps of leaves that are darker below than above."""

import math
import random
from functools import cache

import numpy as np

from ibn_seg.scenes import palette
from ibn_seg.scenes.canvas import Board, Canvas, Colour, Light, mix, scaled
from ibn_seg.scenes.ids import VEGETATION
from ibn_seg.scenes.scene import Item, Plot

# Per species: half width, half height and middle of the crown, as shares of the tree's height.
_CROWNS = {
    "round": (0.30, 0.30, 0.68),
    "oval": (0.22, 0.34, 0.64),
    "airy": (0.28, 0.27, 0.70),
    "poplar": (0.11, 0.44, 0.55),
}


def draw_tree(canvas: Canvas, item: Item) -> None:
    """Draw a tree."""
    rng = random.Random(item.key)
    board = Board(canvas, item.x, item.z)
    height = item.height
    bark = mix((0.3, 0.22, 0.15), (0.45, 0.42, 0.4), rng.random())
    leaf = palette.leaf(rng)
    lean = rng.uniform(-0.04, 0.04) * height
    thick = height * rng.uniform(0.025, 0.04)
    lit = canvas.light.shade(bark, (0.0, 0.0, -1.0))
    board.bar((0.0, -0.05), (lean, height * 0.6), thick * 1.3, lit, VEGETATION, thick * 0.7)
    if item.options["species"] == "conifer":
        _conifer(board, rng, height, leaf)
        return
    half, up, middle = _CROWNS[item.options["species"]]
    if item.options["species"] in ("round", "airy"):
        for sign in (-1, 1):
            fork = (sign * half * height * 0.5, height * (middle + 0.05))
            board.bar((lean * 0.6, height * 0.42), fork, thick * 0.6, lit, VEGETATION, thick * 0.3)
    # Fine crowns get more clumps. Their number does not depend on any size in pixels.
    clumps = 12 if item.options["species"] == "airy" else 15
    _crown(board, rng, (lean, middle * height), (half * height, up * height), clumps, leaf)


def draw_bush(canvas: Canvas, item: Item) -> None:
    """Draw a bush."""
    rng = random.Random(item.key)
    board = Board(canvas, item.x, item.z)
    size = rng.uniform(0.5, 1.1)
    _crown(board, rng, (0.0, size * 0.7), (size, size * 0.75), 6, palette.leaf(rng))


def draw_hedge(canvas: Canvas, plot: Plot) -> None:
    """Draw a hedge along the back of the sidewalk of a plot."""
    rng = random.Random(f"hedge/{plot.key}")
    leaf = palette.leaf(rng)
    height = rng.uniform(0.8, 1.7)
    x = plot.side * plot.line
    near = max(plot.near, 2.0)
    normal = (-plot.side, 0.0, 0.0)
    z = plot.far
    step = max((plot.far - near) / 7.0, 0.8)
    while z > near:
        start = max(z - step, near)
        top = height * rng.uniform(0.92, 1.06)
        tone = scaled(leaf, rng.uniform(0.8, 1.05))
        canvas.face(
            [(x, 0.0, start), (x, 0.0, z), (x, top, z), (x, top, start)], tone, VEGETATION, normal
        )
        canvas.face(
            [(x, top * 0.75, start), (x, top * 0.85, z), (x, top, z), (x, top, start)],
            scaled(tone, 1.25),
            None,
            normal,
        )
        z = start
    end = [(x, 0.0, near), (x + plot.side, 0.0, near), (x + plot.side, height, near)]
    canvas.face([*end, (x, height, near)], scaled(leaf, 0.85), VEGETATION, (0.0, 0.0, -1.0))


def _crown(
    board: Board,
    rng: random.Random,
    centre: tuple[float, float],
    radii: tuple[float, float],
    count: int,
    leaf: Colour,
) -> None:
    """Draw a crown: clumps in random places of an ellipse, lower and shadier ones first."""
    light = board.canvas.light
    spread = min(radii)
    fine = board.scale * spread
    if fine < 9.0:
        count = 3 if fine < 4.0 else 7
    edges, u, v, tones = _clumps(int(rng.random() * 24), count)
    flip = -1.0 if light.direction[0] < 0 else 1.0
    u = u * flip
    middles = np.stack([centre[0] + u * radii[0], centre[1] + v * radii[1]], axis=-1)
    clumps = board.place_many(middles[:, None, :] + edges * (spread * rng.uniform(0.9, 1.1)))
    solid = board.place_many(np.array(centre) + _RING * radii * 0.85)
    shady = light.shade(scaled(leaf, 0.66), (0.0, 0.2, -0.8))
    board.canvas.fill_fixed(solid, shady, board.depth, VEGETATION)
    # The upper and sunny sides of the crown show lighter leaves.
    paints = _shaded(light, leaf, u, v, tones)
    for points, colour in zip(clumps, paints, strict=True):
        board.canvas.fill_outline(points, colour, board.depth, VEGETATION)
    if fine > 18.0:
        leaves = np.random.default_rng(rng.getrandbits(63))
        _leaves(board, leaves, (centre, radii), leaf, min(int(fine * 1.3), 900))


def _shaded(
    light: Light, leaf: Colour, u: np.ndarray, v: np.ndarray, tones: np.ndarray
) -> list[Colour]:
    """Return the lit colours of clumps at (u, v) of the unit circle, as `Light.shade` does."""
    x, y, z = light.direction
    facing = np.maximum(0.0, (x * 0.7 * u + y * (0.4 + 0.6 * v) - z * 0.6 + 0.3) / 1.3)
    base = (0.78 + 0.36 * v + tones)[:, None] * leaf
    open_sky = (0.88 + 0.12 * v)[:, None] * light.sky
    return list(map(tuple, (base * (open_sky + facing[:, None] * light.sun)).tolist()))


@cache
def _clumps(variant: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return a crown of the unit circle: outlines around the clumps' middles, middles, tones.

    The clumps come in painting order: first the lower ones and the ones facing away from a sun on
    the right. Crowns come from a stock of these, for speed.
    """
    generator = np.random.default_rng([variant, count])
    angle = generator.random(count) * 2.0 * math.pi
    reach = np.sqrt(generator.random(count)) * 0.8
    u, v = np.cos(angle) * reach, np.sin(angle) * reach
    order = np.argsort(v + 0.4 * u, kind="stable")
    size = generator.uniform(0.28, 0.48, count) * (12.0 / (count + 2)) ** 0.25
    edges = generator.uniform(0.72, 1.22, (count, len(_RING), 2)) * _RING * size[:, None, None]
    return edges, u[order], v[order], generator.uniform(-0.08, 0.12, count)


def _leaves(
    board: Board,
    generator: np.random.Generator,
    ellipse: tuple[tuple[float, float], tuple[float, float]],
    leaf: Colour,
    count: int,
) -> None:
    """Draw single leaves over a crown that is large in the picture; they stay inside it."""
    centre, radii = ellipse
    angle = generator.random(count) * 2.0 * math.pi
    reach = np.sqrt(generator.random(count)) * 0.75
    middles = np.stack([np.cos(angle) * reach, np.sin(angle) * reach], axis=-1) * radii + centre
    size = generator.uniform(0.035, 0.1, (count, 1, 1)) * math.sqrt(min(radii))
    leaves = board.place_many(middles[:, None, :] + _LEAF * size)
    for number, tone in enumerate((0.6, 1.0, 1.3)):
        lit = board.canvas.light.shade(scaled(leaf, tone), (0.0, 0.5, -0.7))
        board.canvas.fill_group(leaves[number::3], lit, board.depth, None)


def _conifer(board: Board, rng: random.Random, height: float, leaf: Colour) -> None:
    """Draw the tiers of a fir, lowest first."""
    light = board.canvas.light
    dark = scaled(leaf, 0.75)
    tiers = 6
    for tier in range(tiers):
        low = height * (0.12 + 0.8 * tier / tiers)
        half = height * 0.2 * (1.0 - tier / (tiers + 0.6))
        top = low + height * 0.26
        tone = scaled(dark, 0.8 + 0.08 * tier + rng.uniform(-0.05, 0.05))
        sag = rng.uniform(0.02, 0.06) * height
        outline = (
            (-half, low - sag),
            (-half * 0.4, low + sag * 0.3),
            (half * 0.3, low - sag * 0.4),
            (half, low - sag),
            (0.0, min(top, height)),
        )
        board.canvas.fill_outline(
            board.place(outline), light.shade(tone, (0.0, 0.3, -0.8)), board.depth, VEGETATION
        )
        lighter = ((0.0, min(top, height)), (half, low - sag), (half * 0.25, low))
        sunny = lighter if light.direction[0] > 0 else tuple((-u, v) for u, v in lighter)
        board.canvas.fill_outline(
            board.place(sunny), light.shade(scaled(tone, 1.3), (0.0, 0.4, -0.7)), board.depth, None
        )


_RING = np.array([(math.cos(2 * math.pi * i / 9), math.sin(2 * math.pi * i / 9)) for i in range(9)])
_LEAF = np.array([(-1.0, 0.0), (0.0, 0.6), (1.0, 0.1), (0.0, -0.5)])
