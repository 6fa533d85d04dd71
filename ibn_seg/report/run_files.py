"""Finds the results of trainings and evaluations in work dirs, or takes their files."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ibn_seg.errors import UserError, unknown
from ibn_seg.io import read_json

# The result of each kind of run, that with curves first.
RESULT_FILES = {"train": "result.json", "test": "test.json"}
_INDEX = "benchmark.json"
_BENCHMARKS = (_INDEX, "kept.json")
_RUNS = "work dirs or result files of `ibn-seg train`, `test` or `evaluate`"


@dataclass(frozen=True)
class RunFile:
    """The result of a run.

    Args:
        path: Its file.
        content: Its content, with what the report needs.
    """

    path: Path
    content: dict[str, Any]


def read_run_files(
    runs: Sequence[str | os.PathLike], source: str | None = None
) -> tuple[RunFile, ...]:
    """Return the results of runs.

    Args:
        runs: Work dirs of trainings, tests or evaluations, or their result files.
        source: The training domain, or several joined by '+', of runs that do not state it.

    Raises:
        UserError: A run has no result, or its result is damaged or incomplete.
    """
    if not runs:
        raise UserError("no runs given", f"name {_RUNS}")
    found = [RunFile(path, _read(path, source)) for path in map(result_file, runs)]
    counts = Counter(one.content["name"] for one in found)
    for one in found:
        # Folders of `ibn-seg evaluate` all have one name; messages need to tell them apart.
        if counts[one.content["name"]] > 1:
            one.content["name"] = str(one.path.parent)
    return tuple(found)


def plan_methods(files: Sequence[RunFile]) -> tuple[str, ...]:
    """Return all methods of the benchmarks that have some of the runs as cells.

    Raises:
        UserError: The index of a benchmark is damaged.
    """
    # The result of a cell is RESULTS/cells/ID/result.json, and the index is RESULTS/benchmark.json.
    indices = dict.fromkeys(one.path.resolve().parent.parent.parent / _INDEX for one in files)
    found = [read_json(index) for index in indices if index.is_file()]
    cells = [row for index in found if isinstance(index, Mapping) for row in index.get("cells", ())]
    named = [row.get("method") for row in cells if isinstance(row, Mapping)]
    return tuple(dict.fromkeys(name for name in named if isinstance(name, str)))


def result_file(run: str | os.PathLike) -> Path:
    """Return the result file of a run.

    Raises:
        UserError: There is none.
    """
    run = Path(run)
    if run.is_file():
        return run
    if not run.is_dir():
        raise UserError(f"{run}: no such file or folder", f"name {_RUNS}")
    for name in RESULT_FILES.values():
        if (run / name).is_file():
            return run / name
    if any((run / name).is_file() for name in _BENCHMARKS):
        raise UserError(f"{run}: the results of a benchmark", "use `ibn-seg leaderboard`")
    if (run / "last_checkpoint").is_file():
        raise UserError(
            f"{run}: its training has not finished, so there is no {RESULT_FILES['train']}",
            "go on with `ibn-seg train CONFIG --resume`",
        )
    listed = " nor ".join(RESULT_FILES.values())
    raise UserError(f"{run}: has neither {listed}", f"name {_RUNS}")


def _read(file: Path, source: str | None) -> dict[str, Any]:
    """Return the content of a result file, with what the report needs.

    Raises:
        UserError: It is not the result of a training or test, or lacks its curves or source.
    """
    content = read_json(file)
    if not isinstance(content, Mapping) or not isinstance(content.get("name"), str):
        raise UserError(f"{file}: not a result", f"name {_RUNS}")
    kind = content.get("kind")
    if kind not in RESULT_FILES:
        raise unknown(f"kind of result in {file}:", str(kind), RESULT_FILES)
    if kind == "train" and not content.get("curves"):
        raise UserError(f"{file}: a training without curves", "train again, or name its test.json")
    if not content.get("domains"):
        raise UserError(
            f"{file}: has no scores by domain, because another metric made them, or none",
            "score its checkpoint by `ibn-seg evaluate`, or let MultiDomainIoU be its evaluator",
        )
    stated = content.get("source")
    if stated and source not in (None, stated):
        raise UserError(
            f"--source {source}: {file} says that the network was trained on {stated}",
            "leave --source out",
        )
    given = stated or source
    if given is None:
        raise UserError(
            f"{file}: does not say on which domain the network was trained", "give --source NAME"
        )
    return {**content, "source": given, "method": content.get("method") or content["name"]}
