"""The options that change the numbers of adaptation."""

from ibn_seg.analyses.evaluated_domains import DOMAINS
from ibn_seg.analyses.option_kinds import Grades, Names, Whole

OPTIONS = (
    DOMAINS,
    Names(
        name="adaptations",
        metavar="A,B,...",
        help="Methods by name. Default: batch BN, AdaBN, TENT and episodic TENT.",
        default=[],
        example="[batch BN, TENT]",
        repeated=False,
    ),
    Grades(
        name="batch_sizes",
        metavar="1,8",
        help="Images that a method sees at once, from 1 to 64. Default: 1 and 8.",
        default=[],
        kind="batch size",
        allowed=range(1, 65),
    ),
    Whole(name="seed", help="Seed of the order of images.", default=0),
)
