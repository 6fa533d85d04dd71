"""Training on shares of a target's training set, from the source's network and without it."""

from ibn_seg.analyses.all_analyses import Analysis

ANALYSIS = Analysis(
    "transfer", "Fine-tune on shares of a target, with the source and without.", measures=False
)
