"""Makes the index of a results folder, scores under the plan's rule, and estimates."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ibn_seg.benchmark.plan import Plan
from ibn_seg.benchmark.planned_cell import SEARCHING, TRAINED, TRAINING, Cell
from ibn_seg.benchmark.search_cells import search_scores
from ibn_seg.benchmark.selection import LAST, selected, selected_checkpoint
from ibn_seg.benchmark.store import CELL, FAILED, SCHEMA, TEST, Store
from ibn_seg.io import write_json
from ibn_seg.provenance import record
from ibn_seg.run.result_file import result_name

INDEX = "benchmark.json"


def rows(plan: Plan, cells: Sequence[Cell], store: Store) -> list[dict[str, Any]]:
    """Return the index's entry for each cell."""
    states, by_id = store.states(cells), {cell.id: cell for cell in cells}
    found = []
    for cell in cells:
        row: dict[str, Any] = {**cell.facts(), "state": states[cell.id]}
        if row["state"] == "done":
            training = cell if cell.task in TRAINED else by_id[cell.needs[0]]
            if training.task == TRAINING and states[training.id] == "done":
                row |= _trained(plan, training, store)
            row |= _measured(plan, cell, store)
        elif row["state"] == "failed":
            row["error"] = store.failures(cell)[-1]["error"]
            row["failed"] = f"cells/{cell.id}/{FAILED}"
        found.append(row)
    return found


def _trained(plan: Plan, training: Cell, store: Store) -> dict[str, Any]:
    """Return the index's entries on a cell's network, as the plan selects it."""
    result = store.result(training)
    iteration, scores = selected(result, plan.selection)
    checkpoint = selected_checkpoint(store.work_dir(training), result, plan.selection)
    return {
        "iteration": iteration, "mIoU": scores,
        "checkpoint": checkpoint and f"cells/{training.id}/{checkpoint.name}",
    }  # fmt: skip


def _measured(plan: Plan, cell: Cell, store: Store) -> dict[str, Any]:
    """Return the index's entries on the measurements of a finished cell."""
    result, folder = store.result(cell), f"cells/{cell.id}"
    row = {
        "wall_time_s": result["wall_time_s"],
        "result": f"{folder}/{result_name(cell.task)}", "cell": f"{folder}/{CELL}",
        "config": f"configs/{cell.id}.py", "command": result["command"],
    }  # fmt: skip
    if cell.task == SEARCHING:
        return {**row, "searches": search_scores(result)}
    if cell.task != TRAINING:
        clean = {name: one["mIoU"] for name, one in (result.get("domains") or {}).items()}
        return {**row, "mIoU": clean}
    name = result["confusions"]
    if plan.selection != LAST:
        tested = store.test(cell)
        name = tested["confusions"]
        row |= {
            "test": f"{folder}/{TEST}",
            "mIoU": {domain: one["mIoU"] for domain, one in tested["domains"].items()},
            "wall_time_s": result["wall_time_s"] + tested["wall_time_s"],
            "command": f"{result['command']} && {tested['command']}",
        }  # fmt: skip
    return {**row, "confusions": name and f"{folder}/{name}"}


def write_index(plan: Plan, cells: Sequence[Cell], store: Store) -> list[dict[str, Any]]:
    """Write `RESULTS/benchmark.json` and return its rows; its paths are relative to it."""
    found = rows(plan, cells, store)
    head = {
        "schema": SCHEMA, "name": plan.name, "plan": plan.address,
        "plan_text": plan.file.read_text(encoding="utf-8"), "protocol": plan.protocol,
        "selection": plan.rule, "intervals": plan.intervals, "baseline": plan.baseline,
        "threads": plan.threads, "processes": plan.processes,
        **record(),
    }  # fmt: skip
    write_json(store.folder / INDEX, {**head, "cells": found})
    return found


@dataclass(frozen=True)
class Estimate:
    """The estimated cost of the unfinished cells, from finished cells of the same kind.

    Attributes:
        seconds: Time of one worker, without the tests of best checkpoints.
        size: Bytes of checkpoints and records.
        unknown: Number of cells without a finished cell of their kind, which `seconds` and `size`
            leave out.
    """

    seconds: float
    size: int
    unknown: int


def estimate(cells: Sequence[Cell], store: Store) -> Estimate:
    """Estimate the cost of unfinished cells from finished cells of the same kind."""
    seconds: dict[tuple, list[float]] = {}
    sizes: dict[tuple, list[int]] = {}
    left = []
    for cell in cells:
        if store.state(cell) != "done":
            left.append(cell)
            continue
        seconds.setdefault(cell.kind, []).append(store.result(cell)["wall_time_s"])
        files = [path for path in store.work_dir(cell).rglob("*") if path.is_file()]
        sizes.setdefault(cell.kind, []).append(sum(path.stat().st_size for path in files))
    known = [cell for cell in left if cell.kind in seconds]
    return Estimate(
        sum(statistics.fmean(seconds[cell.kind]) for cell in known),
        round(sum(statistics.fmean(sizes[cell.kind]) for cell in known)),
        len(left) - len(known),
    )
