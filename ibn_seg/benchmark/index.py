"""What a results folder holds: scores by cell under the plan's rule, the index, estimates."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ibn_seg.benchmark.cells import Cell
from ibn_seg.benchmark.plan import Plan
from ibn_seg.benchmark.store import CELL, FAILED, RESULT, SCHEMA, Store
from ibn_seg.io import write_json
from ibn_seg.provenance import record, source_domains

INDEX = "benchmark.json"


def selected(result: Mapping[str, Any], rule: str) -> tuple[int, dict[str, float]]:
    """Return the iteration that a rule selects, and the mIoU of each domain there, percent.

    Args:
        result: The content of a training's `result.json`.
        rule: 'last', or 'best-on-source-validation': the validation with the highest mIoU on the
            source, the first of equals. No target has a say in either.
    """
    last = {name: scores["mIoU"] for name, scores in result["domains"].items()}
    if rule == "last":
        return result["iterations"], last
    sources = [f"{name}/mIoU" for name in source_domains(result["source"])]
    best = max(result["curves"]["val"], key=lambda v: statistics.fmean(v[key] for key in sources))
    return best["iter"], {name: best[f"{name}/mIoU"] for name in last}


def rows(plan: Plan, cells: Sequence[Cell], store: Store) -> list[dict[str, Any]]:
    """Return what the index says about each cell."""
    found = []
    for cell in cells:
        state, folder = store.state(cell), f"cells/{cell.id}"
        row: dict[str, Any] = {**cell.facts(), "state": state}
        if state == "done":
            result = store.result(cell)
            row["iteration"], row["mIoU"] = selected(result, plan.selection)
            row["wall_time_s"] = result["wall_time_s"]
            row |= {"result": f"{folder}/{RESULT}", "cell": f"{folder}/{CELL}"}
        elif state == "failed":
            row["error"] = store.failures(cell)[-1]["error"]
            row["failed"] = f"{folder}/{FAILED}"
        found.append(row)
    return found


def write_index(plan: Plan, cells: Sequence[Cell], store: Store) -> list[dict[str, Any]]:
    """Write `RESULTS/benchmark.json` and return its rows; paths in it are relative to it."""
    found = rows(plan, cells, store)
    head = {
        "schema": SCHEMA, "name": plan.name, "plan": str(plan.file), "protocol": plan.protocol,
        "selection": plan.selection, "threads": plan.threads, "processes": plan.processes,
        **record(),
    }  # fmt: skip
    write_json(store.folder / INDEX, {**head, "cells": found})
    return found


def estimate(cells: Sequence[Cell], store: Store) -> tuple[float | None, int | None]:
    """Estimate what the cells that are not done need, from finished ones of the same kind.

    Returns:
        Seconds of one worker, and bytes of checkpoints and records; None where a kind of cell has
        not been run yet.
    """
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
    if any(cell.kind not in seconds for cell in left):
        return None, None
    return (
        sum(statistics.fmean(seconds[cell.kind]) for cell in left),
        round(sum(statistics.fmean(sizes[cell.kind]) for cell in left)),
    )
