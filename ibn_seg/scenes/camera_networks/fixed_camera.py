"""A camera that does not move: its street is drawn once, and each sighting into a part of it."""

import dataclasses
import random
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from ibn_seg.scenes.canvas import NEAR, Canvas, Light
from ibn_seg.scenes.layout import lay_out
from ibn_seg.scenes.looks import Look, develop, look_of
from ibn_seg.scenes.render import draw_scene, scene_camera
from ibn_seg.scenes.scene import Scene
from ibn_seg.scenes.styles import STYLES

# Width and height of a camera's picture, and of a crop.
FRAME = (768, 384)
CROP = (64, 128)
# People stand between these depths in metres, and whatever would hide them is left out.
NEAREST, FARTHEST = 6.2, 10.0
# The first scene of each network; the scenes of the other data sets have other numbers.
_FIRST_SCENE = {"source": 7_000_000, "target": 8_000_000}
# Spread of exposure and contrast between the pictures of a camera, as the weather changes.
_EXPOSURE, _CONTRAST = 0.12, 0.05


@dataclass(frozen=True)
class Box:
    """A part of a camera's picture in pixels; it may reach beyond it."""

    left: int
    top: int
    right: int
    bottom: int

    def inside(self) -> "Box":
        """Return the box, moved into the picture."""
        across = min(max(-self.left, 0), FRAME[0] - self.right)
        down = min(max(-self.top, 0), FRAME[1] - self.bottom)
        return Box(self.left + across, self.top + down, self.right + across, self.bottom + down)


class FixedCamera:
    """A camera above a street.

    Args:
        network: 'source' or 'target'; its style too.
        number: The camera in its network, from 0.
        seed: Chooses the series of scenes.
    """

    def __init__(self, network: str, number: int, seed: int) -> None:
        key = f"camera/{network}/{seed}/{number}"
        rng = random.Random(key)
        self.scene = _empty(lay_out(seed, _FIRST_SCENE[network] + number), rng)
        self.camera = scene_camera(self.scene, FRAME)
        self.look = look_of(STYLES[network], rng)
        self.light = Light(self.scene.sun, self.look.sun, self.look.sky)

    @cached_property
    def background(self) -> Canvas:
        """The street without people."""
        canvas = Canvas(self.camera, self.light)
        draw_scene(canvas, self.scene, self.look)
        return canvas

    def spot(self, rng: random.Random) -> tuple[float, float]:
        """Return where somebody stands: world x and depth, in the street and in the picture."""
        z = rng.uniform(NEAREST, FARTHEST)
        left, right = (self._at_column(share * FRAME[0], z) for share in (0.1, 0.9))
        low, high = (side.side * side.walk_end * 0.95 for side in self.scene.sides)
        low, high = max(left, low), min(right, high)
        # A camera beside the street may not see it so near; then people stand in its middle.
        return (rng.uniform(low, high) if low < high else (left + right) / 2), z

    def _at_column(self, column: float, z: float) -> float:
        """Return the world x that is seen at a column of pixels."""
        camera = self.camera
        return (column - camera.cx) * max(z, NEAR) / camera.focal + camera.x - camera.bend * z * z

    def window(self, box: Box) -> Canvas:
        """Return the street in a box of the picture, to be drawn on."""
        camera = dataclasses.replace(
            self.camera,
            width=box.right - box.left,
            height=box.bottom - box.top,
            cx=self.camera.cx - box.left,
            cy=self.camera.cy - box.top,
        )
        canvas, part = Canvas(camera, self.light), np.s_[box.top : box.bottom, box.left : box.right]
        canvas.image[:] = self.background.image[part]
        canvas.label[:] = self.background.label[part]
        return canvas

    def shot(self, canvas: Canvas, rng: random.Random) -> np.ndarray:
        """Return a window as the camera delivers it, as a crop (128, 64, 3) uint8 RGB."""
        look = _at_another_time(self.look, rng)
        picture = develop(canvas, look, np.random.default_rng(rng.getrandbits(63)))
        return cv2.resize(picture, CROP, interpolation=cv2.INTER_LINEAR_EXACT)


def _empty(scene: Scene, rng: random.Random) -> Scene:
    """Return a scene as a fixed camera above it sees it, without people and near things."""
    kept = [
        item
        for item in scene.items
        if item.kind not in ("person", "rider") and item.z > FARTHEST + 1.0
    ]
    return dataclasses.replace(
        scene, items=tuple(kept), eye=rng.uniform(1.7, 2.5), horizon=rng.uniform(0.34, 0.42),
        bonnet=False,
    )  # fmt: skip


def _at_another_time(look: Look, rng: random.Random) -> Look:
    """Return the look of a camera with a little more or less light."""
    return dataclasses.replace(
        look,
        exposure=look.exposure * rng.uniform(1 - _EXPOSURE, 1 + _EXPOSURE),
        contrast=look.contrast * rng.uniform(1 - _CONTRAST, 1 + _CONTRAST),
    )
