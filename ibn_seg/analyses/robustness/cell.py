"""Robustness as a cell of a benchmark."""

from collections.abc import Mapping
from typing import Any

from ibn_seg.analyses.evaluated_domains import lacking

__all__ = ["check", "lacking", "summary"]


def check(options: Mapping[str, Any]) -> None:
    """See `ibn_seg.analyses.all_analyses.Cell`."""
    from ibn_seg.transforms.corruption_sets import planned_conditions

    planned_conditions(options["corruptions"], options["severities"])


def summary(result: Mapping[str, Any]) -> str:
    """See `ibn_seg.analyses.all_analyses.Cell`."""
    kept = ((name, one["mean"]) for name, one in result["retention"].items())
    shown = "  ".join(f"{n} {'-' if v is None else f'{100 * v:.1f} %'}" for n, v in kept)
    return f"retention {shown} "
