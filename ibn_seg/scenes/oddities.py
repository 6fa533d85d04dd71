"""Things that are none of the classes, on the road of a scene: the domain `oddities`.

Their shapes and patterns occur in no other scene. They are labelled 'dynamic', a void class that
nothing else in the scenes has, so that label alone is the mask of unknown things.
"""

import dataclasses
import math
import random
from collections.abc import Callable

from ibn_seg.scenes.canvas import Board, Canvas, Colour, disc_points, mix, scaled
from ibn_seg.scenes.ids import DYNAMIC
from ibn_seg.scenes.scene import LANE, Item, Scene

ODDITIES = "oddities"
# The share of the pixels that unknown things have in a frame; a frame outside is drawn anew.
LEAST, MOST = 0.005, 0.05
# Colours that no car, house or sign of the scenes has: pure, and two of them beside each other.
_COLOURS: tuple[Colour, ...] = (
    (0.95, 0.1, 0.8), (0.1, 0.95, 0.85), (0.7, 1.0, 0.1), (0.45, 0.1, 0.95), (1.0, 0.45, 0.65),
    (0.05, 0.35, 1.0), (1.0, 0.75, 0.95), (0.1, 0.6, 0.2),
)  # fmt: skip

Paint = tuple[Colour, Colour]
Points = list[tuple[float, float]]


def with_oddities(scene: Scene, attempt: int) -> Scene:
    """Return a scene with one to four unknown things on its road.

    Args:
        scene: A scene without them.
        attempt: Other numbers give other things in other places.
    """
    rng = random.Random(f"{ODDITIES}/{scene.key}/{attempt}")
    reach = max(LANE * 0.4, scene.lanes * LANE / 2 - 0.8)
    items = []
    for number in range(rng.randint(1, 4)):
        height = rng.uniform(0.7, 2.2)
        items.append(
            Item(
                kind="oddity",
                x=rng.uniform(-reach, reach),
                z=rng.uniform(5.0, 18.0),
                key=f"{ODDITIES}/{scene.key}/{attempt}/{number}",
                half_width=height * 0.4,
                length=height * 0.5,
                height=height,
                options={"shape": rng.choice(sorted(SHAPES))},
            )
        )
    return dataclasses.replace(scene, items=(*scene.items, *items))


def draw_oddity(canvas: Canvas, item: Item) -> None:
    """Draw one unknown thing; its shape is the option of this name."""
    rng = random.Random(item.key)
    board = Board(canvas, item.x, item.z, rng.choice((-1.0, 1.0)) * rng.uniform(0.8, 1.0))
    first, second = rng.sample(_COLOURS, 2)
    shade = canvas.light.shade
    paint = shade(first, (0.0, 0.4, -0.9)), shade(second, (0.0, 0.4, -0.9))
    SHAPES[item.options["shape"]](board, item.height, paint, rng)


def _outline(board: Board, points: Points, colour: Colour) -> None:
    """Fill a shape of any form."""
    board.canvas.fill_outline(board.place(points), colour, board.depth, DYNAMIC)


def _ball(board: Board, size: float, paint: Paint, rng: random.Random) -> None:
    """Draw a beach ball: sectors of two colours."""
    ring = disc_points(0.0, size / 2, size / 2, size / 2, 24)
    hub = (size * 0.1, size * 0.6)
    for at in range(24):
        corners = (hub, ring[at], ring[(at + 1) % 24])
        board.poly(corners, paint[at // 3 % 2], DYNAMIC)


def _star(board: Board, size: float, paint: Paint, rng: random.Random) -> None:
    """Draw a star with a smaller one inside."""
    points = rng.choice((5, 6, 7))
    for scale, colour in ((1.0, paint[0]), (0.55, paint[1])):
        corners = []
        for at in range(2 * points):
            radius = size * scale * (0.5 if at % 2 == 0 else 0.22)
            angle = math.pi * at / points + math.pi / 2
            corners.append((radius * math.cos(angle), size / 2 + radius * math.sin(angle)))
        _outline(board, corners, colour)


def _ring(board: Board, size: float, paint: Paint, rng: random.Random) -> None:
    """Draw an upright ring of striped segments, with the road seen through it."""
    outer = disc_points(0.0, size / 2, size / 2, size / 2, 24)
    inner = disc_points(0.0, size / 2, size * 0.28, size * 0.28, 24)
    for at in range(24):
        after = (at + 1) % 24
        corners = (outer[at], outer[after], inner[after], inner[at])
        board.poly(corners, paint[at // 2 % 2], DYNAMIC)


def _chequers(board: Board, size: float, paint: Paint, rng: random.Random) -> None:
    """Draw a cube with a chequered front."""
    cell = size * 0.8 / 4
    for row in range(4):
        for column in range(4):
            u = (column - 2) * cell
            colour = paint[(row + column) % 2]
            board.box(u, row * cell, u + cell, (row + 1) * cell, colour, DYNAMIC)
    top, side = size * 0.8, size * 0.4
    lid = ((-side, top), (side, top), (side * 1.2, size), (-side * 0.8, size))
    board.poly(lid, scaled(paint[0], 0.7), DYNAMIC)


def _pyramid(board: Board, size: float, paint: Paint, rng: random.Random) -> None:
    """Draw a pyramid of level bands."""
    for band in range(6):
        low, high = band / 6, (band + 1) / 6
        left, right = (1 - low) * size * 0.5, (1 - high) * size * 0.5
        corners = ((-left, low * size), (left, low * size), (right, high * size),
                   (-right, high * size))  # fmt: skip
        board.poly(corners, paint[band % 2], DYNAMIC)


def _stack(board: Board, size: float, paint: Paint, rng: random.Random) -> None:
    """Draw a stack of flat discs, one on the other."""
    for disc in range(5):
        half = size * rng.uniform(0.18, 0.45)
        points = disc_points(0.0, size * (disc + 0.5) / 5, half, size * 0.12, 20)
        board.poly(points, paint[disc % 2], DYNAMIC)


def _dotted(board: Board, size: float, paint: Paint, rng: random.Random) -> None:
    """Draw a lump with dots on it."""
    corners = []
    for at in range(16):
        radius = size * rng.uniform(0.38, 0.5)
        angle = 2 * math.pi * at / 16
        corners.append((radius * math.cos(angle), size / 2 + radius * math.sin(angle)))
    _outline(board, corners, paint[0])
    for _ in range(9):
        angle, far = rng.uniform(0, 2 * math.pi), size * rng.uniform(0.0, 0.28)
        u, v = far * math.cos(angle), size / 2 + far * math.sin(angle)
        board.disc(u, v, size * 0.06, paint[1], DYNAMIC, sides=10)


def _duck(board: Board, size: float, paint: Paint, rng: random.Random) -> None:
    """Draw a bath duck."""
    board.poly(disc_points(0.0, size * 0.3, size * 0.5, size * 0.3, 20), paint[0], DYNAMIC)
    board.disc(size * 0.25, size * 0.75, size * 0.24, paint[0], DYNAMIC, sides=20)
    beak = ((size * 0.45, size * 0.82), (size * 0.7, size * 0.72), (size * 0.45, size * 0.64))
    board.poly(beak, paint[1], DYNAMIC)
    wing = disc_points(-size * 0.1, size * 0.32, size * 0.24, size * 0.13, 16)
    board.poly(wing, mix(paint[0], paint[1], 0.5), DYNAMIC)


def _zigzag(board: Board, size: float, paint: Paint, rng: random.Random) -> None:
    """Draw an upright panel of zigzag stripes."""
    stripes, half = 6, size * 0.38
    for stripe in range(stripes):
        low, rise = stripe * size / (stripes + 1), size / (stripes + 1)
        for part in range(4):
            u0, u1 = (-half + half * (part + k) / 2 for k in (0, 1))
            v0, v1 = (low, low + rise) if part % 2 == 0 else (low + rise, low)
            corners = ((u0, v0), (u1, v1), (u1, v1 + rise), (u0, v0 + rise))
            board.poly(corners, paint[stripe % 2], DYNAMIC)


def _balloons(board: Board, size: float, paint: Paint, rng: random.Random) -> None:
    """Draw a bunch of balloons on strings."""
    for balloon in range(5):
        u, v = size * rng.uniform(-0.35, 0.35), size * rng.uniform(0.6, 0.85)
        board.bar((0.0, 0.0), (u, v), size * 0.02, paint[1], DYNAMIC)
        points = disc_points(u, v, size * 0.15, size * 0.18, 16)
        board.poly(points, paint[balloon % 2], DYNAMIC)


SHAPES: dict[str, Callable[[Board, float, Paint, random.Random], None]] = {
    "ball": _ball,
    "star": _star,
    "ring": _ring,
    "chequers": _chequers,
    "pyramid": _pyramid,
    "stack": _stack,
    "dotted": _dotted,
    "duck": _duck,
    "zigzag": _zigzag,
    "balloons": _balloons,
}
