"""A point with its interval inside a table's row, on one axis for all rows of a page."""

from collections.abc import Iterable
from dataclasses import dataclass

from matplotlib.ticker import MaxNLocator

# At most this many steps between the ticks: their labels fit a narrow column.
_STEPS = 5


@dataclass(frozen=True)
class Axis:
    """A range with ticks, in the unit of the values.

    Args:
        low: Its left end.
        high: Its right end, above `low`.
        ticks: Positions of ticks.
    """

    low: float
    high: float
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Return where a value stands, in percent of the axis from its left end."""
        return round(100 * (value - self.low) / (self.high - self.low), 2)

    @property
    def labels(self) -> tuple[tuple[float, str], ...]:
        """Place and text of each tick."""
        return tuple((self.place(tick), f"{tick:g}") for tick in self.ticks)


@dataclass(frozen=True)
class Mark:
    """A value and its interval.

    Args:
        value: The value.
        low: Lower end of its interval; None without an interval, as with a single seed.
        high: Upper end.
        colour: Number of a colour of the style sheet.
    """

    value: float
    low: float | None
    high: float | None
    colour: int


def axis_of(values: Iterable[float]) -> Axis | None:
    """Return an axis that holds zero and all values, with some space; None without values."""
    given = list(values)
    if not given:
        return None
    low, high = min(0.0, *given), max(0.0, *given)
    space = 0.05 * (high - low) or 1.0
    low, high = low - space, high + space
    ticks = MaxNLocator(nbins=_STEPS).tick_values(low, high)
    return Axis(low, high, tuple(float(tick) for tick in ticks if low <= tick <= high))
