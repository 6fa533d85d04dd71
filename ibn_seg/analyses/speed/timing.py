"""Two networks timed in turn, so that whatever slows the machine down slows both."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Fewer repeats than these are said to be few; a quartile needs two.
ENOUGH, LEAST = 15, 2
# The first passes choose kernels and fill caches.
_WARM_UPS = 3


@dataclass(frozen=True)
class Times:
    """How long both networks took.

    Args:
        network: Seconds by repeat.
        twin: Seconds of the other network in the same repeats.
    """

    network: tuple[float, ...]
    twin: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        """Time of the network over that of the other, by repeat."""
        return tuple(one / other for one, other in zip(self.network, self.twin, strict=True))


def time_in_turn(
    network: Callable[[], object],
    twin: Callable[[], object],
    repeats: int,
    clock: Callable[[], float],
    progress: Callable[[int, int], None] | None = None,
) -> Times:
    """Time two functions in turn; the one that goes first changes with each repeat.

    Args:
        network: Runs the network once.
        twin: Runs the other once.
        repeats: How often each is timed.
        clock: Returns the seconds, when all that was begun is done.
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
