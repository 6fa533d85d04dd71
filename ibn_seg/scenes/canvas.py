"""The drawing surface: one call paints a shape's colour, depth and class together.

Colours are anti-aliased and classes are not. Both come from the same vertices. The camera and the
light live here too, because every shape goes through them.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

Colour = tuple[float, float, float]
Point = tuple[float, float]

# Vertices are handed to OpenCV in sixteenths of a pixel.
_SHIFT = 4
_UNIT = 1 << _SHIFT

# Depth z (metres) is stored in a byte as 255 z / (z + DEPTH_HALF): fine near, coarse far.
DEPTH_HALF = 40.0
NEAR = 0.8


def depth_code(z: float) -> int:
    """Return the byte that stands for a depth of `z` metres."""
    return int(255.0 * z / (z + DEPTH_HALF))


@dataclass(frozen=True)
class Camera:
    """A pinhole camera above a flat, possibly bending road.

    World axes: x to the right, y up, z ahead, in metres; the road's axis is x = 0.

    Attributes:
        width: Frame width in pixels.
        height: Frame height in pixels.
        focal: Focal length in pixels.
        cx: Column of the vanishing point in pixels.
        cy: Row of the horizon in pixels.
        eye: Height of the camera above the road in metres.
        x: Lateral position of the camera in metres.
        bend: The road's sideways drift; a point at depth z lies bend * z**2 to the right.
    """

    width: int
    height: int
    focal: float
    cx: float
    cy: float
    eye: float
    x: float
    bend: float

    def project(self, x: float, y: float, z: float) -> Point:
        """Return the pixel (column, row) of one world point."""
        z = z if z > NEAR else NEAR
        scale = self.focal / z
        return (
            self.cx + (x - self.x + self.bend * z * z) * scale,
            self.cy + (self.eye - y) * scale,
        )

    def project_many(self, points: np.ndarray) -> np.ndarray:
        """Return pixels of shape (..., 2) for world points of shape (..., 3)."""
        z = np.maximum(points[..., 2], NEAR)
        scale = self.focal / z
        columns = self.cx + (points[..., 0] - self.x + self.bend * z * z) * scale
        return np.stack([columns, self.cy + (self.eye - points[..., 1]) * scale], axis=-1)

    def ground_depth(self) -> np.ndarray:
        """Return the depth in metres of the ground at the centre of each row, shape (height,).

        Rows at or above the horizon have depth infinity.
        """
        below = np.arange(self.height) + 0.5 - self.cy
        depth = np.full(self.height, np.inf)
        depth[below > 0] = self.focal * self.eye / below[below > 0]
        return depth


@dataclass(frozen=True)
class Light:
    """Sunlight from one direction and light of the whole sky.

    Attributes:
        direction: Unit vector towards the sun.
        sun: Strength of the direct light per channel.
        sky: Strength of the diffuse light per channel.
    """

    direction: tuple[float, float, float]
    sun: Colour
    sky: Colour

    def shade(self, colour: Colour, normal: tuple[float, float, float]) -> Colour:
        """Return the colour of a surface with this normal under this light."""
        x, y, z = self.direction
        # Bounced light reaches a little around the edge of the shade.
        facing = max(0.0, (x * normal[0] + y * normal[1] + z * normal[2] + 0.3) / 1.3)
        # Half of the sky is hidden from upright surfaces.
        openness = 0.8 + 0.2 * normal[1]
        red, green, blue = colour
        return (
            red * (self.sky[0] * openness + self.sun[0] * facing),
            green * (self.sky[1] * openness + self.sun[1] * facing),
            blue * (self.sky[2] * openness + self.sun[2] * facing),
        )


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Return a mixture: `share` of `second`, the rest `first`."""
    keep = 1.0 - share
    return (
        first[0] * keep + second[0] * share,
        first[1] * keep + second[1] * share,
        first[2] * keep + second[2] * share,
    )


def scaled(colour: Colour, factor: float) -> Colour:
    """Return the colour made lighter or darker by a factor."""
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


class Canvas:
    """Colour with depth, and classes, of the frame being drawn.

    Attributes:
        image: (height, width, 4) uint8: red, green, blue, depth code.
        label: (height, width) uint8 Cityscapes raw ids.
        camera: The camera that world points go through.
        light: The light that lit colours go through.
    """

    def __init__(self, camera: Camera, light: Light) -> None:
        self.camera = camera
        self.light = light
        self.image = np.zeros((camera.height, camera.width, 4), np.uint8)
        self.label = np.zeros((camera.height, camera.width), np.uint8)

    def fixed(self, points: Iterable[Point]) -> np.ndarray:
        """Return vertices as OpenCV's fixed-point int32 array of shape (N, 2)."""
        return np.array([(int(x * _UNIT), int(y * _UNIT)) for x, y in points], np.int32)

    def fixed_many(self, points: np.ndarray) -> np.ndarray:
        """Return pixels of any shape (..., 2) as fixed-point int32."""
        return (points * _UNIT).astype(np.int32)

    def fill(self, points: Iterable[Point], colour: Colour, depth: int, raw_id: int | None) -> None:
        """Fill a convex polygon given in pixels.

        Args:
            points: Vertices (column, row).
            colour: Red, green, blue in 0..1; brighter values are clipped.
            depth: Depth code.
            raw_id: Class of the shape; None leaves the classes as they are (a marking).
        """
        self.fill_fixed(self.fixed(points), colour, depth, raw_id)

    def fill_fixed(
        self, vertices: np.ndarray, colour: Colour, depth: int, raw_id: int | None
    ) -> None:
        """Fill a convex polygon given in fixed-point pixels."""
        paint = _paint(colour, depth)
        cv2.fillConvexPoly(self.image, vertices, paint, cv2.LINE_AA, _SHIFT)
        if raw_id is not None:
            cv2.fillConvexPoly(self.label, vertices, raw_id, cv2.LINE_8, _SHIFT)

    def fill_outline(
        self, vertices: np.ndarray, colour: Colour, depth: int, raw_id: int | None
    ) -> None:
        """Fill a polygon of any form, given in fixed-point pixels."""
        cv2.fillPoly(self.image, [vertices], _paint(colour, depth), cv2.LINE_AA, _SHIFT)
        if raw_id is not None:
            cv2.fillPoly(self.label, [vertices], raw_id, cv2.LINE_8, _SHIFT)

    def fill_group(
        self, polygons: Sequence[np.ndarray], colour: Colour, depth: int, raw_id: int | None
    ) -> None:
        """Fill polygons that do not overlap each other, all in one colour."""
        if len(polygons) == 0:
            return
        polygons = list(polygons)
        cv2.fillPoly(self.image, polygons, _paint(colour, depth), cv2.LINE_AA, _SHIFT)
        if raw_id is not None:
            cv2.fillPoly(self.label, polygons, raw_id, cv2.LINE_8, _SHIFT)

    def lines(
        self,
        segments: np.ndarray,
        colour: Colour,
        depth: int,
        raw_id: int | None,
        width: float,
    ) -> None:
        """Draw straight lines of one width, given in fixed-point pixels.

        Args:
            segments: Ends, (N, 2, 2).
            colour: Red, green, blue in 0..1; brighter values are clipped.
            depth: Depth code.
            raw_id: Class of the lines; None leaves the classes as they are.
            width: In pixels; at least one whole pixel is drawn.
        """
        thick = max(int(width + 0.5), 1)
        pieces = list(segments)
        cv2.polylines(self.image, pieces, False, _paint(colour, depth), thick, cv2.LINE_AA, _SHIFT)
        if raw_id is not None:
            cv2.polylines(self.label, pieces, False, raw_id, thick, cv2.LINE_8, _SHIFT)

    def veil(
        self, vertices: np.ndarray, colour: Colour, depth: int, raw_id: int, opacity: float
    ) -> None:
        """Fill a polygon with see-through colour; its class covers the whole polygon.

        For things with fine gaps, such as spokes and wire, which annotators outline as one piece.
        """
        left, top = np.maximum(vertices.min(axis=0) // _UNIT - 1, 0)
        right = min(int(vertices[:, 0].max()) // _UNIT + 2, self.camera.width)
        bottom = min(int(vertices[:, 1].max()) // _UNIT + 2, self.camera.height)
        if right <= left or bottom <= top:
            return
        below = self.image[top:bottom, left:right].copy()
        self.fill_outline(vertices, colour, depth, raw_id)
        above = self.image[top:bottom, left:right]
        cv2.addWeighted(above, opacity, below, 1.0 - opacity, 0.0, dst=above)

    def face(
        self,
        points: Sequence[tuple[float, float, float]],
        colour: Colour,
        raw_id: int | None,
        normal: tuple[float, float, float],
        depth: float | None = None,
    ) -> None:
        """Fill a convex, lit face given by its world points."""
        project = self.camera.project
        near = max(min(p[2] for p in points), 1.0) if depth is None else depth
        far = max(p[2] for p in points)
        # The harmonic mean is where the middle of the face appears in the picture.
        code = depth_code(2.0 * near * far / (near + far) if depth is None else depth)
        self.fill([project(*p) for p in points], self.light.shade(colour, normal), code, raw_id)


class Board:
    """An upright drawing plane facing the camera, in metres, at one spot of the ground.

    Args:
        canvas: Where to draw.
        x: World x of the board's origin in metres.
        z: Depth of the board in metres.
        squeeze: Factor on horizontal lengths. Below 1 for things seen at an angle; negative to
            mirror.
        base: Height of the origin above the road in metres.
    """

    def __init__(
        self, canvas: Canvas, x: float, z: float, squeeze: float = 1.0, base: float = 0.0
    ) -> None:
        self.canvas = canvas
        left, bottom = canvas.camera.project(x, base, z)
        self.left, self.bottom = left * _UNIT, bottom * _UNIT
        self.scale = canvas.camera.focal / z
        self.across = self.scale * squeeze
        self.depth = depth_code(z)

    def place(self, points: Iterable[Point]) -> np.ndarray:
        """Return fixed-point pixels of points (u right, v up) given in metres."""
        left, bottom = self.left, self.bottom
        across, scale = self.across * _UNIT, self.scale * _UNIT
        return np.array(
            [(int(left + u * across), int(bottom - v * scale)) for u, v in points], np.int32
        )

    def place_many(self, points: np.ndarray) -> np.ndarray:
        """Return fixed-point pixels for an array (..., 2) of points in metres."""
        factor = (self.across * _UNIT, -self.scale * _UNIT)
        return (points * factor + (self.left, self.bottom)).astype(np.int32)

    def poly(self, points: Iterable[Point], colour: Colour, raw_id: int | None) -> None:
        """Fill a convex polygon (u right, v up) given in metres."""
        self.canvas.fill_fixed(self.place(points), colour, self.depth, raw_id)

    def box(
        self, u0: float, v0: float, u1: float, v1: float, colour: Colour, raw_id: int | None
    ) -> None:
        """Fill an upright rectangle given in metres."""
        self.poly(((u0, v0), (u1, v0), (u1, v1), (u0, v1)), colour, raw_id)

    def disc(
        self, u: float, v: float, radius: float, colour: Colour, raw_id: int | None, sides: int = 12
    ) -> None:
        """Fill a disc given in metres."""
        self.poly(disc_points(u, v, radius, radius, sides), colour, raw_id)

    def bar(
        self,
        start: Point,
        end: Point,
        width: float,
        colour: Colour,
        raw_id: int | None,
        end_width: float | None = None,
    ) -> None:
        """Fill a straight bar from `start` to `end`, widths in metres; it may taper."""
        du, dv = end[0] - start[0], end[1] - start[1]
        length = math.hypot(du, dv) or 1.0
        nu, nv = -dv / length / 2, du / length / 2
        last = width if end_width is None else end_width
        self.poly(
            (
                (start[0] + nu * width, start[1] + nv * width),
                (end[0] + nu * last, end[1] + nv * last),
                (end[0] - nu * last, end[1] - nv * last),
                (start[0] - nu * width, start[1] - nv * width),
            ),
            colour,
            raw_id,
        )


def disc_points(u: float, v: float, across: float, up: float, sides: int = 12) -> list[Point]:
    """Return the corners of an ellipse around (u, v)."""
    return [(u + across * c, v + up * s) for c, s in _circle(sides)]


_CIRCLES: dict[int, list[Point]] = {
    n: [(math.cos(2 * math.pi * i / n), math.sin(2 * math.pi * i / n)) for i in range(n)]
    for n in (6, 8, 10, 12, 16, 20, 24)
}


def _circle(sides: int) -> list[Point]:
    """Return the corners of the unit circle's polygon."""
    return _CIRCLES[sides]


def _paint(colour: Colour, depth: int) -> tuple[float, float, float, int]:
    """Return a colour for OpenCV, which rounds and clips it itself."""
    red, green, blue = colour
    return red * 255.0, green * 255.0, blue * 255.0, depth
