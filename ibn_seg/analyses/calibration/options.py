"""The options that change the numbers of calibration."""

from ibn_seg.analyses.evaluated_domains import DOMAINS
from ibn_seg.analyses.option_kinds import Choice

OPTIONS = (
    DOMAINS,
    Choice(
        name="temperature",
        help="Measure at temperatures fitted on the source, too: one for all pixels, or one for "
        "each predicted class.",
        allowed=("global", "class"),
    ),
)
