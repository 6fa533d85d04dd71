"""Draws what a detector cuts out of a camera's picture: a person, a false alarm, or a loose box."""

import random
from dataclasses import dataclass

import numpy as np

from ibn_seg.scenes.camera_networks.figure import TALL, VIEWS, Figure, Pose
from ibn_seg.scenes.camera_networks.fixed_camera import Box, FixedCamera
from ibn_seg.scenes.camera_networks.outfits import Outfit, outfit_of
from ibn_seg.scenes.canvas import Board, Canvas, disc_points
from ibn_seg.scenes.ids import SIDEWALK, STATIC
from ibn_seg.scenes.scene import pick

# A detector's box is a little higher than the person and half as wide as high, like the crops.
_MARGIN = 1.08
# Share of the box's height by which it is moved and made larger or smaller.
_JITTER = 0.05
# Share of pictures in which somebody or something stands in front.
_HIDDEN = 0.15
# Share of false alarms that show a part of somebody.
_CUT = 0.5
# Overlap (intersection over union) of junk with the person's box, as Market-1501 defines it.
JUNK_OVERLAP = (0.2, 0.5)


@dataclass(frozen=True)
class Sighting:
    """A picture to draw.

    Attributes:
        kind: 'person', 'junk' (a loose box around a person) or 'distractor' (a false alarm).
        identity: The number of the person, or of the false alarm.
        camera: The camera, from 0.
        number: Which picture of this person in this camera.
    """

    kind: str
    identity: int
    camera: int
    number: int


def draw_sighting(camera: FixedCamera, sighting: Sighting, key: str) -> np.ndarray:
    """Return the crop of a sighting, (128, 64, 3) uint8 RGB.

    Args:
        camera: Its camera.
        sighting: What to draw.
        key: Network and seed. With the sighting it decides everything.
    """
    rng = random.Random(f"sighting/{key}/{sighting}")
    x, z = camera.spot(rng)
    outfit = outfit_of(f"{key}/{sighting.kind == 'distractor'}/{sighting.identity}")
    box = _box(camera, x, z, outfit, rng)
    somebody = True
    if sighting.kind == "junk":
        box = _loose(box, rng)
    if sighting.kind == "distractor":
        somebody = rng.random() < _CUT
        box = _loose(box, rng, (0.05, 0.2))
    canvas = camera.window(box.inside())
    if somebody:
        _shadow(canvas, x, z, outfit)
        Figure(canvas, x, z, outfit, _pose(rng)).draw()
    if rng.random() < _HIDDEN:
        _hide(canvas, x, z, rng)
    return camera.shot(canvas, rng)


def _pose(rng: random.Random) -> Pose:
    return Pose(pick(rng, *VIEWS), rng.random() < 0.5, rng.uniform(0.06, 0.3))


def _box(camera: FixedCamera, x: float, z: float, outfit: Outfit, rng: random.Random) -> Box:
    """Return the box that a detector draws around a person."""
    column, bottom = camera.camera.project(x, 0.0, z)
    tall = TALL * outfit.height * camera.camera.focal / z
    height = tall * _MARGIN * (1 + rng.uniform(-_JITTER, _JITTER))
    middle = bottom - tall / 2 + height * rng.uniform(-_JITTER, _JITTER)
    column += height * rng.uniform(-_JITTER, _JITTER)
    return _around(column, middle, height)


def _around(column: float, row: float, height: float) -> Box:
    """Return a box half as wide as high, given by its middle."""
    high = int(height)
    left, top = int(column - high / 4), int(row - high / 2)
    return Box(left, top, left + high // 2, top + high)


def _loose(box: Box, rng: random.Random, overlap: tuple[float, float] = JUNK_OVERLAP) -> Box:
    """Return a box of the same size that overlaps another one by a share within a range."""
    wide, high = box.right - box.left, box.bottom - box.top
    wanted = rng.uniform(*overlap)
    # Of equal boxes moved along one axis by a share s, the overlap is (1 - s) / (1 + s).
    share = (1 - wanted) / (1 + wanted)
    if rng.random() < 0.6:
        across, down = int(share * wide) * pick(rng, -1, 1), 0
    else:
        across, down = 0, int(share * high) * pick(rng, -1, 1)
    return Box(box.left + across, box.top + down, box.right + across, box.bottom + down)


def _shadow(canvas: Canvas, x: float, z: float, outfit: Outfit) -> None:
    """Darken the ground below a person."""
    board = Board(canvas, x, z)
    feet = board.place(disc_points(0.0, 0.02, 0.34 * outfit.width, 0.07, 12))
    canvas.veil(feet, (0.0, 0.0, 0.0), board.depth, SIDEWALK, 0.35)


def _hide(canvas: Canvas, x: float, z: float, rng: random.Random) -> None:
    """Draw somebody else or a box in front, who hides a part of the person."""
    near = z - rng.uniform(0.3, 0.8)
    # What hides stands on the line of sight, moved to the side.
    place = canvas.camera.x + (x - canvas.camera.x) * near / z
    aside = pick(rng, -1, 1)
    if rng.random() < 0.6:
        other = outfit_of(f"passer/{rng.getrandbits(32)}")
        Figure(canvas, place + aside * rng.uniform(0.25, 0.45), near, other, _pose(rng)).draw()
        return
    board = Board(canvas, place + aside * rng.uniform(0.0, 0.3), near)
    tone = rng.uniform(0.15, 0.6)
    board.box(-0.35, 0.0, 0.35, rng.uniform(0.5, 0.9), (tone, tone * 0.95, tone * 0.9), STATIC)
