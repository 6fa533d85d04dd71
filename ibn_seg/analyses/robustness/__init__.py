"""Scores under changes of appearance."""

from ibn_seg.analyses.all_analyses import Analysis

ANALYSIS = Analysis(
    "robustness", "Evaluate a checkpoint under changes of appearance.", keeps_memory=True
)
