"""Reads the rules of a plan: protocol, processes, budget, selection, intervals and scenes."""

from collections.abc import Callable, Mapping
from typing import Any

from ibn_seg.benchmark.plan_parts import Budget, Scenes
from ibn_seg.evaluation.protocols import PROTOCOLS
from ibn_seg.scenes.variation import KINDS
from ibn_seg.statistics import INTERVALS
from ibn_seg.yaml_values import Reader

RULES = (
    "protocol", "threads", "processes", "gpus", "budget", "selection", "intervals", "scenes",
)  # fmt: skip
SELECTIONS = ("last", "best-on-source-validation")


def read_rules(read: Reader, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checked fields of a plan that it gives beside the matrix."""
    readers: dict[str, Callable[[Any], Any]] = {
        "protocol": lambda value: read.choice(value, "protocol", "protocol", PROTOCOLS),
        "threads": lambda value: read.whole(value, "threads", 1),
        "processes": lambda value: read.whole(value, "processes", 1),
        "gpus": lambda value: _gpus(read, value, given.get("processes", 1)),
        "budget": lambda value: _budget(read, value),
        "selection": lambda value: read.choice(value, "selection", "rule", SELECTIONS),
        "intervals": lambda value: read.choice(value, "intervals", "kind of intervals", INTERVALS),
        "scenes": lambda value: _scenes(read, value),
    }
    return {key: readers[key](given[key]) for key in readers if key in given}


def _gpus(read: Reader, value: Any, processes: int) -> float:
    """Return the GPUs of a cell: none, a share of one for one process, or one for each process."""
    if value == 0:
        return 0.0
    gpus = read.number(value, "gpus")
    if gpus > 1 and gpus != int(gpus):
        read.fail("gpus", f"is {value}", "give a whole number, or a share of one such as 0.5")
    if processes > 1 and gpus < processes:
        read.fail("gpus", f"is {value} for {processes} processes", "each needs a GPU of its own")
    return gpus


def _budget(read: Reader, value: Any) -> Budget:
    given = read.mapping(value, "budget", ("hours", "cells"))
    hours = read.number(given["hours"], "budget.hours") if "hours" in given else None
    cells = read.whole(given["cells"], "budget.cells", 1) if "cells" in given else None
    return Budget(hours, cells)


def _scenes(read: Reader, value: Any) -> Scenes:
    counts = {
        "source": 1, "target_train": 0, "target_val": 0, "adverse_train": 0, "adverse_val": 0,
        "varied": 0, "oddities": 0, "seed": 0,
    }  # fmt: skip
    given = read.mapping(value, "scenes", (*counts, "varied_without", "size"))
    for key in ("source", "target_train", "target_val"):
        if key not in given:
            read.fail(f"scenes.{key}", "is missing", "give a number of frames")
    fields: dict[str, Any] = {
        key: read.whole(given[key], f"scenes.{key}", counts[key]) for key in counts if key in given
    }
    if "varied_without" in given:
        kinds = read.unique(given["varied_without"], "scenes.varied_without", "[weather, optics]")
        for at, kind in enumerate(kinds):
            read.choice(kind, f"scenes.varied_without.{at}", "kind of variation", KINDS)
        fields["varied_without"] = tuple(kinds)
    if "size" in given:
        fields["size"] = read.size(given["size"], "scenes.size")
    return Scenes(**fields)
