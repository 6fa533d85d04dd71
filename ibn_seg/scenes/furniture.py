"""Street furniture: lamps, traffic lights, signs, walls, fences and clutter."""

import math
import random

from ibn_seg.scenes import palette
from ibn_seg.scenes.canvas import Board, Canvas, Colour, depth_code, disc_points, mix, scaled
from ibn_seg.scenes.ids import FENCE, POLE, STATIC, TRAFFIC_LIGHT, TRAFFIC_SIGN, WALL
from ibn_seg.scenes.scene import Item, Plot, pick

_TOWARDS_CAMERA = (0.0, 0.0, -1.0)


def _post(board: Board, width: float, height: float, colour: Colour) -> None:
    """Draw an upright post with a lighter edge on one side."""
    lit = board.canvas.light.shade(colour, _TOWARDS_CAMERA)
    board.box(-width / 2, 0.0, width / 2, height, lit, POLE)
    if board.scale * width > 2.5:
        board.box(-width / 2, 0.0, -width / 6, height, scaled(lit, 1.3), None)


def draw_lamp(canvas: Canvas, item: Item) -> None:
    """Draw a street lamp."""
    # All lamps of a row look alike, so the row decides their looks, not the single item.
    rng = random.Random(f"{item.options['design']}/{item.key.rsplit('/', 1)[0]}")
    colour = palette.metal(rng)
    board = Board(canvas, item.x, item.z, -item.options["side"])
    lit = canvas.light.shade(colour, _TOWARDS_CAMERA)
    height = rng.uniform(6.0, 8.5)
    design = item.options["design"]
    if design == "globe":
        height *= 0.55
        _post(board, 0.14, height, colour)
        board.disc(0.0, height + 0.2, 0.28, (0.93, 0.92, 0.85), POLE)
        return
    _post(board, rng.uniform(0.16, 0.22), height, colour)
    board.box(-0.2, 0.0, 0.2, 0.9, lit, POLE)
    for sign in (1, -1) if design == "twin" else (1,):
        reach = sign * rng.uniform(1.4, 2.2)
        board.bar((0.0, height - 0.1), (reach * 0.5, height + 0.25), 0.11, lit, POLE)
        board.bar((reach * 0.5, height + 0.25), (reach, height + 0.3), 0.1, lit, POLE)
        board.box(reach - 0.35, height + 0.2, reach + 0.35, height + 0.42, scaled(lit, 0.8), POLE)
        board.box(reach - 0.3, height + 0.16, reach + 0.3, height + 0.22, (0.95, 0.93, 0.8), POLE)


def draw_traffic_light(canvas: Canvas, item: Item) -> None:
    """Draw a traffic light on its pole, and a second one on an arm over the road if it has one."""
    rng = random.Random(item.key)
    board = Board(canvas, item.x, item.z, -item.options["side"])
    colour = palette.metal(rng)
    lit_lamp = pick(rng, 0, 0, 1, 2, 2)
    low = rng.uniform(2.3, 2.9)
    if item.options["arm"]:
        _post(board, 0.2, 5.9, colour)
        reach = rng.uniform(2.6, 4.2)
        arm = canvas.light.shade(colour, _TOWARDS_CAMERA)
        board.bar((0.0, 5.6), (reach, 5.9), 0.15, arm, POLE)
        _signal_head(board, (reach, 5.0), lit_lamp)
    else:
        _post(board, 0.17, low + 1.25, colour)
    _signal_head(board, (0.0, low), lit_lamp)


def _signal_head(board: Board, foot: tuple[float, float], lit_lamp: int) -> None:
    """Draw a box with a red, an amber and a green lamp, one of them lit."""
    u, v = foot
    shade = board.canvas.light.shade
    board.box(
        u - 0.24,
        v - 0.06,
        u + 0.24,
        v + 1.14,
        shade((0.07, 0.08, 0.08), _TOWARDS_CAMERA),
        TRAFFIC_LIGHT,
    )
    lamps = ((1.0, 0.12, 0.08), (1.0, 0.72, 0.1), (0.15, 0.95, 0.45))
    for number, lamp in enumerate(lamps):
        centre = v + 0.9 - 0.36 * number
        bright = lamp if number == lit_lamp else scaled(lamp, 0.22)
        if number == lit_lamp:
            board.disc(u, centre, 0.17, scaled(lamp, 0.55), TRAFFIC_LIGHT, 10)
        board.disc(u, centre, 0.135, bright, TRAFFIC_LIGHT, 10)


def draw_sign(canvas: Canvas, item: Item) -> None:
    """Draw a traffic sign on its pole."""
    rng = random.Random(item.key)
    board = Board(canvas, item.x, item.z)
    height = rng.uniform(2.1, 2.7)
    _post(board, 0.09, height + 0.5, palette.grey(rng, 0.4, 0.7))
    size = rng.uniform(0.36, 0.52)
    _plate(board, rng, (0.0, height), size)
    if rng.random() < 0.3:
        _plate(board, rng, (0.0, height - 2.1 * size), size * 0.85)


_RED, _BLUE, _YELLOW, _WHITE = (
    (0.78, 0.07, 0.08),
    (0.06, 0.25, 0.68),
    (0.95, 0.75, 0.08),
    (0.93,) * 3,
)


def _plate(board: Board, rng: random.Random, centre: tuple[float, float], size: float) -> None:
    """Draw one of the usual plates: prohibition, warning, priority, stop, order, parking."""
    u, v = centre

    def draw(points: list[tuple[float, float]], colour: Colour, raw_id: int | None) -> None:
        lit = board.canvas.light.shade(colour, _TOWARDS_CAMERA)
        board.poly([(u + a * size, v + b * size) for a, b in points], lit, raw_id)

    kind = pick(rng, "prohibition", "warning", "priority", "stop", "order", "parking", "speed")
    mark = [(-0.12, -0.35), (0.12, -0.35), (0.12, 0.35), (-0.12, 0.35)]
    if kind in ("prohibition", "speed"):
        draw(disc_points(0, 0, 1, 1, 16), _RED, TRAFFIC_SIGN)
        draw(disc_points(0, 0, 0.72, 0.72, 16), _WHITE, None)
        black = (0.1, 0.1, 0.1)
        for shift in (-0.26, 0.22) if kind == "speed" else (0.0,):
            draw([(a + shift, b) for a, b in mark], black, None)
    elif kind == "warning":
        draw([(-1.05, -0.75), (1.05, -0.75), (0, 1.1)], _RED, TRAFFIC_SIGN)
        draw([(-0.68, -0.54), (0.68, -0.54), (0, 0.7)], _WHITE, None)
        draw([(a * 0.8, b * 0.9 - 0.1) for a, b in mark], (0.1, 0.1, 0.1), None)
    elif kind == "priority":
        draw([(-1.1, 0), (0, -1.1), (1.1, 0), (0, 1.1)], _WHITE, TRAFFIC_SIGN)
        draw([(-0.78, 0), (0, -0.78), (0.78, 0), (0, 0.78)], _YELLOW, None)
    elif kind == "stop":
        eight = [
            (math.cos(math.pi * (i + 0.5) / 4), math.sin(math.pi * (i + 0.5) / 4)) for i in range(8)
        ]
        draw(eight, _RED, TRAFFIC_SIGN)
        draw([(-0.6, -0.18), (0.6, -0.18), (0.6, 0.18), (-0.6, 0.18)], _WHITE, None)
    elif kind == "order":
        draw(disc_points(0, 0, 1, 1, 16), _BLUE, TRAFFIC_SIGN)
        draw(mark, _WHITE, None)
        draw([(-0.4, 0.15), (0.4, 0.15), (0, 0.65)], _WHITE, None)
    else:
        draw([(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)], _BLUE, TRAFFIC_SIGN)
        draw([(-0.3, -0.6), (-0.05, -0.6), (-0.05, 0.6), (-0.3, 0.6)], _WHITE, None)
        draw([(-0.05, 0.0), (0.35, 0.0), (0.35, 0.6), (-0.05, 0.6)], _WHITE, None)


def draw_wall(canvas: Canvas, plot: Plot) -> None:
    """Draw a free-standing wall of brick or concrete along the sidewalk of a plot."""
    rng = random.Random(f"wall/{plot.key}")
    colour = palette.masonry(rng)
    height = rng.uniform(1.4, 2.9)
    x, near, far = plot.side * plot.line, max(plot.near, 2.0), plot.far
    normal = (-plot.side, 0.0, 0.0)
    end_x = x + plot.side * 0.35
    end = [(x, 0.0, near), (end_x, 0.0, near), (end_x, height, near), (x, height, near)]
    canvas.face(end, colour, WALL, _TOWARDS_CAMERA)
    sections = 8
    step = (far - near) / sections
    brick = rng.random() < 0.5
    for number in reversed(range(sections)):
        z0, z1 = near + number * step, near + (number + 1) * step
        tone = scaled(colour, rng.uniform(0.92, 1.06))
        canvas.face([(x, 0, z0), (x, 0, z1), (x, height, z1), (x, height, z0)], tone, WALL, normal)
        if not brick:
            post = scaled(colour, 0.7)
            canvas.face(
                [(x, 0, z0), (x, 0, z0 + 0.15), (x, height, z0 + 0.15), (x, height, z0)],
                post,
                None,
                normal,
            )
    if brick:
        courses = int(height / 0.3)
        for course in range(1, courses):
            y = course * 0.3
            canvas.face(
                [(x, y, near), (x, y, far), (x, y + 0.05, far), (x, y + 0.05, near)],
                scaled(colour, 0.72),
                None,
                normal,
            )
    cap = scaled(colour, 1.25)
    canvas.face(
        [(x, height, near), (x, height, far), (x, height + 0.16, far), (x, height + 0.16, near)],
        cap,
        WALL,
        normal,
    )
    canvas.face(
        [(x, 0.0, near), (x, 0.0, far), (x, 0.22, far), (x, 0.22, near)],
        scaled(colour, 0.7),
        None,
        normal,
    )


def draw_fence(canvas: Canvas, plot: Plot) -> None:
    """Draw a fence of pickets, rails or wire along the sidewalk of a plot."""
    rng = random.Random(f"fence/{plot.key}")
    kind = pick(rng, "pickets", "rails", "wire")
    colour = pick(rng, (0.85, 0.84, 0.8), (0.42, 0.3, 0.2), (0.2, 0.22, 0.22), (0.35, 0.42, 0.36))
    height = {"pickets": 1.25, "rails": 1.2, "wire": 1.9}[kind] * rng.uniform(0.9, 1.15)
    x, near, far = plot.side * plot.line, max(plot.near, 2.0), plot.far
    normal = (-plot.side, 0.0, 0.0)
    lit = canvas.light.shade(colour, normal)
    project = canvas.camera.project
    code = depth_code(2 * near * far / (near + far))

    def panel(z0: float, z1: float, y0: float, y1: float):
        corners = ((y0, z0), (y0, z1), (y1, z1), (y1, z0))
        return canvas.fixed([project(x, y, z) for y, z in corners])

    veil = {"pickets": 0.35, "rails": 0.15, "wire": 0.4}[kind]
    canvas.veil(panel(near, far, 0.0, height), lit, code, FENCE, veil)
    gap = {"pickets": 0.32, "rails": 2.2, "wire": 2.6}[kind]
    # Far pickets merge into one surface, so only a bounded number of near ones is drawn.
    count = min(int((far - near) / gap), 40)
    wide = {"pickets": 0.14, "rails": 0.14, "wire": 0.1}[kind]
    posts = [panel(near + i * gap, near + i * gap + wide, 0.0, height) for i in range(count + 1)]
    canvas.fill_group(posts, lit, code, FENCE)
    levels = {"pickets": (0.3, 0.95), "rails": (0.35, 0.65, 0.97), "wire": (0.02, 0.98)}[kind]
    for level in levels:
        canvas.fill_group(
            [panel(near, far, height * level - 0.07, height * level)], scaled(lit, 0.9), code, FENCE
        )
    if kind == "wire" and canvas.camera.focal / near > 25.0:
        mesh = [panel(near, far, height * k / 9, height * k / 9 + 0.015) for k in range(1, 9)]
        canvas.fill_group(mesh, scaled(lit, 0.8), code, FENCE)


def draw_clutter(canvas: Canvas, item: Item) -> None:
    """Draw a bin, a switch box or a row of bollards."""
    rng = random.Random(item.key)
    board = Board(canvas, item.x, item.z)
    shade = canvas.light.shade
    if item.kind == "bollards":
        colour = shade(palette.metal(rng), _TOWARDS_CAMERA)
        for number in reversed(range(4)):
            post = Board(canvas, item.x, item.z + number * 1.6)
            post.box(-0.07, 0.0, 0.07, 0.85, colour, STATIC)
            post.box(-0.07, 0.65, 0.07, 0.76, (0.85, 0.85, 0.82), None)
        return
    colour = shade(mix(palette.paint(rng), (0.4, 0.45, 0.42), 0.5), _TOWARDS_CAMERA)
    wide, tall = (0.28, 1.0) if item.kind == "bin" else (0.5, 1.3)
    board.poly(
        ((-wide * 0.85, 0.0), (wide * 0.85, 0.0), (wide, tall), (-wide, tall)), colour, STATIC
    )
    board.box(-wide * 1.08, tall, wide * 1.08, tall + 0.1, scaled(colour, 0.7), STATIC)
    board.poly(
        ((wide * 0.4, 0.0), (wide * 0.85, 0.0), (wide, tall), (wide * 0.5, tall)),
        scaled(colour, 0.75),
        None,
    )
