"""Whether low confidence finds things that are none of a network's classes."""

from ibn_seg.analyses.all_analyses import Analysis

ANALYSIS = Analysis(
    "unknown",
    "Measure whether low confidence finds unknown things.",
    frames=("oddities",),
    keeps_memory=True,
)
