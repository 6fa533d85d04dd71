"""What fills the frames of the source `varied`: bare trees, wires, and paint on the road."""

import math
import random
from functools import cache

import cv2
import numpy as np

from ibn_seg.scenes import palette
from ibn_seg.scenes.canvas import Board, Canvas, depth_code, mix
from ibn_seg.scenes.ids import VEGETATION
from ibn_seg.scenes.scene import LANE, Item, Scene

# Bare trees come from a stock of this many, for speed; each branches this often.
_STOCK = 16
_LEVELS = 6
# Corners (x, z) on the ground in metres.
Quad = list[tuple[float, float]]


def draw_bare_tree(canvas: Canvas, item: Item) -> None:
    """Draw a tree without leaves; its class covers the crown with its gaps, as annotators do."""
    rng = random.Random(item.key)
    board = Board(canvas, item.x, item.z, 1.0 if rng.random() < 0.5 else -1.0)
    bark = mix((0.16, 0.12, 0.1), (0.42, 0.38, 0.34), rng.random())
    lit = canvas.light.shade(bark, (0.0, 0.3, -0.95))
    levels, hull = _skeleton(int(rng.random() * _STOCK))
    crown = board.place_many(hull * item.height)
    canvas.veil(crown, lit, board.depth, VEGETATION, rng.uniform(0.15, 0.6))
    thick = board.scale * item.height * 0.035
    for number, lines in enumerate(levels):
        width = thick * 0.62**number
        if width < 0.35 and number > 2:
            break
        canvas.lines(board.place_many(lines * item.height), lit, board.depth, VEGETATION, width)


@cache
def _skeleton(variant: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Return a tree of height 1: per level its branches (N, 2, 2), and the crown's outline."""
    rng = random.Random(f"skeleton/{variant}")
    branches = [((0.0, 0.0), math.pi / 2 + rng.uniform(-0.08, 0.08), rng.uniform(0.25, 0.36))]
    shrink, spread = rng.uniform(0.66, 0.76), rng.uniform(0.35, 0.6)
    levels = []
    for _ in range(_LEVELS):
        lines, following = [], []
        for (u, v), angle, length in branches:
            end = (u + math.cos(angle) * length, v + math.sin(angle) * length)
            lines.append(((u, v), end))
            for turn in (-1, 1) if rng.random() < 0.7 else (-1, 0, 1):
                bent = angle + (turn + rng.uniform(-0.5, 0.5)) * spread
                share = rng.uniform(0.75, 1.0)
                start = (u + (end[0] - u) * share, v + (end[1] - v) * share)
                following.append((start, bent, length * shrink * rng.uniform(0.75, 1.1)))
        levels.append(np.array(lines))
        branches = following
    tall = max(float(lines[:, :, 1].max()) for lines in levels)
    levels = [lines / tall for lines in levels]
    twigs = np.concatenate([lines.reshape(-1, 2) for lines in levels[1:]])
    hull = cv2.convexHull(twigs.astype(np.float32))[:, 0].astype(np.float64)
    return levels, hull


def draw_wires(canvas: Canvas, scene: Scene) -> None:
    """Draw wires above the street in some scenes; they change no class."""
    rng = random.Random(f"wires/{scene.key}")
    if rng.random() < 0.65:
        return
    tone = rng.uniform(0.05, 0.4)
    for _ in range(rng.randint(1, 5)):
        height, sag = rng.uniform(5.0, 9.0), rng.uniform(0.0, 1.2)
        x0, x1 = rng.uniform(-14.0, 14.0), rng.uniform(-14.0, 14.0)
        z0, z1 = rng.uniform(4.0, 20.0), rng.uniform(20.0, 60.0)
        shares = [step / 6 for step in range(7)]
        places = [
            (x0 + (x1 - x0) * s, height - 4.0 * sag * s * (1.0 - s), z0 + (z1 - z0) * s)
            for s in shares
        ]
        points = canvas.fixed_many(canvas.camera.project_many(np.array(places)))
        pairs = np.stack([points[:-1], points[1:]], axis=1)
        canvas.lines(pairs, (tone, tone, tone), depth_code(20.0), None, 1.0)


def draw_road_paint(canvas: Canvas, scene: Scene) -> None:
    """Draw zigzags, boxes, arrows and worn patches on the road; they change no class."""
    rng = random.Random(f"paint/{scene.key}")
    half = scene.lanes * LANE / 2
    bright = rng.uniform(0.55, 0.95)
    white = (bright, bright, bright)
    colours = (white, white, (bright, bright * 0.8, bright * 0.3), palette.asphalt(rng))
    for _ in range(rng.randint(0, 4)):
        colour = canvas.light.shade(rng.choice(colours), (0.0, 1.0, 0.0))
        x, z = rng.uniform(-half, half), rng.uniform(3.0, 25.0)
        for quad in rng.choice((_zigzag, _arrow, _hatching, _patch))(rng, x, z):
            corners = [canvas.camera.project(u, 0.0, max(v, 1.2)) for u, v in quad]
            canvas.fill(corners, colour, 0, None)


def _stroke(x0: float, z0: float, x1: float, z1: float, width: float = 0.12) -> Quad:
    """Return a line on the ground as four corners."""
    return [(x0 - width, z0), (x0 + width, z0), (x1 + width, z1), (x1 - width, z1)]


def _zigzag(rng: random.Random, x: float, z: float) -> list[Quad]:
    """Return the zigzag line beside a crossing."""
    wide, step = rng.uniform(0.3, 0.8), rng.uniform(1.5, 3.0)
    return [
        _stroke(x + wide * (n % 2), z + n * step, x + wide * ((n + 1) % 2), z + (n + 1) * step)
        for n in range(6)
    ]


def _arrow(rng: random.Random, x: float, z: float) -> list[Quad]:
    """Return an arrow of a lane, or a word's strokes."""
    if rng.random() < 0.5:
        return [
            _stroke(x + n * 0.35, z, x + (n + rng.randint(-1, 1)) * 0.35, z + 1.8) for n in range(5)
        ]
    head = [(x - 0.45, z + 2.5), (x + 0.45, z + 2.5), (x + 0.05, z + 4.0), (x - 0.05, z + 4.0)]
    return [_stroke(x, z, x, z + 2.5), head]


def _hatching(rng: random.Random, x: float, z: float) -> list[Quad]:
    """Return crossed lines of a box that must stay free."""
    wide, deep = rng.uniform(2.0, 5.0), rng.uniform(4.0, 8.0)
    lines = []
    for n in range(4):
        shift = n / 3
        lines.append(_stroke(x - wide + shift * wide, z, x + shift * wide, z + deep))
        lines.append(_stroke(x + shift * wide, z, x - wide + shift * wide, z + deep))
    return lines


def _patch(rng: random.Random, x: float, z: float) -> list[Quad]:
    """Return a patch of other asphalt, or a coloured lane."""
    wide, deep = rng.uniform(0.4, 1.6), rng.uniform(1.0, 30.0)
    return [[(x - wide, z), (x + wide, z), (x + wide, z + deep), (x - wide, z + deep)]]
