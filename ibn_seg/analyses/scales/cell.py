"""Scales as a cell of a benchmark."""

from collections.abc import Mapping
from typing import Any

from ibn_seg.analyses.evaluated_domains import lacking

__all__ = ["check", "lacking", "summary"]


def check(options: Mapping[str, Any]) -> None:
    """See `ibn_seg.analyses.all_analyses.Cell`; the plan checks domains and numbers."""


def summary(result: Mapping[str, Any]) -> str:
    """See `ibn_seg.analyses.all_analyses.Cell`."""
    last = result["scales"][-1]
    return f"{last['name']}  " + "  ".join(
        f"{domain} {one['mIoU']:.2f}" for domain, one in last["domains"].items()
    )
