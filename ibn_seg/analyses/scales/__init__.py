"""What a network gains or loses at other input scales, and by the mean over several."""

from ibn_seg.analyses.all_analyses import Analysis

ANALYSIS = Analysis(
    "scales", "Test a checkpoint at other input scales, and their ensemble.", keeps_memory=True
)
