"""The options that change the numbers of speed."""

from ibn_seg.analyses.option_kinds import PictureSize, Whole
from ibn_seg.analyses.speed.timing import ENOUGH, LEAST

OPTIONS = (
    Whole(name="repeats", help="How often each network is timed.", default=ENOUGH, least=LEAST),
    PictureSize(name="size", help="Of the picture.", default=[512, 256]),
    Whole(name="seed", help="Seed of the picture's noise.", default=0),
)
