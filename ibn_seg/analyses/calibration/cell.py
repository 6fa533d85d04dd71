"""Calibration as a cell of a benchmark."""

from collections.abc import Mapping
from typing import Any

from ibn_seg.analyses.evaluated_domains import lacking

__all__ = ["check", "lacking", "summary"]


def check(options: Mapping[str, Any]) -> None:
    """See `ibn_seg.analyses.all_analyses.Cell`; the plan checks the domains."""


def summary(result: Mapping[str, Any]) -> str:
    """See `ibn_seg.analyses.all_analyses.Cell`."""
    errors = ((name, one["pooled"]["ece"]) for name, one in result["trust"].items())
    return "ECE " + "  ".join(f"{n} {'-' if v is None else f'{100 * v:.1f} %'}" for n, v in errors)
