"""The feature divergence of two domains in each layer of a network."""

from ibn_seg.analyses.all_analyses import Analysis

ANALYSIS = Analysis(
    "divergence",
    "Measure by layer how far apart two domains are.",
    shared=("--scenes", "compared"),
)
