"""Which norm of which block is replaced: the one definition of the variants a and b."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ibn_seg.errors import UserError, unknown

# Per residual stage, then the stem (Pan et al., ECCV 2018, figure 3).
_SHORTHANDS: dict[str | None, tuple[tuple[str | None, ...], bool]] = {
    None: ((None, None, None, None), False),
    "a": (("a", "a", "a", None), False),
    "b": (("b", "b", None, None), True),
}


@dataclass(frozen=True)
class Placement:
    """Where a residual network has instance norms.

    A stage marked 'a' has an `IBN` as the first norm of every block. A stage marked 'b' has an
    affine instance norm in its last block, after the residual addition and before the last ReLU.

    Attributes:
        stages: 'a', 'b' or None for each residual stage.
        stem: Whether the stem's (last) norm is an instance norm instead of a batch norm.
    """

    stages: tuple[str | None, ...]
    stem: bool = False

    def __post_init__(self) -> None:
        for variant in self.stages:
            _check(variant)

    @classmethod
    def resolve(
        cls,
        ibn: str | None = None,
        ibn_stages: Sequence[str | None] | None = None,
        ibn_stem: bool | None = None,
        num_stages: int = 4,
    ) -> Placement:
        """Return the placement that the arguments of a backbone mean.

        Args:
            ibn: 'a', 'b' or None: shorthand for the other two.
            ibn_stages: 'a', 'b' or None for each stage. Default: none anywhere.
            ibn_stem: Whether the stem has an instance norm. Default: no.
            num_stages: How many residual stages the network has.

        Raises:
            UserError: An unknown variant, a wrong number of stages, or both ways at once.
        """
        _check(ibn)
        if ibn is not None and not (ibn_stages is None and ibn_stem is None):
            raise UserError(
                f"ibn={ibn!r} is given together with ibn_stages or ibn_stem",
                "ibn is shorthand for these two; set ibn=None to give them yourself",
            )
        stages, stem = _SHORTHANDS[ibn]
        if ibn_stages is not None:
            stages = _listed(ibn_stages, num_stages)
        return cls(stages[:num_stages], stem if ibn_stem is None else bool(ibn_stem))

    def replaces_first_norm(self, stage: int) -> bool:
        """Return whether the first norm of every block of `stage` (from 0) is an IBN."""
        return self.stages[stage] == "a"

    def follows_addition(self, stage: int, block: int, num_blocks: int) -> bool:
        """Return whether `block` of `stage` (from 0) has an instance norm after the addition."""
        return self.stages[stage] == "b" and block == num_blocks - 1


def check_ratio(ratio: object, placement: Placement, default: float) -> None:
    """Raise unless a backbone's `ibn_ratio` is allowed, and has a norm that it is about.

    Args:
        ratio: Share of the channels of an `IBN` that are instance-normalised.
        placement: Where the network has instance norms.
        default: The backbone's own ratio, which may stand anywhere.

    Raises:
        UserError: It is not strictly between 0 and 1, or no stage is marked 'a'.
    """
    if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 < ratio < 1:
        raise UserError(
            f"ibn_ratio={ratio!r} is out of range",
            "allowed: above 0 and below 1, for example 0.5",
        )
    if ratio != default and "a" not in placement.stages:
        raise UserError(
            f"ibn_ratio={ratio!r} is given, and no norm is split", "set ibn='a', or leave it out"
        )


def _listed(ibn_stages: Sequence[str | None], num_stages: int) -> tuple[str | None, ...]:
    """Return `ibn_stages` as a tuple of the right length."""
    if isinstance(ibn_stages, str) or len(ibn_stages) != num_stages:
        raise UserError(
            f"ibn_stages={ibn_stages!r} does not describe {num_stages} stages",
            f"give a list of {num_stages}, each 'a', 'b' or None",
        )
    return tuple(ibn_stages)


def _check(variant: object) -> None:
    if not (variant is None or isinstance(variant, str)) or variant not in _SHORTHANDS:
        raise unknown("ibn variant", variant, ["a", "b", "None"])
