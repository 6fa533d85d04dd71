"""Whether a network knows where it is wrong: calibration, and errors found by confidence."""

from ibn_seg.analyses.all_analyses import Analysis

ANALYSIS = Analysis(
    "calibration", "Measure whether a checkpoint knows where it is wrong.", keeps_memory=True
)
