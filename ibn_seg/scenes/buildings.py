"""Houses and blocks in perspective, with windows, doors, shops, balconies and roofs."""

import random
from dataclasses import dataclass

import numpy as np

from ibn_seg.scenes import palette
from ibn_seg.scenes.canvas import Canvas, Colour, depth_code, mix, scaled
from ibn_seg.scenes.ids import BUILDING
from ibn_seg.scenes.scene import Plot, pick

_FLOOR = 3.1

# Edges of one rectangle, or of many at once.
Edge = float | np.ndarray


class Plane:
    """An upright rectangle of wall to draw shapes on: u runs along it, v runs up, in metres."""

    def __init__(
        self,
        canvas: Canvas,
        start: tuple[float, float],
        end: tuple[float, float],
        normal: tuple[float, float, float],
    ) -> None:
        self.canvas = canvas
        self.start, self.end = start, end
        self.length = abs(end[0] - start[0]) + abs(end[1] - start[1])
        self.step = ((end[0] - start[0]) / self.length, (end[1] - start[1]) / self.length)
        self.normal = normal
        near, far = sorted((max(start[1], 1.0), max(end[1], 1.0)))
        self.code = depth_code(2 * near * far / (near + far))
        # Pixels per metre in the nearest part. They decide which details are worth drawing.
        self.detail = canvas.camera.focal / max(near, 4.0)

    def draw(self, colour: Colour, u0: Edge, v0: Edge, u1: Edge, v1: Edge) -> None:
        """Paint one rectangle, or many given as arrays of edges, within the wall."""
        lit = self.canvas.light.shade(colour, self.normal)
        if isinstance(u0, float) and isinstance(v0, float):
            project = self.canvas.camera.project
            (x, z), (dx, dz) = self.start, self.step
            corners = ((u0, v0), (u1, v0), (u1, v1), (u0, v1))
            placed = [project(x + dx * u, v, z + dz * u) for u, v in corners]
            self.canvas.fill(placed, lit, self.code, None)
            return
        self.canvas.fill_group(self.rectangles(u0, v0, u1, v1), lit, self.code, None)

    def paint(self, colour: Colour, rectangles: np.ndarray) -> None:
        """Paint rectangles that `rectangles` returned, in one lit colour."""
        lit = self.canvas.light.shade(colour, self.normal)
        self.canvas.fill_group(rectangles, lit, self.code, None)

    def rectangles(self, u0: Edge, v0: Edge, u1: Edge, v1: Edge) -> np.ndarray:
        """Return many rectangles as fixed-point corners, (N, 4, 2)."""
        camera = self.canvas.camera
        (left, left_scale), (right, right_scale) = self._columns(u0), self._columns(u1)
        corners = np.empty((max(np.size(left), np.size(v0)), 4, 2))
        corners[:, 0, 0] = corners[:, 3, 0] = left
        corners[:, 1, 0] = corners[:, 2, 0] = right
        low, high = camera.eye - v0, camera.eye - v1
        corners[:, 0, 1] = low * left_scale
        corners[:, 1, 1] = low * right_scale
        corners[:, 2, 1] = high * right_scale
        corners[:, 3, 1] = high * left_scale
        corners[:, :, 1] += camera.cy
        return self.canvas.fixed_many(corners)

    def _columns(self, u: Edge) -> tuple[Edge, Edge]:
        """Return the pixel columns and the pixels per metre at places along the wall."""
        camera = self.canvas.camera
        if self.step[1] == 0.0:
            scale = camera.focal / self.start[1]
            shift = self.start[0] - camera.x + camera.bend * self.start[1] ** 2
            return camera.cx + (shift + self.step[0] * u) * scale, scale
        z = self.start[1] + u
        scale = camera.focal / z
        return camera.cx + (
            self.start[0] - camera.x
        ) * scale + camera.bend * camera.focal * z, scale

    def shape(self, colour: Colour, points: list[tuple[float, float]]) -> None:
        """Fill one convex shape in a lit colour."""
        project = self.canvas.camera.project
        (x, z), (dx, dz) = self.start, self.step
        placed = [project(x + dx * u, v, z + dz * u) for u, v in points]
        self.canvas.fill(placed, self.canvas.light.shade(colour, self.normal), self.code, BUILDING)


@dataclass(frozen=True)
class Shape:
    """Size of a plot's building: number of floors, height of its walls, depth from the street."""

    floors: int
    height: float
    deep: float


def shape_of(plot: Plot) -> Shape:
    """Return the size of the building of a plot."""
    rng = random.Random(f"shape/{plot.key}")
    if plot.kind == "house":
        floors = pick(rng, 1, 2, 2)
        return Shape(floors, floors * 2.9 + 0.6, rng.uniform(7.0, 10.0))
    floors = pick(rng, 2, 3, 3, 4, 4, 5, 7)
    return Shape(floors, floors * _FLOOR + rng.uniform(0.8, 1.6), rng.uniform(10.0, 16.0))


def draw_building(canvas: Canvas, plot: Plot, end_shows: bool) -> None:
    """Draw the building of a plot: the wall along the street, the end wall and the roof.

    Args:
        canvas: Where to draw.
        plot: The land that it stands on.
        end_shows: Whether nearer buildings leave a part of its end wall visible.
    """
    rng = random.Random(f"building/{plot.key}")
    wall = palette.facade(rng)
    trim = pick(rng, scaled(wall, 0.7), mix(wall, (0.95, 0.94, 0.9), 0.7), scaled(wall, 1.2))
    x = plot.side * plot.front
    near = max(plot.near, 1.5)
    shape = shape_of(plot)
    floors, height, deep = shape.floors, shape.height, shape.deep
    street = Plane(canvas, (x, near), (x, plot.far), (-plot.side, 0.0, 0.0))
    end = Plane(canvas, (x, near), (x + plot.side * deep, near), (0.0, 0.0, -1.0))
    roof = pick(rng, (0.45, 0.2, 0.15), (0.3, 0.3, 0.33), (0.38, 0.27, 0.2), (0.2, 0.22, 0.25))
    if plot.kind == "house":
        _pitched_roof(canvas, plot, x, near, deep, height, roof, end, wall)
    planes = (end, street) if end_shows else (street,)
    for plane in planes:
        edges = [(0.0, 0.0), (plane.length, 0.0), (plane.length, height), (0.0, height)]
        plane.shape(wall, edges)
        plane.draw(scaled(wall, 0.72), 0.0, 0.0, plane.length, 0.5)
    if plot.kind != "house":
        banded = rng.random() < 0.5
        for plane in planes:
            plane.draw(trim, 0.0, height - 0.45, plane.length, height)
            if banded and plane.detail > 5.0:
                ledges = np.arange(1, floors) * _FLOOR + 0.35
                plane.draw(scaled(trim, 0.9), 0.0, ledges, plane.length, ledges + 0.18)
    shops = plot.kind == "block" and rng.random() < 0.5
    for plane in planes:
        name = "street" if plane is street else "end"
        looks = random.Random(f"{name}/{plot.key}")
        _openings(plane, looks, floors, trim, wall, shops and plane is street)


def _openings(
    plane: Plane, rng: random.Random, floors: int, trim: Colour, wall: Colour, shops: bool
) -> None:
    """Draw the windows and doors of one wall."""
    bay = rng.uniform(2.2, 3.8)
    broad = rng.uniform(0.35, 0.7)
    tall = rng.uniform(1.3, 2.0)
    balconies = rng.random() < 0.25
    tones = [rng.uniform(0.05, 0.6) for _ in range(3)]
    spread = np.array([rng.random() for _ in range(64)])
    if plane.detail < 1.5:
        return
    count = max(int(plane.length / bay), 1)
    pitch = plane.length / count
    first = 1 if shops else 0
    columns = (np.arange(count) + 0.5) * pitch
    rows = np.arange(first, floors) * _FLOOR + 1.0
    u, v = (grid.ravel() for grid in np.meshgrid(columns, rows))
    if not shops:
        # One bay of the ground floor holds the door.
        door = int(spread[0] * count)
        keep = np.ones(len(u), bool)
        keep[door] = False
        u, v = u[keep], v[keep]
    if not shops and plane.detail > 4.0:
        middle = float(columns[door])
        plane.draw(trim, middle - 0.75, 0.0, middle + 0.75, 2.5)
        plane.draw(scaled(wall, 0.35), middle - 0.55, 0.0, middle + 0.55, 2.3)
    half = pitch * broad / 2
    if len(u):
        _windows(plane, u, v, half, tall, trim, tones, spread)
        if balconies:
            rail = (v > 3.0) & (spread[(np.arange(len(u)) * 7) % 64] < 0.5)
            if rail.any():
                plane.draw(
                    scaled(trim, 0.6),
                    u[rail] - half - 0.3,
                    v[rail] - 0.5,
                    u[rail] + half + 0.3,
                    v[rail] + 0.45,
                )
    if shops:
        _shops(plane, rng, columns, pitch)


def _windows(
    plane: Plane,
    u: np.ndarray,
    v: np.ndarray,
    half: float,
    tall: float,
    trim: Colour,
    tones: list[float],
    spread: np.ndarray,
) -> None:
    """Draw windows centred at u with their lower edge at v."""
    frame = 0.14
    if plane.detail * frame > 0.7:
        plane.draw(trim, u - half - frame, v - frame, u + half + frame, v + tall + frame)
    panes = plane.rectangles(u - half, v, u + half, v + tall)
    glass = [mix((0.1, 0.13, 0.17), (0.72, 0.8, 0.88), tone) for tone in tones]
    if plane.detail < 6.0:
        # The differences of far windows are too small to be seen.
        plane.paint(glass[0], panes)
        return
    kinds = (spread[np.arange(len(u)) % 64] * 3).astype(int)
    for kind in range(3):
        plane.paint(glass[kind], panes[kinds == kind])
    if plane.detail * tall > 20.0:
        # Some have a lighter upper part: the sky's reflection.
        mirror = kinds > 0
        uu, vv = u[mirror], v[mirror] + tall * 0.55
        sky = mix(glass[1], (0.8, 0.87, 0.95), 0.35)
        plane.draw(sky, uu - half, vv, uu + half, vv + tall * 0.45)
    if plane.detail * 0.07 > 0.5:
        plane.draw(trim, u - 0.035, v, u + 0.035, v + tall)
        plane.draw(trim, u - half, v + tall * 0.6, u + half, v + tall * 0.6 + 0.06)


def _shops(plane: Plane, rng: random.Random, columns: np.ndarray, pitch: float) -> None:
    """Draw a ground floor of shop windows with signs and awnings above."""
    wide = pitch * 0.42
    plane.draw((0.12, 0.15, 0.18), columns - wide, 0.4, columns + wide, 2.5)
    plane.draw((0.35, 0.42, 0.48), columns - wide, 1.5, columns + wide, 2.5)
    start = 0
    while start < len(columns):
        run = pick(rng, 1, 2, 3)
        left = float(columns[start]) - pitch / 2 + 0.1
        right = min(left + run * pitch - 0.2, plane.length - 0.1)
        sign = palette.accent(rng)
        plane.draw(sign, left, 2.6, right, 3.15)
        lettered = rng.random() < 0.7
        if lettered and plane.detail > 5.0:
            letters = np.arange(left + 0.5, right - 0.6, 0.45)
            plane.draw((0.95, 0.95, 0.9), letters, 2.72, letters + 0.28, 3.02)
        if rng.random() < 0.4:
            _awning(plane, left, right, palette.accent(rng))
        start += run


def _awning(plane: Plane, left: float, right: float, colour: Colour) -> None:
    """Draw an awning that slopes out over the sidewalk."""
    project = plane.canvas.camera.project
    (x, z), (dx, dz) = plane.start, plane.step
    out = plane.normal[0] * 1.1
    stripes = max(int((right - left) / 0.7), 2)
    width = (right - left) / stripes
    panels = []
    for number in range(stripes):
        a, b = left + number * width, left + (number + 1) * width
        corners = [(a, 2.75, 0.0), (b, 2.75, 0.0), (b, 2.15, out), (a, 2.15, out)]
        panels.append(
            plane.canvas.fixed(project(x + dx * u + w, v, z + dz * u) for u, v, w in corners)
        )
    for first, tone in enumerate((mix(colour, (0.95, 0.95, 0.92), 0.75), colour)):
        lit = plane.canvas.light.shade(tone, (plane.normal[0] * 0.5, 0.85, 0.0))
        plane.canvas.fill_group(panels[first::2], lit, plane.code, BUILDING)


def _pitched_roof(
    canvas: Canvas,
    plot: Plot,
    x: float,
    near: float,
    deep: float,
    height: float,
    roof: Colour,
    end: Plane,
    wall: Colour,
) -> None:
    """Draw a roof whose ridge runs along the street, its gable and a chimney."""
    ridge_x, ridge_y = x + plot.side * deep / 2, height + deep * 0.32
    over = 0.4
    chimney_z = near * 0.4 + plot.far * 0.6
    code = depth_code(chimney_z)
    base = [
        canvas.camera.project(ridge_x + dx, y, chimney_z)
        for dx, y in (
            (-0.45, ridge_y - 1.0),
            (0.45, ridge_y - 1.0),
            (0.45, ridge_y + 0.9),
            (-0.45, ridge_y + 0.9),
        )
    ]
    canvas.fill(base, canvas.light.shade((0.45, 0.25, 0.2), (0, 0, -1.0)), code, BUILDING)
    canvas.face(
        [
            (x - plot.side * over, height - 0.2, near - over),
            (x - plot.side * over, height - 0.2, plot.far + over),
            (ridge_x, ridge_y, plot.far + over),
            (ridge_x, ridge_y, near - over),
        ],
        roof,
        BUILDING,
        (-plot.side * 0.55, 0.83, 0.0),
    )
    end.shape(wall, [(0.0, height), (deep, height), (deep / 2, height + deep * 0.32)])
