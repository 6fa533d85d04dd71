"""Which norm replaces which norm in which block: the one definition of the variants.

A new variant is one entry in `VARIANTS`. Exactly what an entry names is built.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ibn_seg.errors import UserError, unknown
from ibn_seg.layers.ibn import IBN
from ibn_seg.layers.instance import InstanceNorm
from ibn_seg.layers.whitening.instance_whitening import InstanceWhitening, StandardisingNorm
from ibn_seg.layers.whitening.iterative import IterNorm
from ibn_seg.layers.whitening.switchable import SwitchWhiten2d


@dataclass(frozen=True)
class Variant:
    """What a variant builds, and in which stages.

    Attributes:
        stages: The residual stages (from 0) that `ibn='...'` marks.
        first_norm: Builds the first norm of every block of a marked stage (of every third layer in
            a DenseNet). Called like `IBN`: with the number of channels, `ratio`, `norm_layer` and,
            in a DenseNet, `instance_first`. None keeps the batch norm.
        norm_after_addition: Builds a norm from its number of channels. In the last block of a
            marked stage it follows the residual addition and precedes the last ReLU. None adds no
            norm.
        stem: Whether `ibn='...'` replaces the stem's (last) norm.
        stem_norm: Builds the stem's norm from its number of channels.
    """

    stages: tuple[int, ...]
    first_norm: Callable[..., nn.Module] | None = None
    norm_after_addition: Callable[[int], nn.Module] | None = None
    stem: bool = False
    stem_norm: Callable[[int], nn.Module] = InstanceNorm

    def __post_init__(self) -> None:
        """Check that marked stages differ from the stages of a batch-norm network.

        Raises:
            UserError: The entry builds nothing in them, marks no stage, or has a part that builds
                no norm.
        """
        if not isinstance(self.stages, tuple | list) or not all(s in range(4) for s in self.stages):
            raise UserError(f"stages={self.stages!r} of a variant", "give stages from 0 to 3")
        if not self.stages or (self.first_norm is None and self.norm_after_addition is None):
            raise UserError("a variant has to mark stages, and to build a norm in them")
        for part in ("first_norm", "norm_after_addition", "stem_norm"):
            build = getattr(self, part)
            if not callable(build) and (build is not None or part == "stem_norm"):
                raise UserError(f"{part}={build!r} of a variant", "give what builds a norm")


# What building or running a norm raises if it does not take its arguments, or maps.
_REFUSALS = (TypeError, ValueError, RuntimeError, AttributeError, AssertionError)
# A norm of one's own is tried with maps of this shape, and called with these options.
_TRIED = (2, 64, 4, 4)
_FIRST_NORM_OPTIONS = {"ratio": 0.5, "norm_layer": nn.BatchNorm2d, "instance_first": True}


def _layout_b(norm: Callable[[int], nn.Module]) -> Variant:
    """Return a variant with a norm at the places of IBN-b, as in RobustNet (CVPR 2021)."""
    return Variant(stages=(0, 1), norm_after_addition=norm, stem=True, stem_norm=norm)


# a, b: Pan et al., ECCV 2018, figure 3. The others are placed as in RobustNet; where it had
# IterNorm is unknown.
VARIANTS: dict[str, Variant] = {
    "a": Variant(stages=(0, 1, 2), first_norm=IBN),
    "b": _layout_b(InstanceNorm),
    "in": _layout_b(StandardisingNorm),
    "iw": _layout_b(InstanceWhitening),
    "irw": _layout_b(functools.partial(InstanceWhitening, divisor=64)),
    "irw32": _layout_b(functools.partial(InstanceWhitening, divisor=32)),
    "isw": _layout_b(functools.partial(InstanceWhitening, sensitive=True)),
    "sw2": _layout_b(functools.partial(SwitchWhiten2d, sw_type=2)),
    "sw3": _layout_b(functools.partial(SwitchWhiten2d, sw_type=3)),
    "sw5": _layout_b(functools.partial(SwitchWhiten2d, sw_type=5)),
    "iternorm": _layout_b(IterNorm),
}


@dataclass(frozen=True)
class _OwnNorm:
    """Builds a norm of a user's variant; its errors name the variant and the channels.

    Attributes:
        build: The user's function or class.
        part: Which part of the variant it is.
        variant: The name of the variant.
    """

    build: Callable[..., nn.Module]
    part: str
    variant: str

    def __call__(self, channels: int, **options: Any) -> nn.Module:
        """Return the norm.

        Raises:
            UserError: It cannot be built, or it is no module.
        """
        try:
            norm = self.build(channels, **options)
        except _REFUSALS as error:
            reason = f"cannot be built for {channels} channels: {error}"
            raise self._refused(reason, options) from error
        if not isinstance(norm, nn.Module):
            raise self._refused(f"returns {norm!r}, no module", options)
        return norm

    def try_once(self, **options: Any) -> None:
        """Build the norm and run it.

        Raises:
            UserError: It cannot be built or run, or it changes the shape.
        """
        # Random numbers of a trial would change the weights of the next network.
        with torch.random.fork_rng(devices=[]):
            norm = self(_TRIED[1], **options)
            try:
                shape = norm(torch.zeros(_TRIED)).shape
            except _REFUSALS as error:
                raise self._refused(f"cannot run on maps: {error}", options) from error
        if shape != _TRIED:
            raise self._refused(f"makes shape {tuple(shape)} of {_TRIED}", options)

    def _refused(self, reason: str, options: Iterable[str]) -> UserError:
        call = ", ".join(["channels", *(f"{key}=..." for key in options)])
        return UserError(
            f"{self.part} of variant {self.variant!r} {reason}",
            f"it is called as {self.part}({call}), and returns a module that keeps the shape",
        )


def register_variant(name: str, variant: Variant) -> None:
    """Let `ibn=name` and `ibn_stages` mean a variant of one's own, in all families and hosts.

    Each of its norms is built and tried once, with 64 channels.

    Args:
        name: A word that no other variant has.
        variant: What it builds, and where.

    Raises:
        UserError: The name is taken or no word, or a norm does not take what it is called with, or
            changes the shape of its input.
    """
    if not (isinstance(name, str) and name.isidentifier()):
        raise UserError(f"{name!r} cannot name a variant", "give a word such as 'mine'")
    if not isinstance(variant, Variant):
        raise UserError(f"{variant!r} is no variant", "give ibn_seg.Variant(...)")
    parts = {
        part: _OwnNorm(build, part, name)
        for part in ("first_norm", "norm_after_addition", "stem_norm")
        if (build := getattr(variant, part)) not in (None, IBN, InstanceNorm)
    }
    own = dataclasses.replace(variant, **parts)
    if VARIANTS.get(name, own) != own:
        raise UserError(f"there is a variant {name!r} already", "give another name")
    for part, build in parts.items():
        build.try_once(**(_FIRST_NORM_OPTIONS if part == "first_norm" else {}))
    VARIANTS[name] = own


@dataclass(frozen=True)
class Placement:
    """Where a residual network has instance norms.

    A stage marked 'a' has an `IBN` as the first norm of every block. A stage marked 'b' has an
    affine instance norm in its last block. It follows the residual addition and precedes the last
    ReLU. In general, the entry of a stage's mark in `VARIANTS` says what the stage gets.

    Attributes:
        stages: The name of a variant or None for each residual stage.
        stem: Whether the stem's (last) norm is replaced: by the norm of the first marked stage's
            variant if that has one for stems, else by an instance norm.
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
        """Return the placement that a backbone's arguments describe.

        Args:
            ibn: A variant ('a', 'b') or None: shorthand for the other two.
            ibn_stages: A variant or None for each stage. Default: None for all.
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
        if ibn is not None:
            marked = VARIANTS[ibn].stages
            stages = tuple(ibn if stage in marked else None for stage in range(num_stages))
            if not any(stages):
                raise UserError(
                    f"ibn={ibn!r} marks no stage of a network with {num_stages}",
                    "give ibn_stages, or leave ibn out",
                )
            return cls(stages, VARIANTS[ibn].stem)
        stages = (None,) * num_stages
        if ibn_stages is not None:
            stages = _listed(ibn_stages, num_stages)
        return cls(stages, bool(ibn_stem))

    def first_norm(self, stage: int) -> Callable[..., nn.Module] | None:
        """Return what builds the first norm of each block of `stage` (from 0); see `Variant`."""
        mark = self.stages[stage]
        return None if mark is None else VARIANTS[mark].first_norm

    def norm_after_addition(
        self, stage: int, block: int, num_blocks: int
    ) -> Callable[[int], nn.Module] | None:
        """Return what builds the norm after the addition in `block` of `stage` (from 0)."""
        mark = self.stages[stage]
        if mark is None or block != num_blocks - 1:
            return None
        return VARIANTS[mark].norm_after_addition

    @property
    def stem_norm(self) -> Callable[[int], nn.Module] | None:
        """What builds the stem's (last) norm from its number of channels; None: a batch norm."""
        if not self.stem:
            return None
        marked = (VARIANTS[mark] for mark in self.stages if mark is not None)
        return next((entry.stem_norm for entry in marked if entry.stem), InstanceNorm)

    def replaces_first_norm(self, stage: int) -> bool:
        """Return whether the first norm of every block of `stage` (from 0) is an IBN."""
        return self.first_norm(stage) is not None

    def follows_addition(self, stage: int, block: int, num_blocks: int) -> bool:
        """Return whether `block` of `stage` (from 0) has a norm after the addition."""
        return self.norm_after_addition(stage, block, num_blocks) is not None

    def adds_norms(self) -> bool:
        """Return whether any stage has a norm after an addition."""
        return any(self.follows_addition(stage, 0, 1) for stage in range(len(self.stages)))


def check_ratio(ratio: object, placement: Placement, default: float) -> None:
    """Raise unless a backbone's `ibn_ratio` is allowed and applies to one of its norms.

    Args:
        ratio: Share of the channels of an `IBN` that are instance-normalised.
        placement: Where the network has instance norms.
        default: The backbone's own ratio, which is always allowed.

    Raises:
        UserError: It is not strictly between 0 and 1, or no first norm is replaced.
    """
    if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 < ratio < 1:
        raise UserError(
            f"ibn_ratio={ratio!r} is out of range",
            "allowed: above 0 and below 1, for example 0.5",
        )
    split = any(placement.replaces_first_norm(stage) for stage in range(len(placement.stages)))
    if ratio != default and not split:
        raise UserError(
            f"ibn_ratio={ratio!r} is given, and no norm is split", "set ibn='a', or leave it out"
        )


def _listed(ibn_stages: Sequence[str | None], num_stages: int) -> tuple[str | None, ...]:
    """Return `ibn_stages` as a tuple of the right length."""
    if isinstance(ibn_stages, str) or len(ibn_stages) != num_stages:
        raise UserError(
            f"ibn_stages={ibn_stages!r} does not describe {num_stages} stages",
            f"give a list of {num_stages}, each {', '.join(map(repr, VARIANTS))} or None",
        )
    return tuple(ibn_stages)


def _check(variant: object) -> None:
    if variant is not None and not (isinstance(variant, str) and variant in VARIANTS):
        raise unknown("ibn variant", variant, [*VARIANTS, "None"])
