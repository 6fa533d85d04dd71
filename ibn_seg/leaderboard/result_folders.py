"""Reads folders of a benchmark's results, as the benchmark leaves them or as kept copies."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ibn_seg.errors import UserError, unknown
from ibn_seg.evaluation.stored import ImageConfusions, StoredConfusions, read_confusions
from ibn_seg.io import read_json
from ibn_seg.reid.kept_ranks import ranks_of, read_ranks
from ibn_seg.reid.ranking import Matches
from ibn_seg.report.runs import required
from ibn_seg.results.kept_matrices import RunMatrices, read_matrices
from ibn_seg.results.kept_searches import read_search_files
from ibn_seg.results.kept_table import POINTER, KeptTable, read_pointer, read_table

SCHEMA = 1
INDEX = "benchmark.json"
RENEW = "run `ibn-seg benchmark` on this folder again, which renews its index"
_KEEP_AGAIN = "write it again with tools/keep_results.py"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class ResultFolder:
    """The results of a benchmark.

    Args:
        index: The file that lists the cells, for messages.
        head: The index without its cells.
        rows: Its cells, not checked.
        again: The remedy for damage.
        record: Returns the content of a cell's result file; None if it is not a result.
        matrices: Returns the matrices of a training.
        ranks: Returns the ranks of a search; its second argument is the name of their file.
        identity: Returns what a cell's id is the hash of; {} if it is not kept.
        file: The file that links lead to; None if each cell has its own file.
    """

    index: Path
    head: Row
    rows: Sequence[Any]
    again: str
    record: Callable[[Row], Any]
    matrices: Callable[[Row], StoredConfusions]
    ranks: Callable[[Row, str], Matches]
    identity: Callable[[Row], Row]
    file: Path | None = None


def open_folder(folder: Path) -> ResultFolder | None:
    """Return the results in a folder; None if it holds no benchmark.

    Raises:
        UserError: The results are damaged or of another version.
    """
    if (folder / INDEX).is_file():
        return _open_index(folder)
    if (folder / POINTER).is_file():
        return _open_kept(folder)
    return None


def _open_index(folder: Path) -> ResultFolder:
    """Return the results that a benchmark left."""
    path = folder / INDEX
    content = read_json(path)
    _check_head(path, content, RENEW)
    rows = required(content, "cells", list, str(path))
    return ResultFolder(
        path,
        {key: value for key, value in content.items() if key != "cells"},
        rows,
        RENEW,
        record=lambda row: read_json(folder / row["result"]),
        matrices=lambda row: read_confusions(folder / row["confusions"]),
        ranks=lambda row, name: read_ranks((folder / row["result"]).parent / name),
        identity=lambda row: _cell_identity(folder, row),
    )


def _cell_identity(folder: Path, row: Row) -> Row:
    """Return the identity that a finished cell's file holds."""
    path = folder / row["cell"] if isinstance(row.get("cell"), str) else None
    content = read_json(path) if path is not None and path.is_file() else {}
    identity = content.get("identity") if isinstance(content, Mapping) else None
    return identity if isinstance(identity, Mapping) else {}


def _open_kept(folder: Path) -> ResultFolder:
    """Return the kept results of a run."""
    path, name = read_pointer(folder)
    table = read_table(path)
    if name not in table.runs:
        raise unknown(f"run of {folder / POINTER}", name, table.runs)
    run = table.runs[name]
    _check_head(path, run.head, _KEEP_AGAIN)
    beside = _KeptRun(path, table, name)
    return ResultFolder(
        path,
        run.head,
        run.rows,
        _KEEP_AGAIN,
        record=lambda row: row.get("record"),
        matrices=beside.matrices,
        ranks=beside.ranks,
        identity=lambda row: run.identity(row["id"]) if "identity" in row else {},
        file=path,
    )


def _check_head(path: Path, head: Any, again: str) -> None:
    """Raise for another version, or for results without their rules."""
    if not isinstance(head, Mapping) or head.get("schema") != SCHEMA:
        given = head.get("schema") if isinstance(head, Mapping) else "none"
        raise UserError(f"{path}: schema {given!r} cannot be read, allowed: {SCHEMA}", again)
    for key in ("protocol", "selection"):
        required(head, key, str, str(path))


@dataclass(frozen=True)
class _KeptRun:
    """What lies beside the rows of a kept run; read on demand, once.

    Args:
        path: The table's file.
        table: Its content.
        name: Name of the run.
    """

    path: Path
    table: KeptTable
    name: str

    @cached_property
    def _matrices(self) -> Mapping[str, Mapping[str, RunMatrices]]:
        files = [self.path.parent / name for name in self.table.matrices]
        # A leaderboard does not use the matrices of analyses.
        trained = {row["id"] for row in self.table.runs[self.name].rows if "domains" in row}
        return read_matrices(files, {f"{self.name}/{cell}" for cell in trained})

    @cached_property
    def _searches(self) -> Mapping[str, bytes]:
        return read_search_files([self.path.parent / name for name in self.table.searches])

    def _where(self, row: Row) -> str:
        return f"{self.path}, cell {row['id']}"

    def matrices(self, row: Row) -> StoredConfusions:
        """Return the matrices of a training.

        Raises:
            UserError: They are missing or damaged, or have predictions of different classes.
        """
        where = self._where(row)
        mine = self._matrices.get(f"{self.name}/{row['id']}", {})
        names = required(row, "domains", list, where)
        for name in names:
            if not isinstance(name, str) or name not in mine:
                raise UserError(f"{where}: no matrices of {name!r} beside it", _KEEP_AGAIN)
        if not names:
            raise UserError(f"{where}: 'domains' is empty", _KEEP_AGAIN)
        classes = mine[names[0]].columns
        found = {}
        for name in names:
            one = mine[name]
            if one.mapping is None and one.rows != one.columns:
                raise UserError(
                    f"{where}: the labels of {name!r} are not the classes that are predicted",
                    "without a map of classes they have to be the same",
                )
            if one.columns != classes:
                raise UserError(
                    f"{where}: the predictions on {name!r} are of other classes than those on "
                    f"{names[0]!r}",
                    "a network predicts one list of classes",
                )
            found[name] = ImageConfusions(one.images, one.counts, one.scored, one.mapping)
        return StoredConfusions(classes, found)

    def ranks(self, row: Row, name: str) -> Matches:
        """Return the ranks in a file of a search.

        Raises:
            UserError: They are missing or damaged.
        """
        where = self._where(row)
        file = f"{self.name}/{row['id']}/{name}"
        if file not in self._searches:
            raise UserError(f"{where}: no ranks {name!r} beside it", _KEEP_AGAIN)
        return ranks_of(self._searches[file], f"{where}: {name}")
