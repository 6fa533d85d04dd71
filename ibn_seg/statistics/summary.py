"""A quantity over training seeds: mean, standard deviation and range."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

# With so few values the standard deviation is hardly known, and the range says more.
FEW_SEEDS = 3


@dataclass(frozen=True)
class SeedSummary:
    """A quantity over seeds, in the unit of its values.

    Args:
        values: One unrounded value per seed, at least one.
    """

    values: tuple[float, ...]

    @property
    def n(self) -> int:
        """Number of seeds."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return statistics.fmean(self.values)

    @property
    def sd(self) -> float | None:
        """Sample standard deviation (n - 1); None for a single seed."""
        return statistics.stdev(self.values) if self.n > 1 else None

    @property
    def low(self) -> float:
        """Smallest value."""
        return min(self.values)

    @property
    def high(self) -> float:
        """Largest value."""
        return max(self.values)

    @property
    def few(self) -> bool:
        """Whether tables must add "few seeds" and the range: at most `FEW_SEEDS`."""
        return self.n <= FEW_SEEDS


def summarise(values: Iterable[float]) -> SeedSummary:
    """Return mean, standard deviation and range of values over seeds.

    Raises:
        ValueError: There is no value.
    """
    summary = SeedSummary(tuple(map(float, values)))
    if not summary.n:
        raise ValueError("no values to summarise")
    return summary
