"""Checks folders of results once, and turns them into values for the leaderboard."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ibn_seg.analyses.all_analyses import measuring
from ibn_seg.analyses.transfer.drawing import STARTS
from ibn_seg.datasets.targets import check_source
from ibn_seg.errors import UserError, unknown
from ibn_seg.evaluation.confusion import scores
from ibn_seg.evaluation.stored import StoredConfusions, confusions_of
from ibn_seg.io import read_json
from ibn_seg.leaderboard.result_folders import INDEX, ResultFolder, open_folder
from ibn_seg.leaderboard.search_board import APART, is_search
from ibn_seg.pretraining import pretraining_of
from ibn_seg.report.board import UNKNOWN, Board, Measurement, Network
from ibn_seg.report.runs import read_curves, required, sees_target

EVALUATED = "test.json"
# Largest allowed difference, in points, between an index and the matrices beside it. On a GPU, a
# checkpoint's test may differ from its validation by single pixels. A wrong file differs by more.
_TOLERANCE = 0.05


def read_board(folders: Sequence[str | os.PathLike]) -> Board:
    """Read folders of `ibn-seg benchmark`, and of `ibn-seg evaluate` or `test`.

    Args:
        folders: Each holds a `benchmark.json`, a `kept.json` or a `test.json`. A cell in two
            folders counts once.

    Raises:
        UserError: A file is missing, damaged or of another version. Or no cell is done, two folders
            differ in protocol or selection, or two networks have the same name and seed. Or a
            folder holds re-identification.
    """
    if not folders:
        raise UserError("no results given", "name at least one folder of results")
    networks: dict[str, Network] = {}
    analyses: dict[str, Measurement] = {}
    unfinished: dict[str, Mapping[str, Any]] = {}
    heads: dict[Path, Mapping[str, Any]] = {}
    protocols: dict[Path, str] = {}
    merges: dict[Path, str] = {}
    for folder in map(Path, folders):
        opened = open_folder(folder)
        if opened is not None:
            if any(map(is_search, opened.rows)):
                raise UserError(f"{folder}: holds results of re-identification, unlike the first "
                                "folder", APART)  # fmt: skip
            heads[folder], protocols[folder] = opened.head, opened.head["protocol"]
            merges[folder] = "hard"
            for row in opened.rows:
                _read_row(folder, opened, row, networks, analyses, unfinished)
        elif (folder / EVALUATED).is_file():
            network, protocols[folder] = _read_evaluated(folder)
            merges[folder] = network.record.get("merge") or "hard"
            networks[str(folder.resolve())] = network
        else:
            raise UserError(
                f"{folder}: {'has neither' if folder.is_dir() else 'no such folder with'} "
                f"{INDEX} {'nor' if folder.is_dir() else 'or'} {EVALUATED}",
                "give folders of `ibn-seg benchmark`, `evaluate` or `test`",
            )
    _check_one("protocol", protocols)
    _check_one("merge", merges)
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
        analyses=tuple(_with_target(one, found) for one in analyses.values()),
        unfinished=tuple(row for key, row in unfinished.items() if key not in networks),
        heads=heads,
    )


def _read_row(
    folder: Path,
    opened: ResultFolder,
    row: Any,
    networks: dict[str, Network],
    analyses: dict[str, Measurement],
    unfinished: dict[str, Mapping[str, Any]],
) -> None:
    """Store one row of an index by its kind, unless another folder had the same cell."""
    where = f"{opened.index}, a cell"
    cell, task = required(row, "id", str, where), row.get("task", "train")
    where = f"{opened.index}, cell {cell}"
    if required(row, "state", str, where) != "done":
        unfinished.setdefault(cell, {**row, "folder": folder})
    elif task == "train" and cell not in networks:
        networks[cell] = _network(folder, opened, row, where)
    elif task in measuring() and cell not in analyses:
        analyses[cell] = _analysis(folder, opened, row, where)


def _network(folder: Path, opened: ResultFolder, row: Mapping[str, Any], where: str) -> Network:
    """Return a finished training, with scores computed from its matrices."""
    result = folder / required(row, "result", str, where)
    record = _checked(opened.record(row), result)
    for key in ("confusions", "command"):
        if not isinstance(row.get(key), str):
            raise UserError(f"{where}: names no {key}", opened.again)
    stored = opened.matrices(row)
    measured = _scores(stored, folder / row["confusions"])
    for domain, value in required(row, "mIoU", Mapping, where).items():
        if domain not in measured or abs(measured[domain] - value) > _TOLERANCE:
            raise UserError(
                f"{where}: mIoU {value} on {domain!r}, but {measured.get(domain)} by its matrices "
                f"{row['confusions']}",
                opened.again,
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
        sees_target=sees_target(row["method"], record),
        file=opened.file,
        pretraining=_pretraining(opened, row, record),
        **_part(row, where),
    )


def _pretraining(opened: ResultFolder, row: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    """Return the data of a network's first weights; older results do not record them."""
    if record.get("pretraining"):
        return str(record["pretraining"])
    config = opened.identity(row).get("config")
    return pretraining_of(config) if isinstance(config, Mapping) else UNKNOWN


def _with_target(one: Measurement, networks: Sequence[Network]) -> Measurement:
    """Return a measurement that knows whether its network adapts to its target."""
    shape = (one.method, one.backbone, one.segmentor, one.source)
    seen = any(
        (other.method, other.backbone, other.segmentor, other.source) == shape
        for other in networks
        if other.sees_target
    )
    return replace(one, sees_target=seen or sees_target(one.method, one.content))


def _part(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a transfer's training set and start; None for a normal training."""
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


def _analysis(
    folder: Path, opened: ResultFolder, row: Mapping[str, Any], where: str
) -> Measurement:
    path = folder / required(row, "result", str, where)
    content = _checked(opened.record(row), path)
    if content.get("kind") != row["task"]:
        raise UserError(f"{path}: not a result of `ibn-seg {row['task']}`", opened.again)
    return Measurement(
        task=row["task"],
        **_identity(row, where),
        content=content,
        result=path,
        command=row.get("command") or content.get("command") or UNKNOWN,
        file=opened.file,
    )


def _read_evaluated(folder: Path) -> tuple[Network, str]:
    """Return the result of `ibn-seg evaluate` or `test`, and its protocol."""
    path = folder / EVALUATED
    record = _checked(read_json(path), path)
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
        pretraining=record.get("pretraining") or UNKNOWN,
        sees_target=sees_target(record["method"], record),
    )
    return network, record.get("protocol") or "native"


def _checked(content: Any, path: Path) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: not a result", "run its cell again")
    return content


def _scores(stored: StoredConfusions, path: Path) -> dict[str, float]:
    """Return the mIoU of each domain, percent."""
    found = {}
    for domain, images in stored.domains.items():
        try:
            counts = images.scored_counts.sum(axis=0)
            counted = scores(counts, stored.names(domain), scored=images.scored)
        except UserError as error:
            raise UserError(f"{path}: {domain}: {error.line}") from error
        found[domain] = counted.mIoU
    return found


def _check_one(what: str, values: Mapping[Path, str]) -> None:
    """Raise if numbers cannot be compared."""
    first = next(iter(values), None)
    for folder, value in values.items():
        if value != values[first]:
            raise UserError(
                f"{folder}: has the {what} {value!r}, but {first} has {values[first]!r}",
                f"make one leaderboard for each {what}",
            )


def _check_sources(networks: Sequence[Network]) -> None:
    """Raise for a misspelt source, because the correctly spelt one would become a target."""
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
                f"({one.backbone}, {one.segmentor}, trained on {one.source or UNKNOWN}), "
                f"seed {one.seed}",
                "leave one out, or give one another method's name",
            )


def _check_images(networks: Sequence[Network]) -> None:
    """Raise if networks were scored on different images, classes or labels."""
    first: dict[str, Network] = {}
    for one in networks:
        for domain, images in one.stored.domains.items():
            other = first.setdefault(domain, one)
            theirs = other.stored.domains[domain]
            what = None
            if sorted(images.images) != sorted(theirs.images):
                what = "images"
            elif (
                one.stored.names(domain) != other.stored.names(domain)
                or images.scored != theirs.scored
            ):
                what = "classes"
            elif not np.array_equal(_labels(images.scored_counts), _labels(theirs.scored_counts)):
                what = "labels"
            if what:
                raise UserError(
                    f"{one.result} and {other.result} have different {what} of {domain!r}",
                    "compare networks that were evaluated on the same data",
                )


def _labels(counts: np.ndarray) -> np.ndarray:
    """Return the pixels of each class."""
    return counts.sum(axis=(0, 2))
