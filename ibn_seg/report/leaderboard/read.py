"""Folders of results, checked once and turned into values that the leaderboard relies on."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ibn_seg.datasets.targets import check_source
from ibn_seg.errors import UserError, unknown
from ibn_seg.evaluation.confusion import scores
from ibn_seg.evaluation.stored import StoredConfusions, confusions_of, read_confusions
from ibn_seg.io import read_json
from ibn_seg.report.runs import Curve, read_curves, required
from ibn_seg.report.transfer import STARTS

SCHEMA = 1
INDEX = "benchmark.json"
EVALUATED = "test.json"
# What a table says of a network whose maker did not say it.
UNKNOWN = "not stated"
# Points between an index and the matrices beside it. On a GPU the test of a checkpoint may differ
# from its validation by single pixels; a wrong file is further off.
_TOLERANCE = 0.05
_RENEW = "run `ibn-seg benchmark` on this folder again, which renews its index"


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


@dataclass(frozen=True, eq=False)
class Analysis:
    """What was measured on one trained network.

    Args:
        task: 'divergence' or 'robustness'.
        method: The network's method.
        backbone: Its backbone.
        segmentor: Its segmentor.
        source: Its source.
        seed: Its training seed.
        content: The content of the result file.
        result: The result file.
        command: What repeats the measurement.
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
    analyses: tuple[Analysis, ...] = ()
    unfinished: tuple[Mapping[str, Any], ...] = ()
    heads: Mapping[Path, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def methods(self) -> tuple[str, ...]:
        """The names of all methods."""
        return tuple(dict.fromkeys(network.method for network in self.networks))


def read_board(folders: Sequence[str | os.PathLike]) -> Board:
    """Read folders of `ibn-seg benchmark`, and of `ibn-seg evaluate` or `test`.

    Args:
        folders: Each holds a `benchmark.json` or a `test.json`. A cell that two hold counts once.

    Raises:
        UserError: A file is missing, damaged or of another version; nothing is done; two folders
            differ in protocol or selection; two networks have the same name and seed.
    """
    if not folders:
        raise UserError("no results given", "name at least one folder of results")
    networks: dict[str, Network] = {}
    analyses: dict[str, Analysis] = {}
    unfinished: dict[str, Mapping[str, Any]] = {}
    heads: dict[Path, Mapping[str, Any]] = {}
    protocols: dict[Path, str] = {}
    for folder in map(Path, folders):
        if (folder / INDEX).is_file():
            head, rows = _read_index(folder)
            heads[folder], protocols[folder] = head, head["protocol"]
            for row in rows:
                _read_row(folder, row, networks, analyses, unfinished)
        elif (folder / EVALUATED).is_file():
            network, protocols[folder] = _read_evaluated(folder)
            networks[str(folder.resolve())] = network
        else:
            raise UserError(
                f"{folder}: {'has neither' if folder.is_dir() else 'no such folder with'} "
                f"{INDEX} {'nor' if folder.is_dir() else 'or'} {EVALUATED}",
                "give folders of `ibn-seg benchmark`, `evaluate` or `test`",
            )
    _check_one("protocol", protocols)
    _check_one("selection", {folder: head["selection"] for folder, head in heads.items()})
    if not networks:
        raise UserError(
            f"{', '.join(map(str, heads))}: none of {len(unfinished)} cells is done",
            "run `ibn-seg benchmark` until at least one training is",
        )
    found = tuple(networks.values())
    _check_sources(found)
    _check_distinct(found)
    _check_images(found)
    return Board(
        protocol=next(iter(protocols.values())),
        selection=next((head["selection"] for head in heads.values()), None),
        networks=found,
        analyses=tuple(analyses.values()),
        unfinished=tuple(row for key, row in unfinished.items() if key not in networks),
        heads=heads,
    )


def _read_index(folder: Path) -> tuple[dict[str, Any], list[Mapping[str, Any]]]:
    """Return the head and the rows of a benchmark's index."""
    path = folder / INDEX
    content = read_json(path)
    if not isinstance(content, Mapping) or content.get("schema") != SCHEMA:
        given = content.get("schema") if isinstance(content, Mapping) else "none"
        raise UserError(f"{path}: schema {given!r} cannot be read, allowed: {SCHEMA}", _RENEW)
    for key in ("protocol", "selection"):
        required(content, key, str, str(path))
    rows = required(content, "cells", list, str(path))
    return {key: value for key, value in content.items() if key != "cells"}, rows


def _read_row(
    folder: Path,
    row: Any,
    networks: dict[str, Network],
    analyses: dict[str, Analysis],
    unfinished: dict[str, Mapping[str, Any]],
) -> None:
    """Sort one row of an index into what it is, unless another folder had the same cell."""
    where = f"{folder / INDEX}, a cell"
    cell, task = required(row, "id", str, where), row.get("task", "train")
    where = f"{folder / INDEX}, cell {cell}"
    if required(row, "state", str, where) != "done":
        unfinished.setdefault(cell, {**row, "folder": folder})
    elif task == "train" and cell not in networks:
        networks[cell] = _network(folder, row, where)
    elif task in ("divergence", "robustness") and cell not in analyses:
        analyses[cell] = _analysis(folder, row, where)


def _network(folder: Path, row: Mapping[str, Any], where: str) -> Network:
    """Return a finished training, its scores computed from its matrices."""
    result = folder / required(row, "result", str, where)
    record = _record(result)
    for key in ("confusions", "command"):
        if not isinstance(row.get(key), str):
            raise UserError(f"{where}: names no {key}", _RENEW)
    stored = read_confusions(folder / row["confusions"])
    measured = _scores(stored, folder / row["confusions"])
    for domain, value in required(row, "mIoU", Mapping, where).items():
        if domain not in measured or abs(measured[domain] - value) > _TOLERANCE:
            raise UserError(
                f"{where}: mIoU {value} on {domain!r}, but {measured.get(domain)} by its matrices "
                f"{row['confusions']}",
                _RENEW,
            )
    return Network(
        name=row["id"],
        **_identity(row, where),
        scores=measured,
        stored=stored,
        result=folder / row.get("test", row["result"]),
        command=row["command"],
        record=record,
        validation=read_curves(record.get("curves"), str(result))[1],
        **_part(row, where),
    )


def _part(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return what a transfer was trained on and began from; None for a normal training."""
    share, start = row.get("share"), row.get("start")
    if share is not None and not (isinstance(share, int | float) and 0 < share <= 100):
        raise UserError(f"{where}: share is {share!r}", "expected percent, above 0 to 100")
    if start is not None and start not in STARTS:
        raise unknown(f"start of {where}", start, STARTS)
    return {"share": share, "start": start}


def _identity(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    names = ("method", "backbone", "segmentor", "source")
    return {
        **{name: required(row, name, str, where) for name in names},
        "seed": required(row, "seed", int, where),
    }


def _analysis(folder: Path, row: Mapping[str, Any], where: str) -> Analysis:
    path = folder / required(row, "result", str, where)
    content = _record(path)
    if content.get("kind") != row["task"]:
        raise UserError(f"{path}: not a result of `ibn-seg {row['task']}`", _RENEW)
    return Analysis(
        task=row["task"],
        **_identity(row, where),
        content=content,
        result=path,
        command=row.get("command") or content.get("command") or UNKNOWN,
    )


def _read_evaluated(folder: Path) -> tuple[Network, str]:
    """Return what `ibn-seg evaluate` or `test` wrote, and its protocol."""
    path = folder / EVALUATED
    record = _record(path)
    stored = confusions_of(record, folder)
    if stored is None:
        raise UserError(f"{path}: keeps no matrices", "evaluate again with this version of ibn_seg")
    network = Network(
        name=required(record, "name", str, str(path)),
        method=required(record, "method", str, str(path)),
        backbone=record.get("backbone") or UNKNOWN,
        segmentor=record.get("segmentor") or UNKNOWN,
        source=record.get("source"),
        seed=required(record, "seed", int, str(path)),
        scores=_scores(stored, path),
        stored=stored,
        result=path,
        command=record.get("command") or UNKNOWN,
        record=record,
        selected=False,
    )
    return network, record.get("protocol") or "native"


def _record(path: Path) -> Mapping[str, Any]:
    content = read_json(path)
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: not a result", "run its cell again")
    return content


def _scores(stored: StoredConfusions, path: Path) -> dict[str, float]:
    """Return the mIoU of each domain, percent."""
    found = {}
    for domain, images in stored.domains.items():
        try:
            counted = scores(images.counts.sum(axis=0), stored.classes, scored=images.scored)
        except UserError as error:
            raise UserError(f"{path}: {domain}: {error.line}") from error
        found[domain] = counted.mIoU
    return found


def _check_one(what: str, values: Mapping[Path, str]) -> None:
    """Refuse to mix numbers that cannot be compared."""
    first = next(iter(values), None)
    for folder, value in values.items():
        if value != values[first]:
            raise UserError(
                f"{folder}: {what} {value!r}, but {values[first]!r} in {first}",
                f"numbers by another {what} cannot be compared; make a leaderboard of each",
            )


def _check_sources(networks: Sequence[Network]) -> None:
    """Refuse a misspelt source, beside which the right one would be a target."""
    for one in networks:
        check_source(one.source, one.scores, f"'source' of {one.result}")


def _check_distinct(networks: Sequence[Network]) -> None:
    seen: dict[tuple, Network] = {}
    for one in networks:
        key = (one.method, one.backbone, one.segmentor, one.source, one.seed, one.share, one.start)
        twin = seen.setdefault(key, one)
        if twin is not one:
            raise UserError(
                f"{one.result} and {twin.result}: two different networks of {one.method!r} "
                f"({one.backbone}, {one.segmentor}, trained on {one.source}), seed {one.seed}",
                "leave one out, or give one another method's name",
            )


def _check_images(networks: Sequence[Network]) -> None:
    """Refuse networks that were scored on other images, classes or labels."""
    first: dict[str, Network] = {}
    for one in networks:
        for domain, images in one.stored.domains.items():
            other = first.setdefault(domain, one)
            theirs = other.stored.domains[domain]
            what = None
            if sorted(images.images) != sorted(theirs.images):
                what = "images"
            elif one.stored.classes != other.stored.classes or images.scored != theirs.scored:
                what = "classes"
            elif not np.array_equal(_labels(images.counts), _labels(theirs.counts)):
                what = "labels"
            if what:
                raise UserError(
                    f"{one.result}: other {what} of {domain!r} than {other.result}",
                    "compare networks that were evaluated on the same data",
                )


def _labels(counts: np.ndarray) -> np.ndarray:
    """Return the pixels of each class."""
    return counts.sum(axis=(0, 2))
