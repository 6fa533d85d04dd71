"""Draws the geometry of a scene, what stands where, from (seed, index) alone.

A scene is a straight or gently bending street. All domains take their scenes from here, so they
share one distribution of geometry. Nothing in this file knows about domains or frame sizes. Lengths
are in metres, and places are in the world of `canvas.Camera` (x right, z ahead).
"""

import math
import random

from ibn_seg.scenes.population import populate
from ibn_seg.scenes.scene import LANE, STREET_END, Plot, Scene, Side, lane_centre, pick

# How often a scene must hold a class that a street does not always show. Each class has its own
# irrational stride. It spreads the scenes of a class evenly over the indices, so any run of frames
# holds close to its share. The shares leave a margin for things that others hide.
_SHARES = {
    "wall": (0.55, math.sqrt(2)),
    "fence": (0.55, math.sqrt(3)),
    "light": (0.65, math.sqrt(5)),
    "sign": (0.75, math.sqrt(7)),
    "person": (0.80, math.sqrt(11)),
    "bicyclist": (0.45, math.sqrt(13)),
    "motorcyclist": (0.35, math.sqrt(17)),
    "bicycle": (0.35, math.sqrt(19)),
    "motorcycle": (0.35, math.sqrt(23)),
    "truck": (0.36, math.sqrt(29)),
    "bus": (0.34, math.sqrt(31)),
    "train": (0.34, math.sqrt(37)),
    "bonnet": (0.12, math.sqrt(41)),
}


def wanted(seed: int, index: int) -> frozenset[str]:
    """Return the names of `_SHARES` that the scene of this index must hold."""
    phases = random.Random(f"wanted/{seed}")
    return frozenset(
        name
        for name, (share, stride) in _SHARES.items()
        if math.modf(phases.random() + index * stride)[0] < share
    )


def lay_out(seed: int, index: int) -> Scene:
    """Return the scene of one (seed, index).

    Args:
        seed: Chooses the whole series of scenes.
        index: Chooses the scene within the series.
    """
    key = f"{seed}/{index}"
    rng = random.Random(f"layout/{key}")
    wants = wanted(seed, index)
    lanes = pick(rng, 2, 2, 3, 4)
    sides = (_side(rng, -1, lanes), _side(rng, 1, lanes))
    crossing = None
    if rng.random() < (0.6 if "light" in wants else 0.25):
        start = rng.uniform(18.0, 50.0)
        crossing = (start, start + rng.uniform(7.0, 11.0))
    lane = lanes - 1 if lanes < 4 or rng.random() < 0.5 else lanes - 2
    camera_x = lane_centre(lane, lanes) + rng.uniform(-0.5, 0.5)
    azimuth = rng.uniform(-2.6, 2.6)
    elevation = rng.uniform(0.55, 1.1)
    plots = [plot for side in sides for plot in _plots(rng, side, crossing, key)]
    plots = _with_boundaries(rng, plots, wants)
    items = populate(rng, wants, lanes, lane, sides, crossing, tuple(plots), key, camera_x)
    return Scene(
        focal=rng.uniform(1.15, 1.45),
        vanish=0.5 + rng.uniform(-0.09, 0.09),
        horizon=rng.uniform(0.38, 0.48),
        eye=rng.uniform(1.35, 1.9),
        camera_x=camera_x,
        bend=rng.uniform(-1.0, 1.0) ** 3 * 0.0022,
        lanes=lanes,
        lane_line=pick(rng, "dashed", "dashed", "solid", "double"),
        sides=sides,
        crossing=crossing,
        plots=tuple(plots),
        items=items,
        sun=(
            math.sin(azimuth) * math.cos(elevation),
            math.sin(elevation),
            -math.cos(azimuth) * math.cos(elevation),
        ),
        backdrop=pick(rng, "trees", "city", "hills"),
        bonnet="bonnet" in wants,
        key=key,
    )


def _side(rng: random.Random, side: int, lanes: int) -> Side:
    """Return the strips of one side."""
    district = pick(rng, "downtown", "downtown", "suburb", "suburb", "green")
    parking = 2.3 if rng.random() < 0.5 else 0.0
    verge_chance = {"downtown": 0.3, "suburb": 0.65, "green": 0.8}[district]
    yard = {"downtown": 0.0, "suburb": rng.uniform(2.0, 6.0), "green": rng.uniform(3.0, 9.0)}
    return Side(
        side=side,
        curb=lanes * LANE / 2 + parking + 0.3,
        parking=parking,
        verge=rng.uniform(1.0, 2.6) if rng.random() < verge_chance else 0.0,
        walk=rng.uniform(1.8, 3.8),
        yard=yard[district],
        district=district,
    )


_PLOT_CHANCES = {
    "downtown": ("block", "block", "block", "block", "block", "park"),
    "suburb": ("house", "house", "house", "block", "park"),
    "green": ("park", "park", "park", "house", "block"),
}


def _plots(
    rng: random.Random, side: Side, crossing: tuple[float, float] | None, key: str
) -> list[Plot]:
    """Return the land along one side, leaving out the cross street."""
    plots = []
    z = rng.uniform(2.0, 6.0)
    while z < STREET_END:
        kind = pick(rng, *_PLOT_CHANCES[side.district])
        length = rng.uniform(8.0, 13.0) if kind == "house" else rng.uniform(9.0, 22.0)
        far = z + length
        gap = rng.uniform(2.0, 6.0) if kind == "house" else pick(rng, 0.0, 0.0, 0.0, 4.0)
        if crossing and far > crossing[0] and z < crossing[1]:
            far = crossing[0]
            gap = crossing[1] + 0.5 - far
        if far - z > 4.0:
            plots.append(
                Plot(
                    kind=kind,
                    side=side.side,
                    near=z,
                    far=far,
                    front=side.walk_end + side.yard * rng.uniform(0.8, 1.2),
                    boundary="",
                    line=side.walk_end + 0.15,
                    key=f"{key}/plot{side.side}/{len(plots)}",
                )
            )
        z = far + gap
    return plots


def _with_boundaries(rng: random.Random, plots: list[Plot], wants: frozenset[str]) -> list[Plot]:
    """Return the plots with walls, fences and hedges along the sidewalk.

    A wanted wall or fence goes to a plot that is close enough to be seen well.
    """
    chosen: dict[str, str] = {}
    close = [plot for plot in plots if plot.far > 14.0 and plot.near < 24.0]
    for name in ("wall", "fence"):
        free = [plot for plot in close if plot.key not in chosen]
        if name in wants and free:
            start = int(rng.random() * len(free))
            for plot in free[start : start + 2]:
                chosen[plot.key] = name
    result = []
    for plot in plots:
        chance = {"block": 0.0, "house": 0.55, "park": 0.5}[plot.kind]
        extra = pick(rng, "wall", "fence", "hedge", "hedge") if rng.random() < chance else ""
        if extra in ("wall", "fence") and plot.near < 40.0:
            extra = "hedge"
        boundary = chosen.get(plot.key, extra)
        front = plot.front
        if boundary and plot.kind == "block":
            front = max(front, plot.line + 3.0)
        result.append(
            Plot(plot.kind, plot.side, plot.near, plot.far, front, boundary, plot.line, plot.key)
        )
    return result
