"""Speed as a cell of a benchmark."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any


def check(options: Mapping[str, Any]) -> None:
    """See `ibn_seg.analyses.all_analyses.Cell`; the options were already checked one by one."""


def lacking(
    options: Mapping[str, Any],
    domains: Mapping[str, Any],
    length: Callable[[Any], tuple[int, tuple[str, ...]]],
) -> Iterator[str]:
    """See `ibn_seg.analyses.all_analyses.Cell`; nothing is missing, as the picture is random."""
    return iter(())


def summary(result: Mapping[str, Any]) -> str:
    """See `ibn_seg.analyses.all_analyses.Cell`."""
    return f"time {result['time_over_bn']['median']:.2f} x BN "
