"""The parts of a plan: the axes of a matrix, and the work beside the matrix."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BACKBONE_FIELD = "{backbone}"


@dataclass(frozen=True)
class Choice:
    """One value of an axis of the matrix.

    Attributes:
        name: Its name in tables.
        options: Config options by dotted key that make it.
        config: For a segmentor, its base config. For a source, the config with its data. For a
            backbone, the word that replaces `{backbone}` in the segmentor's config.
        method: For a method, the method of `ibn_seg.methods` that it is based on.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    config: str | None = None
    method: str | None = None


@dataclass(frozen=True)
class Schedule:
    """The training schedule; None keeps the config's value.

    Attributes:
        iterations: Training iterations; the learning-rate schedule stretches with them.
        validate_every: Iterations between validations.
        checkpoint_every: Iterations between checkpoints, the most that a kill may cost.
        options: Config options by dotted key.
    """

    iterations: int | None = None
    validate_every: int | None = None
    checkpoint_every: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Block:
    """A full matrix: every combination of its axes is a cell.

    Attributes:
        methods: Names of methods, or NAME: OPTIONS. The first is the baseline.
        backbones: NAME: OPTIONS, or NAME: WORD for configs with `{backbone}` in their name.
        segmentors: NAME: CONFIG, the base config of each.
        sources: Names of data sets in `configs/_base_/datasets/NAME_to_*.py`, or NAME: CONFIG.
            Empty: the training data of the segmentor's config.
        targets: Names of `configs/_base_/datasets/targets/NAME.py`, configs with a list `targets`,
            or data sets written out. A cell is evaluated on all. Empty: the segmentor config's
            targets.
        seeds: Training seeds.
        schedule: The training schedule.
    """

    methods: tuple[Choice, ...]
    backbones: tuple[Choice, ...]
    segmentors: tuple[Choice, ...]
    seeds: tuple[int, ...]
    sources: tuple[Choice, ...] = ()
    targets: tuple[str | Mapping[str, Any], ...] = ()
    schedule: Schedule = Schedule()


@dataclass(frozen=True)
class Budget:
    """The limits of one call of the command; None is no limit.

    Attributes:
        hours: No cell begins after this many hours.
        cells: The most cells to begin.
    """

    hours: float | None = None
    cells: int | None = None


@dataclass(frozen=True)
class Scenes:
    """The embedded scenes to render before the first cell (`ibn-seg scenes`).

    Attributes:
        source: Frames of the source.
        target_train: Training frames of the target.
        target_val: Validation frames of the target.
        adverse_train: Training frames of night, and the same number of fog.
        adverse_val: Validation frames of night, and the same number of fog.
        varied: Frames of the second source, `varied`.
        varied_without: Kinds of variation, for each of which a source without it is rendered.
        oddities: Frames with unknown things, which the analysis `unknown` measures.
        seed: Seed of the scenes.
        size: Width and height in pixels.
    """

    source: int
    target_train: int
    target_val: int
    adverse_train: int = 0
    adverse_val: int = 0
    varied: int = 0
    varied_without: tuple[str, ...] = ()
    oddities: int = 0
    seed: int = 0
    size: tuple[int, int] = (256, 128)


@dataclass(frozen=True)
class PlannedAnalysis:
    """An analysis of networks of the matrix, run after their training.

    Attributes:
        task: Name of the analysis, which is also its command.
        options: The command's options that change its numbers, by name. An empty list stands for
            the command's default.
        methods: Names of the methods to measure; empty: all.
        backbones: Names of the backbones to measure; empty: all.
        sources: Names of the training domains to measure; empty: all.
        seeds: The seeds to measure; empty: all.
    """

    task: str
    options: Mapping[str, Any]
    methods: tuple[str, ...] = ()
    backbones: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()

    def covers(self, method: str, backbone: str, source: str, seed: int) -> bool:
        """Tell whether a network is measured."""
        chosen = (
            (self.methods, method), (self.backbones, backbone), (self.sources, source),
            (self.seeds, seed),
        )  # fmt: skip
        return all(not names or name in names for names, name in chosen)


@dataclass(frozen=True)
class Transfer:
    """Trainings on shares of a target's training set, from the matrix's networks or from scratch.

    Attributes:
        block: The networks; its sources are the training sets of the targets.
        shares: Percent of a training set, each a cell.
        starts: 'source', 'scratch' or both.
    """

    block: Block
    shares: tuple[float, ...]
    starts: tuple[str, ...]
