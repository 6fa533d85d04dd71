"""Cuts a picture into windows: inner parts that cover it once, and margins around them."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

# Windows begin at multiples of this number of pixels. The usual strides, up to 64, divide it, so
# each map of a network begins at a whole cell.
PERIOD = 64
_MOST_PARTS = 64


@dataclass(frozen=True)
class Span:
    """One axis of a window, in pixels.

    Attributes:
        inner: Begin and end of the part whose result is kept.
        outer: Begin and end of the part that the network sees.
    """

    inner: tuple[int, int]
    outer: tuple[int, int]

    @property
    def length(self) -> int:
        """The number of pixels that the network sees."""
        return self.outer[1] - self.outer[0]


@dataclass(frozen=True)
class Window:
    """A window, given by its rows and columns."""

    rows: Span
    columns: Span


def spans(length: int, parts: int, margin: int) -> list[Span]:
    """Cut an axis.

    Args:
        length: In pixels.
        parts: Number of spans; fewer if the axis is too short.
        margin: Pixels on each side of an inner part, as far as the axis reaches.
    """
    periods = max(1, length // PERIOD)
    parts = min(parts, periods)
    cuts = [PERIOD * (periods * part // parts) for part in range(parts)] + [length]
    return [
        Span((start, stop), (max(0, start - margin), min(length, stop + margin)))
        for start, stop in itertools.pairwise(cuts)
    ]


def windows(rows: Sequence[Span], columns: Sequence[Span]) -> list[Window]:
    """Return every pair of a span of rows and a span of columns, from the top left."""
    return [Window(*pair) for pair in itertools.product(rows, columns)]


def cheapest(size: tuple[int, int], margin: int, most: int) -> list[Window] | None:
    """Return the cut with the fewest pixels in all; None if there is none.

    Args:
        size: Height and width of the picture.
        margin: Pixels on each side of an inner part.
        most: The most pixels of a window.
    """
    kinds = [[spans(n, parts, margin) for parts in range(1, _MOST_PARTS + 1)] for n in size]
    best = min(
        (
            (sum(row.length for row in rows) * sum(column.length for column in columns), i, j)
            for (i, rows), (j, columns) in itertools.product(*map(enumerate, kinds))
            if max(row.length for row in rows) * max(column.length for column in columns) <= most
        ),
        default=None,
    )
    return None if best is None else windows(kinds[0][best[1]], kinds[1][best[2]])
