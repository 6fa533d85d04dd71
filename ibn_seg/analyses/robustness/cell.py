"""Robustness as a cell of a benchmark."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any


def check(options: Mapping[str, Any]) -> None:
    """See `ibn_seg.analyses.all_analyses.Cell`."""
    from ibn_seg.transforms.corruption_sets import planned_conditions

    planned_conditions(options["corruptions"], options["severities"])


def lacking(
    options: Mapping[str, Any],
    domains: Mapping[str, Any],
    length: Callable[[Any], tuple[int, tuple[str, ...]]],
) -> Iterator[str]:
    """See `ibn_seg.analyses.all_analyses.Cell`; yields the missing data sets."""
    for name in options["domains"] or domains:
        yield from length(domains[name])[1]


def summary(result: Mapping[str, Any]) -> str:
    """See `ibn_seg.analyses.all_analyses.Cell`."""
    kept = ((name, one["mean"]) for name, one in result["retention"].items())
    shown = "  ".join(f"{n} {'-' if v is None else f'{100 * v:.1f} %'}" for n, v in kept)
    return f"retention {shown} "
