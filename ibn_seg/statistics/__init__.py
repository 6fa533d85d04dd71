"""Statistics of methods over seeds and images, as pure functions of stored confusion matrices.

Scores are in percent (0..100), differences in points (percent minus percent).
"""

from ibn_seg.statistics.bootstrap import CONFIDENCE, DRAWS, Interval
from ibn_seg.statistics.differences import (
    GapClosed,
    MeanScore,
    PairedDifference,
    Runs,
    gap_closed,
    mean_score,
    paired_difference,
)
from ibn_seg.statistics.power import SeedsNeeded, TTest, paired_t_test, power, seeds_needed
from ibn_seg.statistics.summary import FEW_SEEDS, SeedSummary, summarise

__all__ = [
    "CONFIDENCE",
    "DRAWS",
    "FEW_SEEDS",
    "GapClosed",
    "Interval",
    "MeanScore",
    "PairedDifference",
    "Runs",
    "SeedSummary",
    "SeedsNeeded",
    "TTest",
    "gap_closed",
    "mean_score",
    "paired_difference",
    "paired_t_test",
    "power",
    "seeds_needed",
    "summarise",
]
