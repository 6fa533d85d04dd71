"""The cost of a method: time, memory, parameters and multiply-adds beside its BN twin."""

from ibn_seg.analyses.all_analyses import Analysis

ANALYSIS = Analysis(
    "speed", "Compare a checkpoint's time and memory with those of its BN twin.", keeps_memory=True
)
