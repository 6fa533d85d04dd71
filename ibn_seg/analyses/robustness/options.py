"""The options that change the numbers of robustness."""

from ibn_seg.analyses.evaluated_domains import DOMAINS
from ibn_seg.analyses.option_kinds import Grades, Names, Whole

OPTIONS = (
    DOMAINS,
    Names(
        name="corruptions",
        metavar="A,B,...",
        help="Corruptions and sets of them by name. Default: the set ours.",
        default=[],
        example="[haze, jpeg]",
        repeated=False,
    ),
    Grades(
        name="severities",
        metavar="1,3,5",
        help="Severities from 1 to 5. Default: all. A protocol has its own.",
        default=[],
        kind="severity",
        allowed=range(1, 6),
    ),
    Whole(name="seed", help="Seed of the noise.", default=0),
)
