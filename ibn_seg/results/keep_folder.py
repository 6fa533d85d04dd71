"""Reduce the results folder of a benchmark to the few files that are kept.

Left out are checkpoints, logs and the training loss. Numbers that follow from the matrices, such as
the IoU of each class, are left out too. Of the validations, the mIoU of each domain stays.
Of re-identification, the ranks of all matches stay, from which every measure follows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ibn_seg.datasets.class_map import ClassMap
from ibn_seg.errors import UserError
from ibn_seg.evaluation.stored import ImageConfusions, StoredConfusions, read_confusions
from ibn_seg.io import read_json
from ibn_seg.results.kept_identity import shortened
from ibn_seg.results.kept_matrices import (
    RunMatrices,
    read_configs,
    read_matrices,
    run_matrices,
    write_matrices,
)
from ibn_seg.results.kept_searches import read_search_files, write_search_files
from ibn_seg.results.kept_table import (
    POINTER,
    TABLE,
    KeptRun,
    KeptTable,
    read_table,
    write_pointer,
    write_table,
)

INDEX = "benchmark.json"
SCHEMA = 1
TRAINING, SEARCHING, DONE = "train", "reid", "done"
# The name for an analysis's measurements on unchanged pictures.
CLEAN = "clean"
# `config` is kept beside the matrices; `metrics` repeats `domains` in another form.
_ELSEWHERE = ("config", "metrics")
# Scores of a domain that follow from its matrix.
_OF_MATRIX = (
    "IoU", "Acc", "confusion", "absent", "unlabelled", "classes", "mapping", "no_group",
)  # fmt: skip


def keep(results: Path, out: Path, beside: Path | None = None) -> list[Path]:
    """Keep the results of a benchmark.

    Args:
        results: Folder of `ibn-seg benchmark`.
        out: The folder that replaces these results from now on. Its name is the run's name.
        beside: Folder of an existing table to which the run is added, such as the folder of the
            plan's first run. A run of the same name there is replaced. Default: a table in `out`,
            with only this run.

    Returns:
        The files written.

    Raises:
        UserError: The results are missing or damaged.
        EnvError: A file cannot be written.
    """
    name, home = out.resolve().name, beside or out
    new = _collected(results, name)
    runs = {name: KeptRun(new.head, tuple(new.rows))}
    if beside is not None:
        old = read_table(beside / TABLE)
        _check_plan(beside / TABLE, old, new.head)
        # A replaced run keeps its place among the runs.
        runs = {**old.runs, **runs}
        new.add(beside, old, name)
    order = [f"{run}/{row['id']}" for run, part in runs.items() for row in part.rows]
    place = {run: at for at, run in enumerate(order)}
    new.matrices.sort(key=lambda one: place[one.run])
    files = sorted(new.searches.items(), key=lambda one: place[one[0].rpartition("/")[0]])
    configs = {run: new.configs[run] for run in order if run in new.configs}
    names = write_matrices(home, new.matrices, configs)
    archives = write_search_files(home, dict(files))
    write_table(home / TABLE, KeptTable(runs, names, archives))
    write_pointer(out, home / TABLE, name)
    return [home / TABLE, *(home / file for file in (*names, *archives)), out / POINTER]


@dataclass
class _Collected:
    """What is kept of a folder.

    Args:
        head: Its index without its cells.
        rows: The cells.
        matrices: Their matrices.
        configs: Their configs, by RUN/CELL.
        searches: Their files of ranks, by RUN/CELL/FILE.
    """

    head: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    matrices: list[RunMatrices] = field(default_factory=list)
    configs: dict[str, str] = field(default_factory=dict)
    searches: dict[str, bytes] = field(default_factory=dict)

    def add(self, home: Path, table: KeptTable, name: str) -> None:
        """Add what a kept table has of all runs except the one of this name."""
        files = [home / file for file in table.matrices]
        self.matrices += _but(read_matrices(files), name)
        self.configs = {**read_configs(files), **self.configs}
        before = read_search_files(home / file for file in table.searches)
        self.searches |= {
            file: content for file, content in before.items() if not file.startswith(f"{name}/")
        }


def _collected(results: Path, name: str) -> _Collected:
    """Return what is kept of a folder, as the run of this name."""
    index = _mapping(results / INDEX)
    if index.get("schema") != SCHEMA or not isinstance(index.get("cells"), list):
        raise UserError(
            f"{results / INDEX}: not the index of a benchmark", f"expected schema {SCHEMA}"
        )
    found = _Collected({key: value for key, value in index.items() if key != "cells"})
    stored: dict[str, StoredConfusions] = {}
    wholes: dict[str, Any] = {}
    for row in index["cells"]:
        try:
            cell = _Cell(results, row, f"{name}/{row['id']}")
            cell.keep(stored)
        except UserError:
            raise
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise UserError(
                f"{results / INDEX}: a cell is damaged or lacks a key ({error!r}): {row!r:.60}",
                "run `ibn-seg benchmark` on this folder again, which writes its index again",
            ) from error
        if "identity" in cell.row:
            form = shortened(cell.row["identity"], wholes)
            wholes |= {row["id"]: form["whole"]} if "whole" in form else {}
            cell.row["identity"] = form
        found.rows.append(cell.row)
        found.matrices += cell.matrices
        found.configs |= cell.config
        found.searches |= cell.searches
    return found


def _check_plan(path: Path, table: KeptTable, head: Mapping[str, Any]) -> None:
    """Refuse to put runs of several plans into one table."""
    for run in table.runs.values():
        if run.head.get("name") != head.get("name"):
            raise UserError(
                f"{path}: is of the plan {run.head.get('name')!r}, but these results are of "
                f"{head.get('name')!r}",
                "keep them in a folder of their own, without --beside",
            )


class _Cell:
    """The kept parts of one cell.

    Args:
        results: The results folder.
        row: The index's entry for the cell.
        run: The name for its matrices.
    """

    def __init__(self, results: Path, row: Mapping[str, Any], run: str) -> None:
        self.row, self.run = dict(row), run
        self.matrices: list[RunMatrices] = []
        self.config: dict[str, str] = {}
        self.searches: dict[str, bytes] = {}
        self._results = results

    def keep(self, stored: dict[str, StoredConfusions]) -> None:
        """Read the cell.

        Args:
            stored: The trainings' counts, by cell; if this is a training, its counts are added.
        """
        if self.row.get("state") != DONE:
            return
        if "cell" in self.row:
            self.row["identity"] = _mapping(self._results / self.row["cell"])["identity"]
        record = _mapping(self._results / self.row["result"])
        self.config = {self.run: record["config"]} if record.get("config") else {}
        task = self.row.get("task", TRAINING)
        if task == TRAINING:
            stored[self.row["id"]] = self._keep_training(record)
            return
        if task == SEARCHING:
            self._keep_searches(record)
        needed = [stored[cell] for cell in self.row.get("needs", ()) if cell in stored]
        light = _Light(needed[0]) if needed else None
        self.row["record"] = _brief(record if light is None else light.without(record))
        self.matrices = [] if light is None else list(light.matrices(self.run))

    def _keep_searches(self, record: Mapping[str, Any]) -> None:
        """Read the ranks of each search, which lie beside the result."""
        folder = (self._results / self.row["result"]).parent
        for found in record["searches"].values():
            path = folder / found["ranks"]
            if not path.is_file():
                raise UserError(f"{path}: no such file", "run its cell again")
            self.searches[f"{self.run}/{found['ranks']}"] = path.read_bytes()

    def _keep_training(self, record: Mapping[str, Any]) -> StoredConfusions:
        stored = read_confusions(self._results / self.row["confusions"])
        # The order of the evaluation; tables use it too.
        self.row["domains"] = list(stored.domains)
        light = _Light(stored)
        self.row["record"] = _brief(light.without(record))
        if "test" in self.row:
            tested = _mapping(self._results / self.row["test"])
            self.row["tested"] = _brief(light.without(tested))
        self.matrices = [
            run_matrices(self.run, domain, part, stored.classes)
            for domain, part in stored.domains.items()
        ]
        return stored


class _Light:
    """Extracts the matrices from the content of a result file.

    Args:
        stored: The counts of the training that the result belongs to: its classes and domains.
    """

    def __init__(self, stored: StoredConfusions) -> None:
        self._stored = stored
        self._taken: dict[str, dict[str, list[list[int]]]] = {}

    def without(self, value: Any, path: tuple[str, ...] = ()) -> Any:
        """Return a part of the content without matrices and the scores that follow from them."""
        if isinstance(value, list):
            return [self.without(one, (*path, _label(one))) for one in value]
        if not isinstance(value, Mapping):
            return value
        if path[-2:-1] == ("domains",) and self._takes(value.get("confusion"), path):
            return {key: one for key, one in value.items() if key not in _OF_MATRIX}
        return {key: self.without(one, (*path, key)) for key, one in value.items()}

    def _takes(self, matrix: Any, path: tuple[str, ...]) -> bool:
        """Extract a matrix that has all classes; tell whether it was extracted."""
        *place, _, domain = path
        # The name of an entry of a list is enough: 'haze 3', not 'corrupted haze 3'.
        condition = " ".join(place[1:] or place) or CLEAN
        taken = self._taken.setdefault(domain, {})
        columns = len(self._stored.classes)
        mapping = self._mapping(domain)
        rows = columns if mapping is None else len(mapping.groups) + 1
        whole = isinstance(matrix, list) and [len(row) for row in matrix] == [columns] * rows
        if whole and condition not in taken:
            taken[condition] = matrix
            return True
        return False

    def matrices(self, run: str) -> Iterator[RunMatrices]:
        """Yield the extracted matrices by domain; the condition's name takes the image's place."""
        for domain, conditions in self._taken.items():
            if not conditions:
                continue
            scored = self._stored.domains[domain].scored if domain in self._stored.domains else None
            counts = np.array(list(conditions.values()), np.int64)
            summed = ImageConfusions(tuple(conditions), counts, scored, self._mapping(domain))
            yield run_matrices(run, domain, summed, self._stored.classes)

    def _mapping(self, domain: str) -> ClassMap | None:
        images = self._stored.domains.get(domain)
        return images.mapping if images else None


def _brief(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a result with short curves, without parts kept elsewhere."""
    kept = {key: value for key, value in record.items() if key not in _ELSEWHERE}
    if isinstance(kept.get("curves"), Mapping):
        points = [
            {key: value for key, value in point.items() if key == "iter" or key.endswith("/mIoU")}
            for point in kept["curves"].get("val", ())
        ]
        # Readers of curves expect a loss for each logged iteration; none is logged here.
        kept["curves"] = {"iter": [], "loss": [], "val": points}
    return kept


def _but(found: Mapping[str, Mapping[str, RunMatrices]], name: str) -> list[RunMatrices]:
    """Return the matrices of all runs except one."""
    return [
        one for run, domains in found.items() if not run.startswith(f"{name}/")
        for one in domains.values()
    ]  # fmt: skip


def _label(value: Any) -> str:
    """Return the name that distinguishes an entry of a list, such as 'haze 3'."""
    if not isinstance(value, Mapping):
        return ""
    return " ".join(str(one) for one in value.values() if isinstance(one, str | int))


def _mapping(path: Path) -> Mapping[str, Any]:
    content = read_json(path)
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: not a result of `ibn-seg benchmark`", "run its cell again")
    return content
