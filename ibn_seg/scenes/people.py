"""People on foot and on cycles, and the cycles themselves."""

import math
import random

from ibn_seg.scenes import palette
from ibn_seg.scenes.canvas import Board, Canvas, Colour, disc_points, scaled
from ibn_seg.scenes.ids import BICYCLE, MOTORCYCLE, PERSON, RIDER
from ibn_seg.scenes.scene import Item, pick

_TOWARDS_CAMERA = (0.0, 0.0, -1.0)


def draw_person(canvas: Canvas, item: Item) -> None:
    """Draw someone who stands or walks."""
    rng = random.Random(item.key)
    size = rng.uniform(0.88, 1.1) * (0.72 if rng.random() < 0.1 else 1.0)
    board = Board(canvas, item.x, item.z, pick(rng, -1.0, 1.0), base=0.0)
    board.scale *= size
    board.across *= size * rng.uniform(0.9, 1.2)
    shade = canvas.light.shade
    top, legs = (shade(palette.cloth(rng), _TOWARDS_CAMERA) for _ in range(2))
    face = shade(palette.skin(rng), _TOWARDS_CAMERA)
    hair = shade(scaled(palette.skin(rng), rng.uniform(0.15, 0.7)), _TOWARDS_CAMERA)
    shoes = shade(palette.grey(rng, 0.05, 0.5), _TOWARDS_CAMERA)
    stride = rng.uniform(0.08, 0.3)
    skirt = rng.random() < 0.2
    for sign, tone in ((-1, 0.8), (1, 1.0)):
        foot = sign * stride + 0.03
        board.bar((sign * 0.08, 0.88), (foot, 0.08), 0.19, scaled(legs, tone), PERSON, 0.13)
        board.box(foot - 0.07, 0.0, foot + 0.16, 0.09, scaled(shoes, tone), PERSON)
    if skirt:
        board.poly(((-0.17, 0.95), (0.17, 0.95), (0.27, 0.45), (-0.27, 0.45)), legs, PERSON)
    board.bar((-0.2, 1.4), (-0.2 - stride * 0.5, 0.85), 0.13, scaled(top, 0.75), PERSON, 0.09)
    if rng.random() < 0.25:
        board.box(-0.32, 0.95, -0.1, 1.42, shade(palette.accent(rng), _TOWARDS_CAMERA), PERSON)
    board.poly(
        ((-0.17, 0.84), (0.17, 0.84), (0.23, 1.38), (0.14, 1.5), (-0.14, 1.5), (-0.23, 1.38)),
        top,
        PERSON,
    )
    board.poly(
        ((-0.17, 0.84), (-0.05, 0.84), (-0.08, 1.48), (-0.23, 1.38)), scaled(top, 0.82), None
    )
    board.bar((0.21, 1.4), (0.2 + stride * 0.6, 0.88), 0.12, scaled(top, 0.92), PERSON, 0.09)
    board.disc(0.21 + stride * 0.6, 0.84, 0.05, face, PERSON, 6)
    _head(board, (0.0, 1.62), face, hair, PERSON)


def _head(
    board: Board, centre: tuple[float, float], face: Colour, hair: Colour, raw_id: int
) -> None:
    """Draw a head with hair."""
    u, v = centre
    board.box(u - 0.05, v - 0.16, u + 0.05, v - 0.05, scaled(face, 0.85), raw_id)
    board.poly(disc_points(u, v + 0.03, 0.115, 0.14, 10), hair, raw_id)
    board.poly(disc_points(u + 0.03, v - 0.02, 0.085, 0.11, 8), face, raw_id)


def draw_cycle(canvas: Canvas, item: Item) -> None:
    """Draw a parked bicycle or motorcycle."""
    rng = random.Random(item.key)
    board, view = _cycle_board(canvas, item, rng)
    if item.options["cycle"] == "bicycle":
        _bicycle(board, rng, view)
    else:
        _motorcycle(board, rng, view)


def draw_rider(canvas: Canvas, item: Item) -> None:
    """Draw someone riding a bicycle or a motorcycle."""
    rng = random.Random(item.key)
    board, view = _cycle_board(canvas, item, rng)
    bicycle = item.options["cycle"] == "bicycle"
    if bicycle:
        _bicycle(board, rng, view)
        saddle, grip, pedal, helmet = (-0.2, 0.98), (0.42, 1.08), (0.05, 0.3), rng.random() < 0.5
    else:
        _motorcycle(board, rng, view)
        saddle, grip, pedal, helmet = (-0.25, 0.86), (0.42, 1.02), (-0.02, 0.3), True
    _seated(board, rng, view, saddle, grip, pedal, helmet)


def _cycle_board(canvas: Canvas, item: Item, rng: random.Random) -> tuple[Board, str]:
    """Return the plane of a cycle and whether it is seen from the 'side' or from an 'end'."""
    heading = item.options["heading"]
    if heading in ("left", "right"):
        squeeze = rng.uniform(0.7, 1.0) * (1 if heading == "right" else -1)
        return Board(canvas, item.x, item.z, squeeze), "side"
    # Seen at a slant from behind or ahead: it looks short, but both wheels still show.
    return Board(canvas, item.x, item.z, rng.uniform(0.3, 0.6) * pick(rng, -1, 1)), "end"


def _wheel(
    board: Board, u: float, radius: float, thick: float, colour: Colour, raw_id: int
) -> None:
    """Draw a wheel: a veil of spokes, a tyre and a hub."""
    rim = board.place(disc_points(u, radius, radius, radius, 16))
    board.canvas.veil(rim, scaled(colour, 1.6), board.depth, raw_id, 0.4)
    inside = radius - thick
    # Filling two rings together leaves out the area inside both, so a tyre remains.
    tyre = [rim, board.place(disc_points(u, radius, inside, inside, 16))]
    board.canvas.fill_group(tyre, colour, board.depth, None)
    if board.scale > 50.0:
        for tip in disc_points(u, radius, inside, inside, 8):
            board.bar((u, radius), tip, 0.012, (0.6, 0.6, 0.62), None)


def _bicycle(board: Board, rng: random.Random, view: str) -> None:
    """Draw a bicycle that heads to the right."""
    shade = board.canvas.light.shade
    frame = shade(palette.paint(rng), _TOWARDS_CAMERA)
    black = shade((0.09, 0.09, 0.1), _TOWARDS_CAMERA)
    radius = rng.uniform(0.31, 0.36)
    width = 0.055 if view == "side" else 0.1
    for u in (-0.52, 0.52):
        _wheel(board, u, radius, 0.06, black, BICYCLE)
    hub_b, hub_f, pedal, seat, head = (
        (-0.52, radius),
        (0.52, radius),
        (-0.05, 0.3),
        (-0.2, 0.82),
        (0.38, 0.85),
    )
    for a, b in (
        (hub_b, pedal),
        (hub_b, seat),
        (pedal, seat),
        (pedal, head),
        (seat, head),
        (head, hub_f),
    ):
        board.bar(a, b, width, frame, BICYCLE)
    board.bar(seat, (-0.22, 0.95), width, frame, BICYCLE)
    board.box(-0.36, 0.94, -0.08, 1.01, black, BICYCLE)
    board.bar(head, (0.36, 1.04), width, frame, BICYCLE)
    board.bar((0.3, 1.06), (0.5, 1.08), 0.06, black, BICYCLE)
    board.disc(-0.05, 0.3, 0.09, black, BICYCLE, 8)
    if rng.random() < 0.35:
        board.box(0.38, 0.8, 0.68, 1.02, shade((0.4, 0.3, 0.2), _TOWARDS_CAMERA), BICYCLE)


def _motorcycle(board: Board, rng: random.Random, view: str) -> None:
    """Draw a motorcycle or scooter that heads to the right."""
    shade = board.canvas.light.shade
    body = shade(palette.paint(rng), _TOWARDS_CAMERA)
    black = shade((0.08, 0.08, 0.09), _TOWARDS_CAMERA)
    steel = shade((0.55, 0.55, 0.57), _TOWARDS_CAMERA)
    for u in (-0.68, 0.7):
        board.disc(u, 0.32, 0.32, black, MOTORCYCLE, 16)
        board.disc(u, 0.32, 0.17, steel, MOTORCYCLE, 10)
    board.poly(
        ((-0.45, 0.25), (0.35, 0.25), (0.4, 0.6), (-0.35, 0.62)), scaled(steel, 0.6), MOTORCYCLE
    )
    board.poly(
        ((-0.9, 0.62), (-0.3, 0.5), (0.1, 0.72), (-0.3, 0.86), (-0.95, 0.88)), black, MOTORCYCLE
    )
    board.poly(((-0.15, 0.6), (0.4, 0.55), (0.5, 0.9), (0.2, 1.0), (-0.12, 0.85)), body, MOTORCYCLE)
    board.poly(((-0.95, 0.6), (-0.6, 0.6), (-0.55, 0.78), (-1.0, 0.82)), body, MOTORCYCLE)
    board.bar((0.44, 0.95), (0.7, 0.32), 0.09, steel, MOTORCYCLE)
    board.poly(((0.4, 0.75), (0.62, 0.78), (0.6, 1.1), (0.42, 1.12)), body, MOTORCYCLE)
    board.bar((0.42, 1.08), (0.3, 1.14), 0.07, black, MOTORCYCLE)
    board.bar((-0.8, 0.3), (-0.1, 0.32), 0.1, steel, MOTORCYCLE)
    board.disc(0.62, 0.95, 0.08, (0.98, 0.95, 0.8), MOTORCYCLE, 8)
    board.box(-1.02, 0.72, -0.94, 0.8, (0.8, 0.1, 0.08), MOTORCYCLE)
    if view == "end":
        wide = 0.34 / max(abs(board.across / board.scale), 0.2)
        board.box(-wide, 1.05, wide, 1.12, black, MOTORCYCLE)


def _seated(
    board: Board,
    rng: random.Random,
    view: str,
    saddle: tuple[float, float],
    grip: tuple[float, float],
    pedal: tuple[float, float],
    helmet: bool,
) -> None:
    """Draw the person on the saddle, hands on the grips and feet on the pedals."""
    shade = board.canvas.light.shade
    top, legs = (shade(palette.cloth(rng), _TOWARDS_CAMERA) for _ in range(2))
    face = shade(palette.skin(rng), _TOWARDS_CAMERA)
    cap = shade(palette.paint(rng) if helmet else palette.grey(rng, 0.05, 0.3), _TOWARDS_CAMERA)
    # Seen from an end, the cycle looks short but the person is as broad as ever.
    broad = 1.0 if view == "side" else 0.75 / max(abs(board.across / board.scale), 0.3)
    hip, shoulder = saddle, (saddle[0] + 0.3, saddle[1] + 0.52)
    knee = (saddle[0] + 0.36, saddle[1] - 0.28)
    for shift, tone in ((0.12, 0.75), (0.0, 1.0)):
        foot = (pedal[0] + shift, pedal[1] + shift)
        board.bar(
            hip, (knee[0], knee[1] + shift), 0.19 * broad, scaled(legs, tone), RIDER, 0.15 * broad
        )
        board.bar((knee[0], knee[1] + shift), foot, 0.14 * broad, scaled(legs, tone), RIDER, 0.1)
        board.box(
            foot[0] - 0.05, foot[1] - 0.06, foot[0] + 0.18, foot[1] + 0.03, (0.1, 0.1, 0.1), RIDER
        )
    back = math.hypot(shoulder[0] - hip[0], shoulder[1] - hip[1])
    lean = (shoulder[0] - hip[0]) / back
    board.poly(
        (
            (hip[0] - 0.16 * broad, hip[1] - 0.05),
            (hip[0] + 0.12 * broad, hip[1] - 0.08),
            (shoulder[0] + 0.13 * broad, shoulder[1] - 0.05 * lean),
            (shoulder[0], shoulder[1] + 0.08),
            (shoulder[0] - 0.18 * broad, shoulder[1] - 0.02),
        ),
        top,
        RIDER,
    )
    elbow = ((shoulder[0] + grip[0]) / 2, min(shoulder[1], grip[1]) - 0.05)
    board.bar(shoulder, elbow, 0.12 * broad, scaled(top, 0.88), RIDER)
    board.bar(elbow, grip, 0.1 * broad, scaled(top, 0.88), RIDER)
    head = (shoulder[0] + 0.1, shoulder[1] + 0.23)
    size = 0.15 if helmet else 0.12
    across = size * (1.0 if view == "side" else 1.0 / max(abs(board.across / board.scale), 0.3))
    board.poly(disc_points(*head, across, size * 1.08, 10), face, RIDER)
    board.poly(
        disc_points(head[0] - 0.01, head[1] + 0.06, across * 1.05, size * 0.8, 10), cap, RIDER
    )
