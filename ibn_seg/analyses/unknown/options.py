"""The option that changes the numbers of unknown things."""

from collections.abc import Sequence
from dataclasses import dataclass

from ibn_seg.analyses.option_kinds import Names


@dataclass(frozen=True, kw_only=True)
class Data(Names):
    """A list of LAYOUT=ROOT or NAME:LAYOUT=ROOT."""

    def identity(self, value: Sequence[str]) -> list[str]:
        """See `Option`; where data lie changes no number."""
        return [one.partition("=")[0] for one in value]


OPTIONS = (
    Data(
        name="data",
        metavar="LAYOUT=ROOT",
        help="Pictures with masks: oddities, smiyc, fishyscapes, street_hazards or bravo. Repeat "
        "for several; NAME:LAYOUT=ROOT gives one a name.",
        default=[],
        example="[oddities]",
        required=True,
    ),
)
