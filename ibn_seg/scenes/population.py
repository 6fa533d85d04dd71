"""Puts things into the street: vehicles, people, cycles, poles, trees and clutter."""

import random

from ibn_seg.scenes.scene import Item, Plot, Side, lane_centre, pick

# Length and half width of each kind of vehicle, for spacing and shadows.
VEHICLES = {
    "sedan": (4.5, 0.9, 1.45),
    "hatchback": (4.0, 0.88, 1.5),
    "suv": (4.7, 0.96, 1.75),
    "van": (5.2, 1.0, 2.2),
    "pickup": (5.3, 0.96, 1.75),
    "box_truck": (8.2, 1.22, 3.4),
    "flatbed": (8.6, 1.22, 2.9),
    "tanker": (9.0, 1.22, 3.1),
    "bus": (11.8, 1.26, 3.1),
    "train": (22.0, 1.3, 3.5),
}
_CARS = ("sedan", "sedan", "hatchback", "hatchback", "suv", "suv", "van")
_TRUCKS = ("box_truck", "box_truck", "flatbed", "tanker")


class _Street:
    """Collects items and keeps vehicles from standing in each other."""

    def __init__(self, rng: random.Random, key: str, camera_x: float) -> None:
        self.rng = rng
        self.camera_x = camera_x
        self.key = key
        self.items: list[Item] = []
        self.taken: list[tuple[float, float, float]] = []

    def add(self, kind: str, x: float, z: float, **rest) -> None:
        """Add one item; its key follows from its place in the list."""
        self.items.append(Item(kind, x, z, f"{self.key}/{kind}{len(self.items)}", **rest))

    def close(self, x: float, reach: float) -> float:
        """Return a depth just far enough for x to be in the frame, plus at most `reach` metres."""
        return max(5.5, abs(x - self.camera_x) * 1.4 + 1.0) + self.rng.random() * reach

    def free(self, x: float, near: float, far: float, width: float = 1.6) -> bool:
        """Return whether no vehicle stands at x between two depths."""
        return not any(
            abs(x - other) < width and near < end and far > start
            for other, start, end in self.taken
        )

    def vehicle(self, kind: str, x: float, z: float, heading: str, turn: float = 0.0) -> bool:
        """Add a vehicle unless its place is taken; return whether it was added."""
        length, half, height = VEHICLES[kind]
        across = heading in ("left", "right")
        extent = 2 * half if across else length
        if not self.free(x, z - 1.5, z + extent + 1.5, length / 2 + 1.0 if across else 1.9):
            return False
        self.taken.append((x, z, z + extent))
        self.add(
            "vehicle",
            x,
            z,
            half_width=length / 2 if across else half,
            length=extent,
            height=height,
            options={"model": kind, "heading": heading, "turn": turn},
        )
        return True


def populate(
    rng: random.Random,
    wants: frozenset[str],
    lanes: int,
    lane: int,
    sides: tuple[Side, Side],
    crossing: tuple[float, float] | None,
    plots: tuple[Plot, ...],
    key: str,
    camera_x: float,
) -> tuple[Item, ...]:
    """Return everything that stands in the street.

    Args:
        rng: The random numbers.
        wants: Names of what must be there (see `layout.wanted`).
        lanes: Number of lanes.
        lane: The camera's lane.
        sides: The strips of both sides.
        crossing: Depths of the cross street, if any.
        plots: The land, for trees in parks.
        key: Seed prefix of the items.
        camera_x: Where the camera is across the road.
    """
    street = _Street(rng, key, camera_x)
    _large_vehicles(street, wants, lanes, lane)
    _riders(street, wants, lanes, lane, sides)
    _traffic(street, lanes, lane, sides, crossing)
    _people(street, wants, sides, crossing)
    _parked_cycles(street, wants, sides)
    _poles(street, wants, sides, crossing)
    _trees(street, sides, plots, crossing)
    _clutter(street, sides)
    return tuple(street.items)


def _heading(lane: int, lanes: int) -> str:
    """Return the direction of traffic in a lane; traffic keeps to the right."""
    return "away" if lane >= lanes // 2 else "toward"


def _large_vehicles(street: _Street, wants: frozenset[str], lanes: int, lane: int) -> None:
    """Add the wanted truck, bus and train, close enough to be seen well."""
    rng = street.rng
    for name in ("train", "bus", "truck"):
        if name not in wants:
            continue
        kind = pick(rng, *_TRUCKS) if name == "truck" else name
        for _ in range(8):
            place = int(rng.random() * lanes)
            x = lane_centre(place, lanes) + rng.uniform(-0.25, 0.25)
            spot = rng.uniform(11.0, 20.0) if place == lane else street.close(x, 12.0)
            if street.vehicle(kind, x, spot, _heading(place, lanes)):
                break
        else:
            street.vehicle(kind, lane_centre(lane, lanes), rng.uniform(32.0, 45.0), "away")


def _riders(
    street: _Street, wants: frozenset[str], lanes: int, lane: int, sides: tuple[Side, Side]
) -> None:
    """Add people on cycles: between the lanes and the curb, or crossing ahead."""
    rng = street.rng
    for name, kind in (("bicyclist", "bicycle"), ("motorcyclist", "motorcycle")):
        if name not in wants:
            continue
        count = pick(rng, 1, 1, 2)
        for _ in range(count):
            place = int(rng.random() * lanes)
            heading = _heading(place, lanes)
            side = sides[1] if heading == "away" else sides[0]
            x = lane_centre(place, lanes) + rng.uniform(-0.6, 0.6)
            if kind == "bicycle":
                x = side.side * (side.curb - side.parking - rng.uniform(0.4, 0.9))
            elif place == lane:
                x = lane_centre(lane, lanes) + pick(rng, -1.3, 1.3)
            z = street.close(x, 7.0)
            if rng.random() < 0.45:
                heading = pick(rng, "left", "right")
            if not street.free(x, z - 1.5, z + 2.0, 1.7):
                # There is no room in the road, so the cycle goes along the curb instead.
                x = side.side * (side.walk_start + 0.4)
            street.taken.append((x, z - 0.5, z + 1.5))
            street.add(
                "rider",
                x,
                z,
                half_width=0.35,
                length=1.7,
                height=1.8,
                options={"cycle": kind, "heading": heading},
            )


def _traffic(
    street: _Street,
    lanes: int,
    lane: int,
    sides: tuple[Side, Side],
    crossing: tuple[float, float] | None,
) -> None:
    """Add cars in the lanes, at the curb and in the cross street."""
    rng = street.rng
    density = rng.uniform(0.25, 0.9)
    for place in range(lanes):
        z = rng.uniform(11.0, 22.0) if place == lane else rng.uniform(6.0, 20.0)
        while z < 85.0:
            if rng.random() < density:
                x = lane_centre(place, lanes) + rng.uniform(-0.3, 0.3)
                street.vehicle(pick(rng, *_CARS), x, z, _heading(place, lanes))
            z += rng.uniform(8.0, 26.0)
    for side in sides:
        if not side.parking:
            continue
        z = rng.uniform(4.0, 9.0)
        fill = rng.uniform(0.3, 0.95)
        while z < 70.0:
            blocked = crossing and z + 6.0 > crossing[0] and z < crossing[1] + 3.0
            if rng.random() < fill and not blocked:
                x = side.side * (side.curb - side.parking / 2 - 0.1)
                heading = "away" if side.side > 0 else "toward"
                street.vehicle(pick(rng, *_CARS), x, z, heading, rng.uniform(-0.03, 0.03))
            z += rng.uniform(5.4, 7.5)
    if crossing and rng.random() < 0.6:
        reach = lanes * 1.65 + 4.0
        for _ in range(pick(rng, 1, 2)):
            x = rng.uniform(-reach - 6.0, reach + 6.0)
            z = crossing[0] + pick(rng, 1.0, 4.2)
            street.vehicle(pick(rng, *_CARS), x, z, pick(rng, "left", "right"))


def _people(
    street: _Street,
    wants: frozenset[str],
    sides: tuple[Side, Side],
    crossing: tuple[float, float] | None,
) -> None:
    """Add people on the sidewalks, alone and in small groups, and some who cross the road."""
    rng = street.rng
    if "person" not in wants:
        return
    for number in range(pick(rng, 2, 3, 4, 5, 7)):
        side = pick(rng, *sides)
        x = side.side * rng.uniform(side.walk_start + 0.2, side.walk_end - 0.3)
        z = street.close(x, 4.0) if number < 2 else street.close(x, 24.0)
        for member in range(pick(rng, 1, 1, 2, 2, 3)):
            street.add(
                "person",
                x + member * rng.uniform(0.5, 0.8),
                z + member * rng.uniform(-0.4, 0.4),
                half_width=0.25,
                length=0.3,
            )
    if rng.random() < 0.3:
        z = crossing[0] - 2.0 if crossing else rng.uniform(14.0, 30.0)
        x = rng.uniform(-sides[0].curb, sides[1].curb)
        if street.free(x, z - 1.0, z + 1.0):
            street.add("person", x, z, half_width=0.25, length=0.3, options={"walking": True})


def _parked_cycles(street: _Street, wants: frozenset[str], sides: tuple[Side, Side]) -> None:
    """Add cycles without riders at the edge of the sidewalk."""
    rng = street.rng
    for name in ("bicycle", "motorcycle"):
        if name not in wants:
            continue
        side = pick(rng, *sides)
        x = side.side * (side.walk_start + rng.uniform(0.3, 0.8))
        z = street.close(x, 5.0)
        for number in range(pick(rng, 1, 2, 3)):
            street.add(
                "cycle",
                x + rng.uniform(-0.15, 0.15),
                z + number * rng.uniform(0.8, 1.3),
                half_width=0.3,
                length=1.6,
                height=1.0,
                options={"cycle": name, "heading": pick(rng, "left", "right", "away")},
            )


def _poles(
    street: _Street,
    wants: frozenset[str],
    sides: tuple[Side, Side],
    crossing: tuple[float, float] | None,
) -> None:
    """Add street lamps, traffic lights and signs."""
    rng = street.rng
    for side in sides:
        if rng.random() < 0.75:
            z, step = rng.uniform(6.0, 26.0), rng.uniform(20.0, 30.0)
            design = pick(rng, "arm", "arm", "globe", "twin")
            while z < 100.0:
                street.add(
                    "lamp",
                    side.side * (side.curb + 0.45),
                    z,
                    half_width=0.08,
                    length=0.16,
                    height=7.0,
                    options={"design": design, "side": side.side},
                )
                z += step
    if "light" in wants:
        for side in sides:
            x = side.side * (side.curb + 0.5)
            for z in (street.close(x, 6.0), crossing[0] - 1.0 if crossing else 34.0):
                if rng.random() < 0.75 or (side.side > 0 and z < 21.0):
                    street.add(
                        "traffic_light",
                        x,
                        z,
                        half_width=0.08,
                        length=0.16,
                        height=3.2,
                        options={"side": side.side, "arm": rng.random() < 0.35},
                    )
    if "sign" in wants:
        for number in range(pick(rng, 1, 2, 3, 3)):
            side = pick(rng, *sides)
            x = side.side * (side.curb + rng.uniform(0.4, 0.9))
            street.add(
                "sign",
                x,
                street.close(x, 4.0 if number == 0 else 24.0),
                half_width=0.05,
                length=0.1,
                height=2.6,
            )


def _trees(
    street: _Street,
    sides: tuple[Side, Side],
    plots: tuple[Plot, ...],
    crossing: tuple[float, float] | None,
) -> None:
    """Add trees along the street and in the parks."""
    rng = street.rng
    for side in sides:
        chance = {"downtown": 0.6, "suburb": 0.65, "green": 0.85}[side.district]
        if rng.random() < chance:
            species = pick(rng, "round", "round", "oval", "airy")
            x = side.side * (side.curb + (side.verge / 2 if side.verge else 0.7))
            z, step = rng.uniform(7.0, 16.0), rng.uniform(8.0, 15.0)
            while z < 85.0:
                if not (crossing and crossing[0] - 2.0 < z < crossing[1] + 2.0):
                    _tree(street, x, z + rng.uniform(-1.0, 1.0), species, 0.95)
                z += step
    for plot in plots:
        count = {"park": 4 if plot.near < 60.0 else 2, "house": 1, "block": 0}[plot.kind]
        for _ in range(count):
            species = pick(rng, "round", "oval", "conifer", "airy", "poplar")
            x = plot.side * (plot.line + rng.uniform(1.2, 3.0 if plot.kind == "house" else 12.0))
            _tree(street, x, rng.uniform(max(plot.near, 5.0), plot.far), species, 1.1)
            if rng.random() < 0.35:
                street.add(
                    "bush",
                    plot.side * (plot.line + rng.uniform(0.8, 3.0)),
                    rng.uniform(max(plot.near, 5.0), plot.far),
                    half_width=0.7,
                    length=1.0,
                    height=1.0,
                )


def _tree(street: _Street, x: float, z: float, species: str, size: float) -> None:
    """Add one tree."""
    height = size * street.rng.uniform(5.0, 9.5)
    street.add(
        "tree",
        x,
        z,
        half_width=height * 0.25,
        length=height * 0.4,
        height=height,
        options={"species": species},
    )


def _clutter(street: _Street, sides: tuple[Side, Side]) -> None:
    """Add bins, bollards and boxes on the sidewalks."""
    rng = street.rng
    for side in sides:
        if rng.random() < 0.4:
            street.add(
                pick(rng, "bin", "box", "bollards"),
                side.side * (side.walk_start + rng.uniform(0.3, 0.7)),
                rng.uniform(7.0, 30.0),
                half_width=0.3,
                length=0.5,
                height=1.0,
            )
