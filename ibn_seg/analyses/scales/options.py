"""The options that change the numbers of scales."""

from ibn_seg.analyses.evaluated_domains import DOMAINS
from ibn_seg.analyses.option_kinds import Decimals

OPTIONS = (
    DOMAINS,
    Decimals(
        name="scales",
        metavar="0.5,0.75,1,1.25",
        help="Factors of the input's sides, from 0.1 to 4. Default: 0.5, 0.75, 1 and 1.25.",
        default=[],
        low=0.1,
        high=4.0,
        example="[0.5, 1, 2]",
    ),
)
