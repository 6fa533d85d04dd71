"""Trained networks and what was measured on them, as a leaderboard has read them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ibn_seg.evaluation.stored import StoredConfusions
from ibn_seg.report.runs import Curve

# What a table says of a network whose maker did not say it.
UNKNOWN = "not stated"


@dataclass(frozen=True, eq=False)
class Network:
    """One trained network and what it scores.

    Args:
        name: Its cell's id, or the folder of its evaluation.
        method: Row of the tables that it counts towards.
        backbone: Its backbone.
        segmentor: Its segmentor.
        source: The domains trained on, joined by '+'; None if that is not known.
        seed: Training seed.
        scores: mIoU by domain at the selected checkpoint, percent.
        stored: The matrices behind them.
        result: The file to which its numbers link.
        command: What repeats its run.
        record: The content of its training's result, or of its evaluation.
        share: Percent of the training set, None for all.
        start: None for a normal training; 'source' or 'scratch' for one that studies transfer.
        selected: Whether a checkpoint was selected by the benchmark's rule; else it was given.
        validation: mIoU over iterations by domain, percent.
        file: Where the numbers are, if not in `result`, which is then only a name.
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
    file: Path | None = None


@dataclass(frozen=True, eq=False)
class Measurement:
    """What was measured on one trained network.

    Args:
        task: Name of the analysis, which is the command that measured.
        method: The network's method.
        backbone: Its backbone.
        segmentor: Its segmentor.
        source: Its source.
        seed: Its training seed.
        content: The content of the result file.
        result: The result file.
        command: What repeats the measurement.
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
    """Everything that was read.

    Args:
        protocol: The evaluation protocol of all.
        selection: The rule that chose checkpoints; None if nothing was trained by a benchmark.
        networks: The trained networks.
        analyses: What else was measured on them.
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
    def methods(self) -> tuple[str, ...]:
        """The names of all methods."""
        return tuple(dict.fromkeys(network.method for network in self.networks))
