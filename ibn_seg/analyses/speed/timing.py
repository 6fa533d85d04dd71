"""Times two networks in turn, so that any slowdown of the machine affects both."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Fewer repeats are reported as few. Quartiles need two.
ENOUGH, LEAST = 15, 2
# The first passes choose kernels and fill caches.
_WARM_UPS = 3


@dataclass(frozen=True)
class Times:
    """The times of both networks.

    Args:
        network: Seconds by repeat.
        twin: Seconds of the twin in the same repeats.
    """

    network: tuple[float, ...]
    twin: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        """The network's time divided by the twin's, by repeat."""
        return tuple(one / other for one, other in zip(self.network, self.twin, strict=True))


def time_in_turn(
    network: Callable[[], object],
    twin: Callable[[], object],
    repeats: int,
    clock: Callable[[], float],
    progress: Callable[[int, int], None] | None = None,
) -> Times:
    """Time two functions in turn, alternating which one goes first.

    Args:
        network: Runs the network once.
        twin: Runs the twin once.
        repeats: Number of times that each is timed.
        clock: Returns the seconds, after all pending work is done.
        progress: Called with (repeats done, repeats in all).
    """
    for _ in range(_WARM_UPS):
        network()
        twin()
    of_network: list[float] = []
    of_twin: list[float] = []
    both = [(network, of_network), (twin, of_twin)]
    for repeat in range(repeats):
        for run, seconds in both if repeat % 2 == 0 else reversed(both):
            begin = clock()
            run()
            seconds.append(clock() - begin)
        if progress:
            progress(repeat + 1, repeats)
    return Times(tuple(of_network), tuple(of_twin))


def quartiles(values: Sequence[float]) -> dict[str, float]:
    """Return the median and the quartiles of at least two values."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": median, "low_quartile": low, "high_quartile": high}
