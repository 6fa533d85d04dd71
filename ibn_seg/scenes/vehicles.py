"""Draws the vehicle models in perspective."""

import math
import random
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from ibn_seg.scenes import palette
from ibn_seg.scenes.bodies import Body, Model
from ibn_seg.scenes.canvas import Canvas, Colour, depth_code, disc_points, mix, scaled
from ibn_seg.scenes.fleet import MODELS
from ibn_seg.scenes.scene import Item, pick

_HEADINGS = {"away": 0.0, "right": math.pi / 2, "toward": math.pi, "left": -math.pi / 2}


Place = tuple[float, float, float]


class _Part(NamedTuple):
    """A flat part of a mesh.

    Attributes:
        where: Its points in the mesh.
        skin: Its surface.
        normal: Its outward normal.
        solid: False for a part painted on another one, which changes no outline.
    """

    where: slice
    skin: str
    normal: Place
    solid: bool


class _Mesh:
    """The faces of a model as one array of points, so that all are projected at once.

    Attributes:
        points: (N, 3) places (along, up, across); along is measured from the model's middle.
        bodies: Per body: its middle along the model, and its parts.
        wheels: Parts of the wheels of both sides.
    """

    def __init__(self, model: Model) -> None:
        self.rows: list[tuple[float, float, float]] = []
        self.half_length = model.length / 2
        self.bodies = [self._body(body) for body in model.bodies]
        self.wheels = self._wheels(model)
        self.points = np.array(self.rows)

    def _part(self, points: Sequence[Place], skin: str, normal: Place, solid: bool = True) -> _Part:
        """Store a face; its points are (along from the rear, up, across)."""
        start = len(self.rows)
        self.rows += [(along - self.half_length, up, across) for along, up, across in points]
        return _Part(slice(start, len(self.rows)), skin, normal, solid)

    def _body(self, body: Body) -> tuple[float, list[_Part], list[_Part], list[_Part]]:
        """Return a body's middle and its parts: the hull, and the shapes on sides and ends."""

        def half(y: float) -> float:
            return body.half_width - max(0.0, y - body.waist) * body.narrowing

        hull = []
        for (l0, y0), (l1, y1), skin in zip(
            body.profile[:-1], body.profile[1:], body.skins, strict=True
        ):
            length = math.hypot(l1 - l0, y1 - y0)
            corners = [
                (l0, y0, -half(y0)),
                (l0, y0, half(y0)),
                (l1, y1, half(y1)),
                (l1, y1, -half(y1)),
            ]
            inset = skin == "glass"
            normal = (-(y1 - y0) / length, (l1 - l0) / length, 0.0)
            hull.append(self._part(corners, "paint" if inset else skin, normal))
            if inset:
                hull.append(self._part(_shrunk(corners, 0.1), skin, normal, False))
        sides = []
        for sign in (-1, 1):
            normal = (0.0, 0.0, float(sign))
            outline = [(along, y, sign * half(y)) for along, y in body.profile]
            sides.append(self._part(outline, body.side_skin, normal))
            for skin, shape in body.side:
                points = [(along, y, sign * (half(y) + 0.01)) for along, y in shape]
                sides.append(self._part(points, skin, normal, False))
        ends = []
        for shapes, place, direction in (
            (body.rear, min(p[0] for p in body.profile) - 0.01, -1.0),
            (body.front, max(p[0] for p in body.profile) + 0.01, 1.0),
        ):
            for skin, shape in shapes:
                points = [(place, y, w * half(y)) for w, y in shape]
                ends.append(self._part(points, skin, (direction, 0.0, 0.0), False))
        middle = sum(p[0] for p in body.profile) / len(body.profile) - self.half_length
        return middle, hull, sides, ends

    def _wheels(self, model: Model) -> tuple[list[_Part], list[_Part]]:
        """Return the wheels: tyre and rim on each side, and the tyres seen from the ends."""
        sides, ends = [], []
        for sign in (-1, 1):
            for along, radius in model.wheels:
                for size, skin in ((1.0, "tyre"), (0.58, "rim"), (0.16, "tyre")):
                    ring = disc_points(along, radius, radius * size, radius * size, 12)
                    points = [(u, v, sign * (model.half_width + 0.02)) for u, v in ring]
                    sides.append(self._part(points, skin, (0.0, 0.0, float(sign))))
                inner, outer = sign * (model.half_width - 0.26), sign * model.half_width
                for facing in (-1.0, 1.0):
                    tread = [
                        (along, 0.0, inner),
                        (along, 0.0, outer),
                        (along, radius, outer),
                        (along, radius, inner),
                    ]
                    ends.append(self._part(tread, "tyre", (facing, 0.0, 0.0)))
        return sides, ends


def _shrunk(corners: Sequence[Place], share: float) -> list[Place]:
    """Return a quad with its edges moved inwards, to leave a frame around a window."""
    middle = [sum(c[i] for c in corners) / 4 for i in range(3)]
    return [tuple(c[i] + (middle[i] - c[i]) * share for i in range(3)) for c in corners]


@cache
def _mesh(name: str) -> _Mesh:
    """Return the mesh of a model, which is made once."""
    return _Mesh(MODELS[name])


def draw_vehicle(canvas: Canvas, item: Item) -> None:
    """Draw a vehicle that heads away, toward the camera, to the left or to the right."""
    rng = random.Random(item.key)
    name = item.options["model"]
    model, mesh = MODELS[name], _mesh(name)
    angle = _HEADINGS[item.options["heading"]] + item.options["turn"]
    sine, cosine = math.sin(angle), math.cos(angle)
    across_world = 2 * model.half_width * abs(sine) + model.length * abs(cosine)
    middle = (item.x, item.z + across_world / 2)
    along, up, across = mesh.points.T
    world = np.stack(
        [
            middle[0] + along * sine + across * cosine,
            up,
            middle[1] + along * cosine - across * sine,
        ],
        axis=-1,
    )
    painter = _Painter(
        canvas,
        world,
        (sine, cosine),
        _skins(rng, name),
        model.raw_id,
        depth_code(item.z + min(across_world * 0.3, 3.0)),
    )
    wheel_sides, wheel_ends = mesh.wheels
    painter.draw(wheel_ends)
    # Far bodies first; their middles lie along the heading.
    bodies = sorted(mesh.bodies, key=lambda body: -body[0] * cosine)
    if abs(cosine) < 0.5:
        bodies = mesh.bodies
    for _, hull, sides, ends in bodies:
        painter.draw(sorted(hull, key=painter.remoteness))
        painter.draw(sides)
        painter.draw(ends)
    painter.draw(wheel_sides)


# Surfaces drawn as convex polygons of more than four corners.
_ROUND = frozenset({"tyre", "rim"})
# Surfaces that are too small to be seen on a far vehicle.
_TRIFLES = frozenset({"seam", "plate", "rim"})
_TINY = _TRIFLES | {"tyre", "lamp", "dark"}


class _Painter:
    """Draws the parts of one vehicle that face the camera."""

    def __init__(
        self,
        canvas: Canvas,
        world: np.ndarray,
        heading: tuple[float, float],
        skins: dict[str, tuple[Colour, bool]],
        raw_id: int,
        code: int,
    ) -> None:
        self.canvas, self.heading, self.skins = canvas, heading, skins
        self.raw_id, self.code = raw_id, code
        self.vertices = canvas.fixed_many(canvas.camera.project_many(world))
        self.corners = world.tolist()
        # Pixels per metre decide which details would be lost anyway.
        scale = canvas.camera.focal / max(float(world[:, 2].mean()), 1.0)
        self.skipped = _TINY if scale < 4.0 else _TRIFLES if scale < 9.0 else frozenset()
        self.lit: dict[tuple[str, Place], Colour] = {}

    def remoteness(self, part: _Part) -> float:
        """Return a sort key that puts farther faces first."""
        corners = self.corners[part.where]
        return -round(sum(corner[2] for corner in corners) / len(corners), 3)

    def turned(self, normal: Place) -> Place:
        """Return a normal of the model as a direction in the world."""
        sine, cosine = self.heading
        along, up, across = normal
        return along * sine + across * cosine, up, along * cosine - across * sine

    def faces_camera(self, part: _Part) -> bool:
        """Return whether the camera is on the outer side of a part's plane."""
        camera = self.canvas.camera
        nx, ny, nz = self.turned(part.normal)
        x, y, z = self.corners[part.where.start]
        aside = camera.x - camera.bend * z * z - x
        return nx * aside + ny * (camera.eye - y) > nz * z

    def colour(self, part: _Part) -> Colour:
        """Return the lit colour of a part."""
        key = (part.skin, part.normal)
        if key not in self.lit:
            colour, glows = self.skins[part.skin]
            lit = self.canvas.light.shade(colour, self.turned(part.normal))
            self.lit[key] = colour if glows else lit
        return self.lit[key]

    def draw(self, parts: Iterable[_Part]) -> None:
        """Draw the visible parts, in order."""
        seen: dict[Place, bool] = {}
        for part in parts:
            if part.skin in self.skipped:
                continue
            # Parts with one normal lie in about one plane, so all are seen or all are hidden.
            if part.normal not in seen:
                seen[part.normal] = self.faces_camera(part)
            if not seen[part.normal]:
                continue
            outline = self.vertices[part.where]
            simple = len(outline) == 4 or part.skin in _ROUND
            fill = self.canvas.fill_fixed if simple else self.canvas.fill_outline
            fill(outline, self.colour(part), self.code, self.raw_id if part.solid else None)


def _skins(rng: random.Random, name: str) -> dict[str, tuple[Colour, bool]]:
    """Return the colour of every surface of one vehicle, and whether it emits light."""
    paint = palette.paint(rng)
    second = pick(
        rng, palette.accent(rng), scaled(paint, 0.5), (0.9, 0.9, 0.88), palette.paint(rng)
    )
    cargo = pick(rng, (0.88, 0.88, 0.86), palette.paint(rng), palette.grey(rng, 0.4, 0.8), paint)
    braking = rng.random() < 0.35
    glass = mix((0.05, 0.07, 0.09), (0.45, 0.55, 0.62), rng.random() * 0.6)
    if name == "bus":
        glass = scaled(glass, 0.8)
    return {
        "paint": (paint, False),
        "paint2": (second, False),
        "roof": (mix(paint, (0.8, 0.8, 0.8), 0.5), False),
        "cargo": (cargo, False),
        "wood": (mix((0.45, 0.32, 0.2), (0.65, 0.55, 0.4), rng.random()), False),
        "steel": (palette.grey(rng, 0.45, 0.75), False),
        "glass": (glass, False),
        "dark": ((0.07, 0.07, 0.08), False),
        "seam": (scaled(paint, 0.55), False),
        "tyre": ((0.05, 0.05, 0.055), False),
        "rim": (palette.grey(rng, 0.3, 0.7), False),
        "plate": ((0.88, 0.87, 0.78), False),
        "tail": ((0.95, 0.1, 0.07) if braking else (0.5, 0.05, 0.05), braking),
        "lamp": ((0.95, 0.94, 0.86), True),
        "amber": ((0.95, 0.62, 0.12), True),
    }
