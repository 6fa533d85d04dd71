"""What a plan is made of: the axes of a matrix, and what is run beside the matrix."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BACKBONE_FIELD = "{backbone}"


@dataclass(frozen=True)
class Choice:
    """One value of an axis of the matrix.

    Attributes:
        name: What tables call it.
        options: Config options by dotted key that make it.
        config: A config: of a segmentor, its base; of a source, where its data are from; of a
            backbone, the word that takes the place of `{backbone}` in the segmentor's config.
        method: Of a method, the one of `ibn_seg.methods` that it begins from.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    config: str | None = None
    method: str | None = None


@dataclass(frozen=True)
class Schedule:
    """How long is trained; None keeps what the config says.

    Attributes:
        iterations: Training iterations; the learning rate's schedule is stretched to them.
        validate_every: Iterations between validations.
        checkpoint_every: Iterations between checkpoints: what a kill may cost.
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
        methods: Names of methods, or NAME: OPTIONS; the first is the baseline.
        backbones: NAME: OPTIONS, or NAME: WORD for configs with `{backbone}` in their name.
        segmentors: NAME: CONFIG, the base config of each.
        sources: Names of data sets in `configs/_base_/datasets/NAME_to_*.py`, or NAME: CONFIG.
            Empty: what the segmentor's config trains on.
        targets: Names of `configs/_base_/datasets/targets/NAME.py`, configs with a list
            `targets`, or data sets written out. A cell is evaluated on all. Empty: those of
            the segmentor's config.
        seeds: Training seeds.
        schedule: How long is trained.
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
    """What one call of the command may spend; None is no limit.

    Attributes:
        hours: No cell is begun after this many hours.
        cells: No more cells are begun than these.
    """

    hours: float | None = None
    cells: int | None = None


@dataclass(frozen=True)
class Scenes:
    """The embedded scenes that are rendered before the first cell (`ibn-seg scenes`).

    Attributes:
        source: Frames of the source.
        target_train: Training frames of the target.
        target_val: Validation frames of the target.
        adverse_train: Training frames of night, and as many of fog.
        adverse_val: Validation frames of night, and as many of fog.
        seed: Seed of the scenes.
        size: Width and height in pixels.
    """

    source: int
    target_train: int
    target_val: int
    adverse_train: int = 0
    adverse_val: int = 0
    seed: int = 0
    size: tuple[int, int] = (256, 128)


@dataclass(frozen=True)
class PlannedAnalysis:
    """What is measured on networks of the matrix, once these are trained.

    Attributes:
        task: Name of the analysis, which is the command that measures.
        options: The command's options by name, all that change its numbers; an empty list stands
            for the command's default.
        methods: Names of the methods whose networks are measured; empty: all.
        backbones: Likewise of backbones.
        seeds: Likewise of seeds.
    """

    task: str
    options: Mapping[str, Any]
    methods: tuple[str, ...] = ()
    backbones: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()

    def covers(self, method: str, backbone: str, seed: int) -> bool:
        """Tell whether a network is measured."""
        chosen = ((self.methods, method), (self.backbones, backbone), (self.seeds, seed))
        return all(not names or name in names for names, name in chosen)


@dataclass(frozen=True)
class Transfer:
    """Trainings on shares of a target's training set, from networks of the matrix and without.

    Attributes:
        block: The networks; its sources are the training sets of the targets.
        shares: Percent of a training set, each a cell.
        starts: 'source', 'scratch' or both.
    """

    block: Block
    shares: tuple[float, ...]
    starts: tuple[str, ...]
