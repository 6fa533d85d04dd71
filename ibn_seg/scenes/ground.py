"""Draws what lies flat: road with markings, sidewalks, grass, and the shadows on them."""

import itertools
import random

import cv2
import numpy as np

from ibn_seg.scenes import palette
from ibn_seg.scenes.canvas import Canvas, Colour, scaled
from ibn_seg.scenes.ids import ROAD, SIDEWALK, TERRAIN
from ibn_seg.scenes.scene import LANE, Scene, Side, lane_centre, pick

_UP = (0.0, 1.0, 0.0)
_FAR = 600.0
# Beyond this depth in metres shadows are thinner than a row of pixels.
_SHADOW_REACH = 50.0
# Depths where the edge of a strip gets a vertex; dense where a bending road needs them.
_DEPTHS = (1.2, 9.0, 18.0, 30.0, 46.0, 70.0, 110.0, 200.0, _FAR)


def draw_ground(canvas: Canvas, scene: Scene) -> None:
    """Draw the ground of a scene from the horizon down."""
    rng = random.Random(f"ground/{scene.key}")
    lawn = palette.grass(rng)
    road, walk = palette.asphalt(rng), palette.paving(rng)
    curb = scaled(walk, rng.uniform(0.95, 1.3))
    _strip(canvas, -900.0, 900.0, 1.2, _FAR, lawn, TERRAIN)
    for plot in scene.plots:
        if plot.kind == "block" and not plot.boundary:
            inner, outer = sorted((plot.side * (plot.line - 0.3), plot.side * (plot.front + 25.0)))
            _strip(canvas, inner, outer, plot.near - 4.0, plot.far + 4.0, walk, SIDEWALK)
    if scene.crossing:
        _cross_street(canvas, scene, road, walk)
    for side in scene.sides:
        _walkway(canvas, side, scene.crossing, walk, curb, lawn)
    left, right = scene.sides
    _strip(canvas, -left.curb, right.curb, 1.2, _FAR, road, ROAD)
    for side in scene.sides:
        if side.parking:
            inner, outer = sorted((side.side * (side.curb - side.parking), side.side * side.curb))
            _strip(canvas, inner, outer, 1.2, _FAR, scaled(road, rng.uniform(0.85, 1.15)), ROAD)
    if scene.crossing:
        reach = max(side.walk_end for side in scene.sides) + 1.0
        _strip(canvas, -reach, reach, *scene.crossing, road, ROAD)
    _repairs(canvas, scene, road, rng)
    _markings(canvas, scene, rng)
    if any(item.options.get("model") == "train" for item in scene.items):
        _rails(canvas, scene)


def cast_shadows(canvas: Canvas, scene: Scene, sun: float, contact: float) -> None:
    """Darken the ground where things block the sun, and right below them.

    Args:
        canvas: Holds the finished ground and nothing above it yet.
        scene: Its items and buildings cast the shadows.
        sun: Share of the light that the sun's shadows take away.
        contact: Share that the dark right below things takes away.
    """
    height, width = canvas.label.shape
    cast = np.zeros((height, width), np.uint8)
    below = np.zeros((height, width), np.uint8)
    reach = 1.0 / max(scene.sun[1], 0.3)
    away = (-scene.sun[0] * reach, -scene.sun[2] * reach)
    for plot in scene.plots:
        if plot.kind != "park" and plot.side * away[0] < 0:
            tall = 11.0 if plot.kind == "block" else 6.0
            _hull(
                canvas,
                cast,
                _rectangle(plot.side * (plot.front + 2.0), 2.0, plot.near, plot.far),
                (away[0] * tall, away[1] * tall),
            )
    for item in scene.items:
        if item.z > _SHADOW_REACH:
            continue
        half = item.half_width
        base = _rectangle(item.x, half, item.z, item.z + item.length)
        if item.kind in ("tree", "bare_tree", "bush"):
            drift = (away[0] * item.height * 0.45, away[1] * item.height * 0.45)
            crown = _rectangle(item.x, half, item.z - half, item.z + half, corner=0.6)
            _hull(canvas, cast, [(x + drift[0], z + drift[1]) for x, z in crown], (0.0, 0.0))
            half *= 0.35
            base = _rectangle(item.x, half, item.z - half, item.z + half, corner=0.6)
        else:
            _hull(canvas, cast, base, (away[0] * item.height, away[1] * item.height))
        _hull(
            canvas,
            below,
            _rectangle(item.x, half * 1.12, item.z - 0.1, item.z + item.length),
            (0.0, 0.0),
        )
    unit = height / 128.0
    top = max(int(canvas.camera.cy), 0)
    cast = cv2.GaussianBlur(cast[top:], (0, 0), 0.8 * unit)
    below = cv2.GaussianBlur(below[top:], (0, 0), 1.1 * unit)
    kept = (255.0 - cast * np.float32(sun)) * (255.0 - below * np.float32(contact))
    ground = canvas.image[top:, :, :3]
    ground[...] = (ground * (kept * np.float32(1 / 65025.0))[:, :, None]).astype(np.uint8)


def _rectangle(
    x: float, half: float, near: float, far: float, corner: float = 0.0
) -> list[tuple[float, float]]:
    """Return a rectangle on the ground; for round things, a share of each corner is cut off."""
    if not corner:
        return [(x - half, near), (x + half, near), (x + half, far), (x - half, far)]
    middle, deep = (near + far) / 2, (far - near) / 2
    a = 1.0 - corner
    shape = [(-1, -a), (-a, -1), (a, -1), (1, -a), (1, a), (a, 1), (-a, 1), (-1, a)]
    return [(x + half * u, middle + deep * v) for u, v in shape]


def _hull(
    canvas: Canvas,
    mask: np.ndarray,
    base: list[tuple[float, float]],
    shift: tuple[float, float],
) -> None:
    """Fill the convex hull of a ground polygon and its shifted copy in a mask."""
    project = canvas.camera.project
    near = 1.2
    points = [project(x, 0.0, max(z, near)) for x, z in base]
    if shift != (0.0, 0.0):
        points += [project(x + shift[0], 0.0, max(z + shift[1], near)) for x, z in base]
    vertices = canvas.fixed(points)
    cv2.fillConvexPoly(mask, cv2.convexHull(vertices), 255, cv2.LINE_AA, 4)


def _strip(
    canvas: Canvas,
    left: float,
    right: float,
    near: float,
    far: float,
    colour: Colour,
    raw_id: int | None,
) -> None:
    """Fill the strip of ground between two x and two depths, following the road's bend."""
    near = max(near, 1.2)
    if far <= near:
        return
    depths = [near, *(z for z in _DEPTHS if near < z < far), far]
    project = canvas.camera.project
    points = [project(left, 0.0, z) for z in depths]
    points += [project(right, 0.0, z) for z in reversed(depths)]
    canvas.fill_outline(canvas.fixed(points), canvas.light.shade(colour, _UP), 0, raw_id)


def _walkway(
    canvas: Canvas,
    side: Side,
    crossing: tuple[float, float] | None,
    walk: Colour,
    curb: Colour,
    lawn: Colour,
) -> None:
    """Draw one side's curb, verge and sidewalk."""
    spans = [(1.2, _FAR)] if crossing is None else [(1.2, crossing[0]), (crossing[1], _FAR)]
    for near, far in spans:
        strips = [(side.curb - 0.05, side.walk_end, walk, SIDEWALK)]
        if side.verge:
            strips.append((side.curb + 0.2, side.walk_start, lawn, TERRAIN))
        strips.append((side.curb - 0.12, side.curb + 0.18, curb, SIDEWALK))
        for start, end, colour, raw_id in strips:
            left, right = sorted((side.side * start, side.side * end))
            _strip(canvas, left, right, near, far, colour, raw_id)


def _cross_street(canvas: Canvas, scene: Scene, road: Colour, walk: Colour) -> None:
    """Draw the street that crosses, with its sidewalks."""
    near, far = scene.crossing
    _strip(canvas, -400.0, 400.0, near - 2.5, far + 2.5, walk, SIDEWALK)
    _strip(canvas, -400.0, 400.0, near, far, road, ROAD)


def _repairs(canvas: Canvas, scene: Scene, road: Colour, rng: random.Random) -> None:
    """Draw patches of other asphalt and manhole covers on the road."""
    half = scene.lanes * LANE / 2
    for _ in range(int(rng.random() * 4)):
        x, z = rng.uniform(-half, half - 1.5), rng.uniform(5.0, 40.0)
        tone = scaled(road, rng.uniform(0.75, 1.12))
        _strip(canvas, x, x + rng.uniform(0.8, 2.5), z, z + rng.uniform(1.0, 9.0), tone, None)
    for _ in range(int(rng.random() * 3)):
        x, z = rng.uniform(-half + 1, half - 1), rng.uniform(6.0, 25.0)
        ring = [(x + 0.4 * u, z + 0.4 * v) for u, v in _rectangle(0.0, 1.0, -1.0, 1.0, 0.6)]
        points = [canvas.camera.project(u, 0.0, v) for u, v in ring]
        canvas.fill(points, canvas.light.shade(scaled(road, 0.6), _UP), 0, None)


def _markings(canvas: Canvas, scene: Scene, rng: random.Random) -> None:
    """Draw the lines between and beside the lanes, stop lines and zebra crossings."""
    half = scene.lanes * LANE / 2
    worn = rng.uniform(0.75, 1.0)
    white = (0.92 * worn, 0.92 * worn, 0.9 * worn)
    middle_colour = pick(rng, white, white, (0.9 * worn, 0.68 * worn, 0.12))
    gap = scene.crossing or (1e6, 1e6)
    solid = [(1.5, min(gap[0] - 1.0, 120.0))]
    if scene.crossing:
        solid.append((gap[1] + 1.0, 120.0))
    offset = rng.uniform(0.0, 7.5)
    dashes = [(z, z + 3.0) for z in np.arange(offset - 3.0, 95.0, 7.5).tolist()]
    dashes = [d for d in dashes if d[1] > 1.5 and (d[1] < gap[0] - 3.0 or d[0] > gap[1] + 3.0)]
    quads = [(x, *d) for x in _boundaries(scene) for d in dashes]
    middle = lane_centre(scene.lanes // 2, scene.lanes) - LANE / 2
    central = {"dashed": [], "solid": [middle], "double": [middle - 0.14, middle + 0.14]}
    if rng.random() < 0.7:
        quads += [(x, *s) for x in (-half + 0.1, half - 0.1) for s in solid]
    _lines(canvas, quads, white)
    if scene.lane_line == "dashed":
        _lines(canvas, [(middle, *d) for d in dashes], middle_colour)
    else:
        _lines(canvas, [(x, *s) for x in central[scene.lane_line] for s in solid], middle_colour)
    if scene.crossing or rng.random() < 0.25:
        start = scene.crossing[0] - 4.2 if scene.crossing else rng.uniform(12.0, 25.0)
        left, right = scene.sides[0].curb, scene.sides[1].curb
        stripes = np.arange(-left + 0.5, right - 0.5, 1.0).tolist()
        _lines(canvas, [(x, start, start + 3.0) for x in stripes], white, width=0.5)
        _strip(canvas, middle, half, start - 1.6, start - 1.2, scaled(white, 0.95), None)


def _boundaries(scene: Scene) -> list[float]:
    """Return the x of the lines between lanes of one direction."""
    middle = scene.lanes // 2
    return [
        lane_centre(lane, scene.lanes) - LANE / 2
        for lane in range(1, scene.lanes)
        if lane != middle
    ]


def _lines(
    canvas: Canvas, lines: list[tuple[float, float, float]], colour: Colour, width: float = 0.15
) -> None:
    """Draw painted lines (x, near, far) along the road, all in one colour."""
    if not lines:
        return
    x, near, far = np.array(lines).T
    near = np.maximum(near, 1.2)
    pieces = []
    # Long lines get a vertex per stretch so that they follow the bend.
    for start, end in itertools.pairwise(_DEPTHS):
        inside = (near < end) & (far > start)
        if inside.any():
            z0, z1 = np.maximum(near[inside], start), np.minimum(far[inside], end)
            left, right = x[inside] - width / 2, x[inside] + width / 2
            flat = np.zeros_like(z0)
            corners = [(left, flat, z0), (right, flat, z0), (right, flat, z1), (left, flat, z1)]
            pieces.append(np.stack([np.stack(c, axis=-1) for c in corners], axis=1))
    vertices = canvas.fixed_many(canvas.camera.project_many(np.concatenate(pieces)))
    canvas.fill_group(list(vertices), canvas.light.shade(colour, _UP), 0, None)


def _rails(canvas: Canvas, scene: Scene) -> None:
    """Draw the tram's rails in its lane."""
    for item in scene.items:
        if item.options.get("model") == "train":
            lines = [(item.x + dx, 1.3, 140.0) for dx in (-0.75, 0.75)]
            _lines(canvas, lines, (0.2, 0.2, 0.22), width=0.3)
            _lines(canvas, lines, (0.6, 0.6, 0.62), width=0.08)
