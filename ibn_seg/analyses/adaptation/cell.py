"""Adaptation as a cell of a benchmark."""

from collections.abc import Mapping
from typing import Any

from ibn_seg.analyses.evaluated_domains import lacking

__all__ = ["check", "lacking", "summary"]


def check(options: Mapping[str, Any]) -> None:
    """See `ibn_seg.analyses.all_analyses.Cell`."""
    from ibn_seg.analyses.adaptation.conditions import check_methods

    check_methods(options["adaptations"])


def summary(result: Mapping[str, Any]) -> str:
    """See `ibn_seg.analyses.all_analyses.Cell`."""
    best: dict[str, float] = {}
    for one in result["adapted"]:
        for domain, gain in one["gain"].items():
            best[domain] = max(gain, best.get(domain, gain))
    return "best gain " + "  ".join(f"{name} {gain:+.1f}" for name, gain in best.items())
