"""Scores after adaptation to the target at test time."""

from ibn_seg.analyses.all_analyses import Analysis

ANALYSIS = Analysis(
    "adaptation", "Adapt a checkpoint to each domain at test time, and score it.", keeps_memory=True
)
