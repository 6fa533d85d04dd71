"""Reads results of re-identification plans, and compares the networks with each other."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ibn_seg.errors import UserError, unknown
from ibn_seg.leaderboard.result_folders import ResultFolder, open_folder
from ibn_seg.reid.identity_bootstrap import MEASURES, difference_interval, score_interval
from ibn_seg.reid.ranking import Matches
from ibn_seg.report.runs import order_methods, percent, required
from ibn_seg.statistics import SeedSummary
from ibn_seg.statistics.bootstrap import Interval
from ibn_seg.statistics.summary import summarise

TASK = "reid"
LAST, BEST = "last checkpoint", "checkpoint with the best mAP on the source"
APART = "make one leaderboard of segmentation and one of re-identification"


@dataclass(frozen=True, eq=False)
class SearchRun:
    """A trained network and what it found.

    Attributes:
        method: Its method.
        backbone: Its backbone.
        segmentor: The name of its recipe.
        source: The data sets that it was trained on, joined by '+'.
        seed: Training seed.
        result: The file that its numbers link to.
        command: The command that repeats its run.
        record: The content of that file.
        scores: The measures by data set, percent.
        matches: The ranks of all matches by data set.
        file: The table of kept results; None if the run has a file of its own, `result`.
    """

    method: str
    backbone: str
    segmentor: str
    source: str
    seed: int
    result: Path
    command: str
    record: Mapping[str, Any]
    scores: Mapping[str, Mapping[str, float]]
    matches: Mapping[str, Matches]
    file: Path | None = None

    def score(self, name: str, measure: str) -> float:
        """Return a measure on a data set, percent."""
        return self.scores[name][measure]

    @property
    def selection(self) -> str:
        """The rule that chose its checkpoint: a selection leaves its scores on the source."""
        return BEST if "source_mAP" in self.record else LAST


@dataclass(frozen=True)
class SearchDifference:
    """A row minus another, over the seeds of both.

    Attributes:
        mean: The mean difference, points.
        interval: Its interval over people, and over seeds where there are several.
        seeds: The seeds of both.
    """

    mean: float
    interval: Interval
    seeds: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class SearchRow:
    """The networks of a method on a source, one for each seed.

    Attributes:
        method: The method.
        runs: Its runs by seed.
    """

    method: str
    runs: tuple[SearchRun, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The training seeds."""
        return tuple(run.seed for run in self.runs)

    def scores(self, name: str, measure: str) -> SeedSummary:
        """Return a measure on a data set over seeds, percent."""
        return summarise(run.score(name, measure) for run in self.runs)

    def interval(self, name: str, measure: str) -> Interval:
        """Return the interval of the mean over seeds, percent."""
        return score_interval([run.matches[name] for run in self.runs], measure)

    def difference(self, base: "SearchRow", name: str, measure: str) -> SearchDifference | None:
        """Return the difference to another row over the seeds of both.

        None if no seed is common, or a row was not searched in the data set.
        """
        mine, theirs = ({run.seed: run for run in row.runs} for row in (self, base))
        common = sorted(mine.keys() & theirs.keys())
        pairs = [(theirs[seed], mine[seed]) for seed in common]
        if not pairs or any(name not in run.matches for pair in pairs for run in pair):
            return None
        mean = summarise(new.score(name, measure) - old.score(name, measure) for old, new in pairs)
        olds, news = ([pair[k].matches[name] for pair in pairs] for k in (0, 1))
        interval = difference_interval(olds, news, measure)
        return SearchDifference(mean.mean, interval, tuple(common))


@dataclass(frozen=True, eq=False)
class SearchGroup:
    """The rows of one source, backbone and recipe.

    Attributes:
        backbone: The backbone.
        recipe: The name of the recipe.
        source: The data sets trained on, joined by '+'.
        rows: The methods.
        domains: The data sets searched in, those of the source first.
        upper: By target, the baseline trained on that target itself.
    """

    backbone: str
    recipe: str
    source: str
    rows: tuple[SearchRow, ...]
    domains: tuple[str, ...]
    upper: Mapping[str, SearchRow]

    @property
    def selections(self) -> tuple[str, ...]:
        """The rules that chose the checkpoints."""
        rows = (*self.rows, *self.upper.values())
        return tuple(dict.fromkeys(run.selection for row in rows for run in row.runs))

    @property
    def targets(self) -> tuple[str, ...]:
        """The data sets that training did not see."""
        return tuple(name for name in self.domains if name not in self.source.split("+"))

    def row(self, method: str | None) -> SearchRow | None:
        """Return the row of a method, or None."""
        return next((row for row in self.rows if row.method == method), None)


@dataclass(frozen=True, eq=False)
class SearchBoard:
    """What folders of results hold.

    Attributes:
        runs: The finished cells.
        unfinished: The index's rows of the others.
        heads: The index of each folder without its cells.
        baseline: The method that others are compared with.
    """

    runs: tuple[SearchRun, ...]
    unfinished: tuple[Mapping[str, Any], ...]
    heads: Mapping[Path, Mapping[str, Any]]
    baseline: str

    @cached_property
    def groups(self) -> tuple[SearchGroup, ...]:
        """The runs by backbone, recipe and source."""
        keys = dict.fromkeys((run.backbone, run.segmentor, run.source) for run in self.runs)
        return tuple(self._group(*key) for key in keys)

    def _group(self, backbone: str, recipe: str, source: str) -> SearchGroup:
        alike = [run for run in self.runs if (run.backbone, run.segmentor) == (backbone, recipe)]
        here = [run for run in alike if run.source == source]
        found = dict.fromkeys(name for run in here for name in run.matches)
        home = [name for name in source.split("+") if name in found]
        domains = (*home, *(name for name in found if name not in home))
        upper = {}
        for name in domains[len(home) :]:
            there = [run for run in alike if run.source == name and run.method == self.baseline]
            if there:
                upper[name] = SearchRow(self.baseline, _by_seed(there))
        rows = tuple(
            SearchRow(method, _by_seed([run for run in here if run.method == method]))
            for method in order_methods([run.method for run in here])
        )
        return SearchGroup(backbone, recipe, source, rows, domains, upper)


def holds_searches(folders: Sequence[str | os.PathLike]) -> bool:
    """Tell whether the first folder that is a benchmark's holds re-identification."""
    for folder in map(Path, folders):
        if (opened := open_folder(folder)) is not None:
            return any(map(is_search, opened.rows))
    return False


def read_searches(
    folders: Sequence[str | os.PathLike], baseline: str | None, usual: str
) -> SearchBoard:
    """Read folders of plans of re-identification.

    Args:
        folders: Folders of `ibn-seg benchmark`, or kept copies of them. A cell in two folders
            counts once.
        baseline: The method to compare others with, or None.
        usual: The baseline without one; the first method of a plan if no network has it.

    Raises:
        UserError: A folder holds something else, a file is damaged, or no cell is done. Or two
            networks were searched with in different pictures of one data set.
    """
    runs: dict[str, SearchRun] = {}
    unfinished: dict[str, Mapping[str, Any]] = {}
    heads = {}
    for folder in map(Path, folders):
        opened = open_folder(folder)
        if opened is None or not all(map(is_search, opened.rows)):
            raise UserError(
                f"{folder}: holds other results than re-identification, unlike the first folder",
                APART,
            )
        heads[folder] = opened.head
        for row in opened.rows:
            where = f"{opened.index}, a cell"
            cell = required(row, "id", str, where)
            if required(row, "state", str, where) == "done":
                runs.setdefault(cell, _run(folder, opened, row, f"{opened.index}, cell {cell}"))
            else:
                unfinished.setdefault(cell, {**row, "folder": folder})
    if not runs:
        raise UserError(
            f"{', '.join(map(str, heads))}: none of {len(unfinished)} cells is done",
            "run `ibn-seg benchmark` until at least one is",
        )
    _check_pictures(runs.values())
    methods = order_methods([run.method for run in runs.values()])
    if baseline is not None and baseline not in methods:
        raise unknown("baseline", baseline, methods)
    planned = (head.get("baseline") for head in heads.values())
    usual = next((one for one in (usual, *planned) if one in methods), methods[0])
    left = tuple(row for key, row in unfinished.items() if key not in runs)
    return SearchBoard(tuple(runs.values()), left, heads, baseline or usual)


def is_search(row: Any) -> bool:
    """Tell whether a row of an index, not checked yet, is a cell of re-identification."""
    return isinstance(row, Mapping) and row.get("task") == TASK


def _run(folder: Path, opened: ResultFolder, row: Mapping[str, Any], where: str) -> SearchRun:
    """Return a finished cell with its ranks."""
    path = folder / required(row, "result", str, where)
    record = opened.record(row)
    searches = required(record, "searches", Mapping, str(path))
    matches = {
        name: opened.ranks(row, required(found, "ranks", str, str(path)))
        for name, found in searches.items()
    }
    scores = {name: _measures(found, f"{path}, {name}") for name, found in searches.items()}
    texts = {name: required(row, name, str, where)
             for name in ("method", "backbone", "segmentor", "source", "command")}  # fmt: skip
    return SearchRun(
        **texts, seed=required(row, "seed", int, where), result=path, record=record,
        scores=scores, matches=matches, file=opened.file,
    )  # fmt: skip


def _check_pictures(runs: Iterable[SearchRun]) -> None:
    """Raise if networks were searched with in different pictures, such as those of another seed."""
    first: dict[str, SearchRun] = {}
    for run in runs:
        for name, mine in run.matches.items():
            other = first.setdefault(name, run)
            theirs = other.matches[name]
            same = all(
                np.array_equal(getattr(mine, key), getattr(theirs, key))
                for key in ("query_ids", "query_cameras", "counts", "gallery")
            )
            if not same:
                raise UserError(
                    f"{run.result} and {other.result} are of different pictures of {name!r}",
                    "compare networks that were searched with in the same pictures",
                )


def _measures(found: Any, where: str) -> dict[str, float]:
    """Return the measures of a search in a result, percent."""
    given = required(required(found, "scores", Mapping, where), "measures", Mapping, where)
    return {
        name: percent(required(given, name, Mapping, where), "value", f"{where}, {name}")
        for name in MEASURES
    }


def _by_seed(runs: Sequence[SearchRun]) -> tuple[SearchRun, ...]:
    """Return runs by seed.

    Raises:
        UserError: Two have the same seed.
    """
    found: dict[int, SearchRun] = {}
    for run in sorted(runs, key=lambda one: one.seed):
        twin = found.setdefault(run.seed, run)
        if twin is not run:
            raise UserError(
                f"{twin.result} and {run.result} are both of {run.method!r}, trained on "
                f"{run.source} with seed {run.seed}",
                "leave one folder out",
            )
    return tuple(found.values())
