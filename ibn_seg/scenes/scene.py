"""The parts of a scene, as plain data.

Lengths are in metres, and places are in the world of `canvas.Camera` (x right, z ahead). Nothing
here knows about domains or frame sizes.
"""

import random
from dataclasses import dataclass, field
from typing import TypeVar

LANE = 3.3
STREET_END = 130.0

_T = TypeVar("_T")


@dataclass(frozen=True)
class Item:
    """One thing in the scene.

    Attributes:
        kind: Which drawing function draws it.
        x: World x of its centre.
        z: Depth of its nearest point; sets the drawing order, from far to near.
        key: Seed of its random looks.
        half_width: Half its extent along x, for its shadow.
        length: Its extent along z.
        height: Its height, for its shadow.
        options: Further values for its drawing function.
    """

    kind: str
    x: float
    z: float
    key: str
    half_width: float = 0.3
    length: float = 0.5
    height: float = 1.7
    options: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Plot:
    """A stretch of land along one side of the street.

    Attributes:
        kind: 'block', 'house' or 'park'.
        side: -1 left, 1 right.
        near: Depth of its near end.
        far: Depth of its far end.
        front: Distance of its facade, or of its first trees, from the street's axis.
        boundary: 'wall', 'fence', 'hedge' or '', along the back of the sidewalk.
        line: Distance of that boundary from the street's axis.
        key: Seed of its looks.
    """

    kind: str
    side: int
    near: float
    far: float
    front: float
    boundary: str
    line: float
    key: str


@dataclass(frozen=True)
class Side:
    """The strips beside the road on one side, from the curb outwards.

    Attributes:
        side: -1 left, 1 right.
        curb: Distance of the curb from the street's axis.
        parking: Width of the parking lane inside the curb; 0 for none.
        verge: Width of the grass strip between curb and sidewalk; 0 for none.
        walk: Width of the sidewalk.
        yard: Width of the front gardens behind the sidewalk; 0 for none.
        district: 'downtown', 'suburb' or 'green'.
    """

    side: int
    curb: float
    parking: float
    verge: float
    walk: float
    yard: float
    district: str

    @property
    def walk_start(self) -> float:
        """Distance of the sidewalk's inner edge from the axis."""
        return self.curb + self.verge

    @property
    def walk_end(self) -> float:
        """Distance of the sidewalk's outer edge from the axis."""
        return self.curb + self.verge + self.walk


@dataclass(frozen=True)
class Scene:
    """A whole scene; see the attributes of its parts.

    Attributes:
        focal: Focal length relative to the frame (1 is half the frame's mean side).
        vanish: Column of the vanishing point as a share of the width.
        horizon: Row of the horizon as a share of the height.
        eye: Camera height.
        camera_x: Lateral position of the camera.
        bend: Sideways drift of the road (see `Camera`).
        lanes: Number of driving lanes.
        lane_line: 'dashed', 'solid' or 'double' line along the middle of the road.
        sides: The left and the right side.
        crossing: Depths where a cross street begins and ends, or None.
        plots: Land along both sides.
        items: Everything else that stands on the ground.
        sun: Direction towards the sun, a unit vector.
        backdrop: 'trees', 'city' or 'hills' at the end of the street.
        bonnet: Whether the bonnet of the camera's own car is in the picture.
        key: Seed of everything outside items.
        end: Depth of a row of buildings that closes the street, a T-junction; 0 for none.
    """

    focal: float
    vanish: float
    horizon: float
    eye: float
    camera_x: float
    bend: float
    lanes: int
    lane_line: str
    sides: tuple[Side, Side]
    crossing: tuple[float, float] | None
    plots: tuple[Plot, ...]
    items: tuple[Item, ...]
    sun: tuple[float, float, float]
    backdrop: str
    bonnet: bool
    key: str
    end: float = 0.0


def pick(rng: random.Random, *options: _T) -> _T:
    """Return one of the options, each equally likely."""
    return options[int(rng.random() * len(options))]


def lane_centre(lane: int, lanes: int) -> float:
    """Return the x of a lane's middle; lanes count from the left."""
    return (lane + 0.5 - lanes / 2) * LANE
