"""Statistics of methods over seeds and images, as pure functions of stored confusion matrices.

Scores are in percent (0..100), differences in points (percent minus percent). Names are resolved at
first use, so summaries of plain numbers do not load numpy.
"""

import importlib
from typing import Any

_MODULES = {
    "bootstrap": ("CONFIDENCE", "DRAWS", "Interval"),
    "differences": (
        "GapClosed",
        "MeanScore",
        "PairedDifference",
        "Runs",
        "gap_closed",
        "mean_score",
        "paired_difference",
    ),
    "interval_kinds": ("INTERVALS", "OVER_BOTH", "OVER_SEEDS"),
    "rank_agreement": ("LEAST_METHODS", "RankCorrelation", "rank_correlation"),
    "t_test": (
        "SeedsNeeded",
        "TTest",
        "paired_t_test",
        "power",
        "seeds_needed",
        "t_interval",
    ),
    "summary": ("FEW_SEEDS", "SeedSummary", "summarise"),
}
_PUBLIC = {
    name: f"ibn_seg.statistics.{module}" for module, names in _MODULES.items() for name in names
}

__all__ = [*_PUBLIC]


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
