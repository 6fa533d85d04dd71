"""Speed as a cell of a benchmark."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any


def check(options: Mapping[str, Any]) -> None:
    """See `ibn_seg.analyses.all_analyses.Cell`: each option was checked by itself."""


def lacking(
    options: Mapping[str, Any],
    domains: Mapping[str, Any],
    length: Callable[[Any], tuple[int, tuple[str, ...]]],
) -> Iterator[str]:
    """See `ibn_seg.analyses.all_analyses.Cell`: nothing, the picture is drawn at random."""
    return iter(())


def summary(result: Mapping[str, Any]) -> str:
    """See `ibn_seg.analyses.all_analyses.Cell`."""
    return f"time {result['time_over_bn']['median']:.2f} x BN "
