"""Trained networks and their measurements, as a leaderboard has read them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ibn_seg.evaluation.stored import StoredConfusions
from ibn_seg.report.runs import Curve
from ibn_seg.statistics import OVER_BOTH, OVER_SEEDS

# Stands in a table where a network's maker gave no value.
UNKNOWN = "not stated"


@dataclass(frozen=True, eq=False)
class Network:
    """One trained network and its scores.

    Args:
        name: Its cell's id, or the folder of its evaluation.
        method: Its row in the tables.
        backbone: Its backbone.
        segmentor: Its segmentor.
        source: The training domains, joined by '+'; None if unknown.
        seed: Training seed.
        scores: mIoU by domain at the selected checkpoint, percent.
        stored: The confusion matrices behind the scores.
        result: The file that its numbers link to.
        command: The command that repeats its run.
        record: The content of its training's result file, or of its evaluation's.
        share: Percent of the training set, None for all.
        start: None for a normal training; 'source' or 'scratch' for a training that studies
            transfer.
        selected: Whether the benchmark's rule selected the checkpoint. If not, it was given.
        validation: mIoU over iterations by domain, percent.
        sees_target: Whether it adapts to images of the target at test time.
        file: Where the numbers are, if not in `result`, which is then only a name.
        pretraining: The data of the weights that its training began from; 'none' without.
    """

    name: str
    method: str
    backbone: str
    segmentor: str
    source: str | None
    seed: int
    scores: Mapping[str, float]
    stored: StoredConfusions
    result: Path
    command: str
    record: Mapping[str, Any]
    share: float | None = None
    start: str | None = None
    selected: bool = True
    validation: Mapping[str, Curve] = field(default_factory=dict)
    sees_target: bool = False
    file: Path | None = None
    pretraining: str = UNKNOWN


@dataclass(frozen=True, eq=False)
class Measurement:
    """One analysis's measurements of one trained network.

    Args:
        task: Name of the analysis, which is also its command.
        method: The network's method.
        backbone: Its backbone.
        segmentor: Its segmentor.
        source: Its source.
        seed: Its training seed.
        content: The content of the result file.
        result: The result file.
        command: The command that repeats the measurement.
        file: Where the numbers are, if not in `result`, which is then only a name.
    """

    task: str
    method: str
    backbone: str
    segmentor: str
    source: str
    seed: int
    content: Mapping[str, Any]
    result: Path
    command: str
    file: Path | None = None


@dataclass(frozen=True, eq=False)
class Board:
    """Everything that a leaderboard has read.

    Args:
        protocol: The evaluation protocol, the same for all.
        selection: The rule that chose checkpoints; None if a benchmark trained nothing.
        networks: The trained networks.
        analyses: Other measurements of them.
        unfinished: Rows of the index that are not done.
        heads: The indices of the benchmarks without their cells, by folder.
    """

    protocol: str
    selection: str | None
    networks: tuple[Network, ...]
    analyses: tuple[Measurement, ...] = ()
    unfinished: tuple[Mapping[str, Any], ...] = ()
    heads: Mapping[Path, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def intervals(self) -> str:
        """What intervals tell about: seeds alone if a benchmark asks for it, else images too."""
        asked = [head.get("intervals") for head in self.heads.values()]
        return OVER_SEEDS if OVER_SEEDS in asked else OVER_BOTH

    @property
    def methods(self) -> tuple[str, ...]:
        """The names of all methods."""
        return tuple(dict.fromkeys(network.method for network in self.networks))
