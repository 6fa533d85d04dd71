"""The bodies of vehicles: side views extruded to a width.

A body is a profile of (l, y) points: l runs forwards from the rear bumper, y runs up. The profile
goes from the lower rear corner over the top to the lower front corner. Each edge of the profile is
one surface across the vehicle. Lengths are in metres.
"""

from dataclasses import dataclass, field

Shape = tuple[str, list[tuple[float, float]]]


@dataclass(frozen=True)
class Body:
    """One solid part of a vehicle.

    Attributes:
        profile: Points (l, y) over the top from rear to front.
        skins: Name of the surface of each edge of the profile.
        side_skin: Name of the surface of both sides.
        waist: Height above which the body narrows.
        narrowing: How much narrower each side is one metre above the waist.
        half_width: Half its width at the waist.
        side: Shapes on both sides, in (l, y).
        rear: Shapes on the rear plane, in (w, y), w from -1 (left) to 1 (right).
        front: Shapes on the front plane, in (w, y).
    """

    profile: list[tuple[float, float]]
    skins: list[str]
    side_skin: str
    half_width: float
    waist: float = 9.0
    narrowing: float = 0.0
    side: list[Shape] = field(default_factory=list)
    rear: list[Shape] = field(default_factory=list)
    front: list[Shape] = field(default_factory=list)


@dataclass(frozen=True)
class Model:
    """A vehicle: its bodies, its wheels (l, radius) and its class."""

    raw_id: int
    length: float
    half_width: float
    bodies: list[Body]
    wheels: list[tuple[float, float]]


def box(a0: float, y0: float, a1: float, y1: float) -> list[tuple[float, float]]:
    """Return the corners of a rectangle."""
    return [(a0, y0), (a1, y0), (a1, y1), (a0, y1)]


def lights(y: float, rear: str, tall: float = 0.16, wide: float = 0.3) -> list[Shape]:
    """Return a pair of lights at both edges of an end of a vehicle."""
    return [(rear, box(s * 0.94, y, s * (0.94 - wide), y + tall)) for s in (-1, 1)]
