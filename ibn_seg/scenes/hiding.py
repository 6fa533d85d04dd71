"""Decides what is in the frame, what hides what, and the order of drawing."""

import numpy as np

from ibn_seg.scenes.buildings import shape_of
from ibn_seg.scenes.canvas import Camera
from ibn_seg.scenes.scene import Item, Plot


def item_in_view(camera: Camera, item: Item) -> bool:
    """Return whether an item is in the frame, allowing for its widest arm or branch."""
    first, last = _span(camera, item, 4.5)
    return last > 0 and first < camera.width


def boundary_in_view(camera: Camera, plot: Plot) -> bool:
    """Return whether the wall, fence or hedge of a plot is in the frame."""
    column, _ = camera.project(plot.side * (plot.line - 0.5), 0.0, plot.far)
    return column > 0 if plot.side < 0 else column < camera.width


def _span(camera: Camera, item: Item, margin: float) -> tuple[float, float]:
    """Return the first and last column of an item's footprint, widened by some metres."""
    reach = item.half_width + margin
    columns = [
        camera.project(item.x + across, 0.0, z)[0]
        for across in (-reach, reach)
        for z in (item.z, item.z + item.length)
    ]
    return min(columns), max(columns)


def in_drawing_order(camera: Camera, items: list[Item]) -> list[Item]:
    """Return items from far to near.

    Of two vehicles side by side, the one nearer to the line of sight hides the other. This holds
    even where the other one begins nearer to the camera.
    """
    ordered = sorted(items, key=lambda item: -item.z)
    vehicles = [item for item in ordered if item.kind == "vehicle"]
    for number, item in enumerate(vehicles):
        for first in vehicles[:number]:
            beside = first.z < item.z + item.length and item.z < first.z + first.length
            if not beside or abs(first.x - camera.x) + 1.0 > abs(item.x - camera.x):
                continue
            (a0, a1), (b0, b1) = _span(camera, first, 0.0), _span(camera, item, 0.0)
            if a0 < b1 and b0 < a1:
                ordered.remove(first)
                ordered.insert(ordered.index(item) + 1, first)
    return ordered


def unhidden(
    camera: Camera, plots: tuple[Plot, ...], items: list[Item]
) -> list[tuple[Plot, bool] | Item]:
    """Return the visible buildings and items behind the sidewalks, nearest first.

    Args:
        camera: The camera that sees them.
        plots: The land along the street; parks have no building.
        items: Things that stand beyond the sidewalks.

    Returns:
        Items, and plots. Each plot comes with whether the end wall of its building shows.
    """
    skyline = np.full(camera.width, float(camera.height))
    shown: list[tuple[Plot, bool] | Item] = []
    things = [plot for plot in plots if plot.kind != "park"] + items
    for thing in sorted(
        things, key=lambda thing: thing.near if isinstance(thing, Plot) else thing.z
    ):
        if isinstance(thing, Item):
            half = thing.half_width * 1.5
            if _shows(
                camera, skyline, thing.x - half, thing.x + half, thing.height * 1.05, thing.z
            ):
                shown.append(thing)
            continue
        building = _Walls(camera, thing)
        if _above(skyline, *building.outline):
            shown.append((thing, _above(skyline, *building.end)))
            building.cover(skyline)
    return shown


def _shows(
    camera: Camera, skyline: np.ndarray, left: float, right: float, height: float, z: float
) -> bool:
    """Return whether an upright rectangle rises above the skyline of nearer things."""
    first, top = camera.project(left, height, z)
    last, _ = camera.project(right, height, z)
    return _above(skyline, first, last, top)


def _above(skyline: np.ndarray, first: float, last: float, top: float) -> bool:
    """Return whether a thing between two columns, with its top at a row, clears the skyline."""
    span = skyline[max(int(first) - 1, 0) : max(int(last) + 2, 0)]
    return bool((span > top).any())


class _Walls:
    """Where the walls of one building are in the picture.

    Attributes:
        outline: First and last column and highest row of the whole building.
        end: The same of its end wall.
    """

    def __init__(self, camera: Camera, plot: Plot) -> None:
        shape = shape_of(plot)
        near = max(plot.near, 1.5)
        inner, outer = plot.side * plot.front, plot.side * (plot.front + shape.deep)
        gable = shape.deep * 0.32 + 1.0 if plot.kind == "house" else 0.0
        eaves = inner - plot.side * 0.5
        points = [
            camera.project(x, shape.height + gable, z)
            for x, z in ((eaves, near), (outer, near), (eaves, plot.far))
        ]
        self.outline = _extent(points)
        self.end = _extent(points[:2])
        # The building certainly covers its end wall, and its long wall up to its far top.
        self.solid = [
            [camera.project(x, shape.height, z) for x, z in wall]
            for wall in (((inner, near), (outer, near)), ((inner, plot.far), (inner, near)))
        ]

    def cover(self, skyline: np.ndarray) -> None:
        """Raise the skyline to the top of the walls."""
        for (a, row_a), (b, row_b) in self.solid:
            covered = slice(max(int(min(a, b)) + 1, 0), max(int(max(a, b)), 0))
            skyline[covered] = np.minimum(skyline[covered], max(row_a, row_b))


def _extent(points: list[tuple[float, float]]) -> tuple[float, float, float]:
    """Return the first and last column and the highest row of some pixels."""
    columns, rows = zip(*points, strict=True)
    return min(columns), max(columns), min(rows)
