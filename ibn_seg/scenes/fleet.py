"""The cars, trucks, buses and trams of the scenes; lengths in metres."""

from ibn_seg.scenes.bodies import Body, Model, Shape, box, lights
from ibn_seg.scenes.ids import BUS, CAR, TRAIN, TRUCK


def _car_ends(light_y: float, bumper: float) -> tuple[list[Shape], list[Shape]]:
    """Return the shapes on a car's rear and front."""
    plate = ("plate", box(-0.3, bumper + 0.12, 0.3, bumper + 0.25))
    dark = ("dark", box(-0.96, bumper - 0.08, 0.96, bumper + 0.06))
    rear = [dark, plate, *lights(light_y, "tail")]
    grille = ("dark", box(-0.5, bumper + 0.05, 0.5, bumper + 0.25))
    front = [dark, grille, plate, *lights(light_y - 0.05, "lamp")]
    return rear, front


def _car(
    length: float,
    half: float,
    profile: list[tuple[float, float]],
    skins: list[str],
    windows: list[list[tuple[float, float]]],
    wheels: tuple[float, float],
    waist: float,
    radius: float = 0.33,
    light_y: float = 0.62,
) -> Model:
    """Return a model of one body with the details that all cars have."""
    rear, front = _car_ends(light_y, 0.38)
    doors = [("seam", box(l0, 0.34, l0 + 0.025, waist)) for l0 in (length * 0.36, length * 0.62)]
    sill = ("dark", box(wheels[0] + 0.35, 0.22, wheels[1] - 0.35, 0.36))
    body = Body(
        profile,
        skins,
        "paint",
        half,
        waist,
        0.28,
        side=[sill, *(("glass", window) for window in windows), *doors],
        rear=rear,
        front=front,
    )
    return Model(CAR, length, half, [body], [(wheels[0], radius), (wheels[1], radius)])


def _cab(start: float, end: float, top: float, half: float) -> Body:
    """Return a truck's cab between two places along its length."""
    return Body(
        [(start, 0.5), (start, top), (end - 0.35, top), (end - 0.05, 1.5), (end, 0.45)],
        ["paint", "paint", "glass", "paint"],
        "paint",
        half,
        side=[
            (
                "glass",
                [
                    (start + 0.45, 1.55),
                    (end - 0.2, 1.55),
                    (end - 0.42, top - 0.2),
                    (start + 0.45, top - 0.2),
                ],
            ),
            ("seam", box(start + 0.35, 0.6, start + 0.4, top - 0.1)),
        ],
        front=[
            ("dark", box(-0.75, 0.75, 0.75, 1.2)),
            ("dark", box(-0.95, 0.45, 0.95, 0.62)),
            *lights(0.68, "lamp", 0.2, 0.26),
        ],
    )


def _chassis(start: float, end: float, half: float) -> Body:
    """Return the dark frame below a truck's load, with its rear lights."""
    return Body(
        [(start, 0.45), (start, 0.95), (end, 0.95), (end, 0.45)],
        ["dark"] * 3,
        "dark",
        half,
        rear=[*lights(0.62, "tail", 0.16, 0.22), ("plate", box(-0.22, 0.6, 0.22, 0.74))],
    )


def _truck(length: float, half: float, load: list[Body], cab_top: float) -> Model:
    """Return a truck with a load behind its cab."""
    cab = length - 2.0
    bodies = [_chassis(0.0, cab, half * 0.94), *load, _cab(cab, length, cab_top, half)]
    return Model(TRUCK, length, half, bodies, [(1.4, 0.5), (2.5, 0.5), (length - 1.2, 0.5)])


def _bus() -> Model:
    """Return a city bus."""
    length, half, top = 11.8, 1.26, 3.1
    glass = [("glass", box(0.5 + 1.5 * i, 1.45, 0.5 + 1.5 * i + 1.36, 2.5)) for i in range(7)]
    doors = [("glass", box(a, 0.5, a + 1.1, 2.5)) for a in (5.6, 10.2)]
    frames = [("paint2", box(a + 0.52, 0.5, a + 0.58, 2.5)) for a in (5.6, 10.2)]
    body = Body(
        [
            (0.0, 0.35),
            (0.0, top - 0.1),
            (0.15, top),
            (length - 0.5, top),
            (length - 0.1, top - 0.5),
            (length, 0.35),
        ],
        ["paint", "paint", "roof", "paint", "paint"],
        "paint",
        half,
        side=[("paint2", box(0.05, 0.4, length - 0.05, 0.95)), *glass, *doors, *frames],
        rear=[
            ("glass", box(-0.8, 1.7, 0.8, 2.6)),
            ("dark", box(-0.7, 0.6, 0.7, 1.3)),
            ("amber", box(-0.5, 2.7, 0.5, 2.92)),
            *lights(0.9, "tail", 0.5, 0.14),
            ("paint2", box(-0.98, 0.38, 0.98, 0.58)),
        ],
        front=[
            ("glass", box(-0.93, 1.15, 0.93, 2.5)),
            ("amber", box(-0.7, 2.62, 0.7, 2.92)),
            *lights(0.72, "lamp", 0.2, 0.24),
            ("paint2", box(-0.98, 0.38, 0.98, 0.62)),
        ],
    )
    return Model(BUS, length, half, [body], [(2.6, 0.5), (9.2, 0.5)])


def _train() -> Model:
    """Return a low tram of three sections with a pantograph."""
    length, half, top = 22.0, 1.3, 3.25
    glass = [("glass", box(1.3 + 6.6 * s, 1.25, 1.3 + 6.6 * s + 5.9, 2.55)) for s in range(3)]
    joints = [("dark", box(7.35 + 6.6 * s, 0.2, 7.75 + 6.6 * s, top)) for s in range(2)]
    doors = [("paint2", box(a, 0.35, a + 1.3, 2.6)) for a in (3.6, 10.3, 17.0)]
    panes = [("glass", box(a + 0.12, 0.9, a + 1.18, 2.45)) for a in (3.6, 10.3, 17.0)]
    gear = [
        Body(
            [(a, top), (a, top + 0.45), (a + 3.0, top + 0.45), (a + 3.0, top)],
            ["steel"] * 3,
            "steel",
            half * 0.7,
        )
        for a in (2.5, 9.5, 16.0)
    ]
    pantograph = Body(
        [(10.8, top + 0.4), (11.6, top + 1.35), (11.7, top + 1.35), (11.0, top + 0.4)],
        ["dark", "dark", "dark"],
        "dark",
        half * 0.6,
    )
    end = [
        ("glass", box(-0.82, 1.2, 0.82, 2.7)),
        ("amber", box(-0.45, 2.82, 0.45, 3.05)),
        ("dark", box(-0.9, 0.15, 0.9, 0.42)),
        ("paint2", box(-0.97, 0.45, 0.97, 0.68)),
    ]
    body = Body(
        [
            (0.35, 0.15),
            (0.0, 1.0),
            (0.5, top - 0.2),
            (0.8, top),
            (length - 0.8, top),
            (length - 0.5, top - 0.2),
            (length, 1.0),
            (length - 0.35, 0.15),
        ],
        ["paint", "paint", "paint", "roof", "paint", "paint", "paint"],
        "paint",
        half,
        side=[
            ("dark", box(0.4, 0.15, length - 0.4, 0.38)),
            *glass,
            ("paint2", box(0.2, 0.75, length - 0.2, 0.98)),
            *doors,
            *panes,
            *joints,
        ],
        rear=[*end, *lights(0.78, "tail", 0.18, 0.2)],
        front=[*end, *lights(0.78, "lamp", 0.18, 0.24)],
    )
    return Model(TRAIN, length, half, [body, *gear, pantograph], [])


def _load(points: list[tuple[float, float]], skin: str, half: float, **rest) -> Body:
    """Return a load of one colour."""
    return Body(points, [skin] * (len(points) - 1), skin, half, **rest)


MODELS: dict[str, Model] = {
    "sedan": _car(
        4.5,
        0.9,
        [
            (0.0, 0.25),
            (0.0, 0.92),
            (0.75, 1.0),
            (1.3, 1.4),
            (2.6, 1.45),
            (3.35, 1.0),
            (4.35, 0.8),
            (4.5, 0.25),
        ],
        ["paint", "paint", "glass", "paint", "glass", "paint", "paint"],
        [
            [(1.0, 1.0), (1.42, 1.34), (2.02, 1.38), (2.02, 1.0)],
            [(2.12, 1.0), (2.12, 1.38), (2.58, 1.38), (3.14, 1.0)],
        ],
        (0.9, 3.6),
        1.0,
    ),
    "hatchback": _car(
        4.0,
        0.88,
        [
            (0.0, 0.25),
            (0.0, 0.98),
            (0.45, 1.44),
            (2.3, 1.5),
            (3.05, 1.02),
            (3.88, 0.82),
            (4.0, 0.25),
        ],
        ["paint", "glass", "paint", "glass", "paint", "paint"],
        [
            [(0.4, 1.03), (0.66, 1.38), (1.6, 1.42), (1.6, 1.03)],
            [(1.7, 1.03), (1.7, 1.42), (2.26, 1.42), (2.84, 1.03)],
        ],
        (0.72, 3.2),
        1.02,
    ),
    "suv": _car(
        4.7,
        0.96,
        [(0.0, 0.3), (0.0, 1.15), (0.4, 1.72), (2.9, 1.76), (3.6, 1.18), (4.6, 1.02), (4.7, 0.3)],
        ["paint", "glass", "paint", "glass", "paint", "paint"],
        [
            [(0.45, 1.2), (0.68, 1.6), (1.45, 1.64), (1.45, 1.2)],
            [(1.53, 1.2), (1.53, 1.64), (2.25, 1.66), (2.25, 1.2)],
            [(2.33, 1.2), (2.33, 1.66), (2.86, 1.66), (3.38, 1.2)],
        ],
        (0.9, 3.8),
        1.18,
        0.38,
        0.85,
    ),
    "van": _car(
        5.2,
        1.0,
        [(0.0, 0.3), (0.0, 1.2), (0.12, 2.15), (3.6, 2.2), (4.5, 1.3), (5.1, 1.05), (5.2, 0.3)],
        ["paint", "glass", "paint", "glass", "paint", "paint"],
        [[(3.05, 1.3), (3.05, 1.95), (3.62, 1.95), (4.25, 1.3)]],
        (1.0, 4.2),
        1.3,
        0.35,
        0.9,
    ),
    "pickup": _car(
        5.3,
        0.96,
        [
            (0.0, 0.35),
            (0.0, 1.05),
            (2.0, 1.05),
            (2.15, 1.7),
            (3.35, 1.74),
            (4.0, 1.15),
            (5.2, 1.0),
            (5.3, 0.35),
        ],
        ["paint", "dark", "glass", "paint", "glass", "paint", "paint"],
        [
            [(2.3, 1.15), (2.35, 1.6), (2.9, 1.62), (2.9, 1.15)],
            [(3.0, 1.15), (3.0, 1.62), (3.3, 1.62), (3.75, 1.15)],
        ],
        (1.1, 4.3),
        1.15,
        0.4,
        0.78,
    ),
    "box_truck": _truck(
        8.2,
        1.22,
        [
            _load(
                [(0.0, 0.95), (0.0, 3.4), (6.0, 3.4), (6.0, 0.95)],
                "cargo",
                1.22,
                side=[
                    ("seam", box(0.0, 0.95, 6.0, 1.05)),
                    ("seam", box(0.0, 3.3, 6.0, 3.4)),
                    ("paint2", box(1.0, 1.8, 5.0, 2.6)),
                ],
                rear=[
                    ("seam", box(-0.02, 1.0, 0.02, 3.3)),
                    ("dark", box(-0.98, 0.95, 0.98, 1.05)),
                    ("seam", box(-0.6, 1.2, -0.55, 3.2)),
                    ("seam", box(0.55, 1.2, 0.6, 3.2)),
                ],
            )
        ],
        2.7,
    ),
    "flatbed": _truck(
        8.6,
        1.22,
        [
            _load(
                [(0.0, 0.95), (0.0, 1.5), (6.4, 1.5), (6.4, 0.95)],
                "cargo",
                1.22,
                side=[("seam", box(a, 0.95, a + 0.06, 1.5)) for a in (1.6, 3.2, 4.8)],
            ),
            _load([(0.5, 1.5), (0.5, 2.5), (2.9, 2.5), (2.9, 1.5)], "wood", 0.95),
            _load([(3.2, 1.5), (3.2, 2.2), (5.8, 2.2), (5.8, 1.5)], "paint2", 0.95),
        ],
        2.75,
    ),
    "tanker": _truck(
        9.0,
        1.22,
        [
            Body(
                [
                    (0.1, 0.95),
                    (0.0, 1.6),
                    (0.0, 2.3),
                    (0.3, 2.9),
                    (6.4, 2.9),
                    (6.7, 2.3),
                    (6.7, 0.95),
                ],
                ["steel", "steel", "steel", "steel", "steel", "steel"],
                "cargo",
                1.2,
                2.2,
                0.6,
                side=[
                    ("paint2", box(0.1, 1.6, 6.6, 1.85)),
                    ("seam", box(2.2, 1.0, 2.26, 2.8)),
                    ("seam", box(4.4, 1.0, 4.46, 2.8)),
                ],
                rear=[("tail", box(-0.3, 1.5, 0.3, 1.75))],
            )
        ],
        2.7,
    ),
    "bus": _bus(),
    "train": _train(),
}
