"""Buildings of the source `varied`: many kinds of walls, windows, ground floors and roof lines."""

import random

import numpy as np

from ibn_seg.scenes import palette
from ibn_seg.scenes.buildings import Edge, Plane, draw_building, shape_of
from ibn_seg.scenes.canvas import Canvas, Colour, mix, scaled
from ibn_seg.scenes.scene import Plot, Scene, pick

# Details smaller than this many pixels are left out.
_SEEN = 0.7
_KINDS = ("rows", "rows", "rows", "bands", "grid", "blank")


def draw_facade(canvas: Canvas, plot: Plot, end_shows: bool) -> None:
    """Draw the building of a plot, as `buildings.draw_building` does or in another manner.

    Args:
        canvas: Where to draw.
        plot: The land that it stands on.
        end_shows: Whether nearer buildings leave a part of its end wall visible.
    """
    rng = random.Random(f"facade/{plot.key}")
    if rng.random() < (0.7 if plot.kind == "house" else 0.25):
        draw_building(canvas, plot, end_shows)
        return
    shape, near = shape_of(plot), max(plot.near, 1.5)
    x = plot.side * plot.front
    street = Plane(canvas, (x, near), (x, plot.far), (-plot.side, 0.0, 0.0))
    end = Plane(canvas, (x, near), (x + plot.side * shape.deep, near), (0.0, 0.0, -1.0))
    wall = _wall_colour(rng)
    facade = _Facade(rng, wall, shape.floors, shape.height)
    for plane in (end, street) if end_shows else (street,):
        facade.draw(plane)


def draw_street_end(canvas: Canvas, scene: Scene) -> None:
    """Draw the row of buildings that closes the street at a T-junction."""
    rng = random.Random(f"end/{scene.key}")
    x = -50.0
    while x < 50.0:
        width = rng.uniform(8.0, 20.0)
        floors = pick(rng, 1, 2, 2, 3, 3, 4)
        # Some plots are empty, and what is behind shows.
        if rng.random() < 0.85:
            plane = Plane(canvas, (x, scene.end), (x + width, scene.end), (0.0, 0.0, -1.0))
            facade = _Facade(rng, _wall_colour(rng), floors, floors * rng.uniform(2.7, 3.6) + 0.8)
            facade.draw(plane)
        x += width


def _wall_colour(rng: random.Random) -> Colour:
    """Return brick, stone, render or concrete, from soot black to white."""
    colour = palette.facade(rng)
    grey = sum(colour) / 3.0
    plain = mix(colour, (grey, grey, grey), rng.random() * 0.8)
    return scaled(plain, rng.uniform(0.35, 1.15))


class _Facade:
    """The looks of one building, the same on all of its walls.

    Args:
        rng: The random numbers.
        wall: Colour of the wall.
        floors: Number of floors.
        height: Height of the wall in metres.
    """

    def __init__(self, rng: random.Random, wall: Colour, floors: int, height: float) -> None:
        self.rng, self.wall, self.height = rng, wall, height
        self.kind = pick(rng, *_KINDS)
        self.floor = height / (floors + 0.3)
        self.floors = floors
        self.trim = pick(rng, (0.92, 0.91, 0.88), scaled(wall, 0.6), scaled(wall, 1.35))
        # Rooms are dark by day; some panes mirror the sky.
        self.glass = mix((0.03, 0.035, 0.045), (0.7, 0.78, 0.86), rng.random() ** 2)
        self.mirror = mix(self.glass, (0.85, 0.9, 0.96), rng.random())
        self.bay = rng.uniform(1.5, 4.0)
        self.broad, self.tall = rng.uniform(0.3, 0.75), rng.uniform(0.4, 0.72)
        self.course = rng.uniform(0.25, 1.2) if rng.random() < 0.6 else 0.0
        self.ground = pick(rng, "shops", "shops", "base", "plain", "plain")
        self.roof = pick(rng, "cornice", "cornice", "slate", "gables", "plain")
        self.accent = mix(palette.accent(rng), wall, rng.random())
        self.spread = np.array([rng.random() for _ in range(96)])

    def draw(self, plane: Plane) -> None:
        """Draw one wall."""
        self._roof_line(plane)
        plane.shape(self.wall, _box(0.0, 0.0, plane.length, self.height))
        self._courses(plane)
        if plane.detail > 1.5:
            {"rows": self._rows, "bands": self._bands, "grid": self._grid, "blank": self._blank}[
                self.kind
            ](plane)
        if self.ground != "plain":
            self._ground_floor(plane)

    def _roof_line(self, plane: Plane) -> None:
        """Draw what stands on the wall: a cornice, slates with chimneys, or gables."""
        top, length = self.height, plane.length
        slate = scaled((0.34, 0.33, 0.36), 0.5 + float(self.spread[0]))
        if self.roof == "cornice":
            plane.shape(self.trim, _box(-0.1, top, length + 0.1, top + 0.5))
        if self.roof == "gables":
            count = max(int(length / 7.0), 1)
            for number in range(count):
                left, right = length * number / count, length * (number + 1) / count
                peak = ((left + right) / 2, top + 1.6 + 2.0 * float(self.spread[1]))
                plane.shape(self.wall, [(left, top), (right, top), peak])
        if self.roof == "slate":
            plane.shape(slate, _box(0.0, top, length, top + 1.4))
        if self.roof in ("slate", "gables"):
            for share in self.spread[2 : 2 + max(int(length / 6.0), 1)].tolist():
                u = share * (length - 1.0)
                plane.shape(scaled(self.wall, 0.8), _box(u, top, u + 0.9, top + 2.4))

    def _courses(self, plane: Plane) -> None:
        """Draw bricks, stones or panels: lines across the wall and blocks of another tone."""
        if not self.course or plane.detail * self.course < 2.0:
            return
        lines = np.arange(self.course, self.height, self.course)[:24]
        thick = max(self.course * 0.08, 0.03)
        plane.draw(scaled(self.wall, 0.82), 0.0, lines, plane.length, lines + thick)
        u = self.spread[:32] * (plane.length - 1.0)
        v = np.floor(self.spread[32:64] * self.height / self.course) * self.course
        v = np.minimum(v, self.height - self.course)
        half = len(u) // 2
        for some, tone in ((slice(None, half), 0.85), (slice(half, None), 1.12)):
            edge = u[some] + self.course * 2.0
            colour = scaled(self.wall, tone)
            plane.draw(
                colour, u[some], v[some], np.minimum(edge, plane.length), v[some] + self.course
            )

    def _levels(self) -> np.ndarray:
        """Return the heights of the floors that have windows."""
        first = 1 if self.ground == "shops" else 0
        return np.arange(first, self.floors) * self.floor

    def _rows(self, plane: Plane) -> None:
        """Draw single windows, each with a frame, a sill and bars if large enough."""
        count = max(int(plane.length / self.bay), 1)
        pitch = plane.length / count
        u, v = np.meshgrid((np.arange(count) + 0.5) * pitch, self._levels() + 0.25 * self.floor)
        u, v = u.ravel(), v.ravel()
        if not len(u):
            return
        half, tall = pitch * self.broad / 2, self.floor * self.tall
        if plane.detail * 0.12 > _SEEN:
            plane.draw(self.trim, u - half - 0.12, v - 0.14, u + half + 0.12, v + tall + 0.14)
        self._panes(plane, u - half, v, u + half, v + tall)
        if plane.detail * 0.06 > 0.5:
            plane.draw(self.trim, u - 0.03, v, u + 0.03, v + tall)
            plane.draw(self.trim, u - half, v + tall * 0.5, u + half, v + tall * 0.5 + 0.06)

    def _panes(
        self, plane: Plane, u0: np.ndarray, v0: np.ndarray, u1: np.ndarray, v1: Edge
    ) -> None:
        """Draw panes: most show the dark room, the others mirror the sky."""
        panes = plane.rectangles(u0, v0, u1, v1)
        bright = self.spread[np.arange(len(panes)) % 96] < 0.3
        plane.paint(self.glass, panes[~bright])
        plane.paint(self.mirror, panes[bright])

    def _bands(self, plane: Plane) -> None:
        """Draw windows that run along the whole wall."""
        low = self._levels() + 0.3 * self.floor
        if not len(low):
            return
        high = low + self.floor * self.tall
        plane.draw(self.glass, 0.3, low, plane.length - 0.3, high)
        if plane.detail * 0.1 > 0.5:
            posts = np.arange(0.3, plane.length - 0.3, self.bay * 0.6)
            plane.draw(self.trim, posts, float(low[0]), posts + 0.1, float(high[-1]))

    def _grid(self, plane: Plane) -> None:
        """Draw a wall of glass in a grid."""
        levels = self._levels()
        if not len(levels):
            return
        low, high = float(levels[0]) + 0.2, self.height - 0.3
        plane.draw(self.glass, 0.2, low, plane.length - 0.2, high)
        count = max(int(plane.length / self.bay), 1)
        u, v = np.meshgrid(np.arange(count) * plane.length / count + 0.2, levels + 0.3)
        lit = self.spread[np.arange(u.size) % 96] < 0.35
        u, v = u.ravel()[lit], v.ravel()[lit]
        if len(u):
            right = np.minimum(u + plane.length / count, plane.length - 0.2)
            plane.draw(self.mirror, u, v, right, np.minimum(v + self.floor, high))
        if plane.detail * 0.14 > 0.5:
            posts = np.arange(0.2, plane.length, plane.length / count)
            plane.draw(self.trim, posts, low, posts + 0.14, high)
            plane.draw(self.trim, 0.2, levels + 0.2, plane.length - 0.2, levels + 0.38)

    def _blank(self, plane: Plane) -> None:
        """Draw a wall of panels with few openings."""
        seams = np.arange(self.bay, plane.length, self.bay)
        if len(seams) and plane.detail * 0.08 > 0.4:
            plane.draw(scaled(self.wall, 0.75), seams, 0.0, seams + 0.08, self.height)
        u = self.spread[:3] * max(plane.length - 2.0, 0.1)
        v = self.spread[3:6] * max(self.height - 2.5, 0.1)
        self._panes(plane, u, v, np.minimum(u + self.bay * 0.6, plane.length), v + 1.5)

    def _ground_floor(self, plane: Plane) -> None:
        """Draw shop windows under a board, or a base of other stone with a door."""
        length, top = plane.length, self.floor * 0.95
        if self.ground == "base":
            plane.draw(scaled(self.trim, 0.8), 0.0, 0.0, length, 0.9)
            door = float(self.spread[7]) * max(length - 1.5, 0.1)
            plane.draw(scaled(self.accent, 0.6), door, 0.0, door + 1.1, 2.2)
            return
        plane.draw(scaled(self.accent, 0.8), 0.0, 0.0, length, top)
        if plane.detail < 1.5:
            return
        starts = np.arange(0.3, max(length - 1.0, 0.4), self.bay + 0.4)
        ends = np.minimum(starts + self.bay, length - 0.1)
        self._panes(plane, starts, np.full(len(starts), 0.4), ends, top - 0.8)
        plane.draw(self.accent, 0.0, top - 0.65, length, top)
        if plane.detail * 0.3 > 1.0:
            letters = np.arange(1.0, max(length * 0.6, 1.2), 0.5)
            plane.draw(self.trim, letters, top - 0.5, letters + 0.3, top - 0.15)


def _box(u0: float, v0: float, u1: float, v1: float) -> list[tuple[float, float]]:
    """Return the corners of a rectangle."""
    return [(u0, v0), (u1, v0), (u1, v1), (u0, v1)]
