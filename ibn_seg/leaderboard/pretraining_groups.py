"""What a leaderboard says of networks whose first weights are of different data."""

from ibn_seg.pretraining import NONE
from ibn_seg.report.board import UNKNOWN

ACROSS = (
    "Groups differ in pretraining. Ranks, best values and differences hold within a group; across "
    "groups the data of the first weights count too."
)


def pretraining_words(pretraining: str) -> str:
    """Return where first weights come from, in words."""
    known = {NONE: "from scratch", UNKNOWN: "pretraining not stated"}
    return known.get(pretraining) or f"pretrained on {pretraining}"


def title_end(pretraining: str, apart: bool) -> str:
    """Return the end of a group's title.

    Args:
        pretraining: The data of its first weights.
        apart: Whether there are groups of other pretraining beside it.
    """
    told = apart or pretraining not in (NONE, UNKNOWN)
    return f", {pretraining_words(pretraining)}" if told else ""
