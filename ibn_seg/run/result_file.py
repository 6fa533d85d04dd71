"""Writes and reads the record of a run, which every task leaves in its folder."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibn_seg.io import read_json, write_json
from ibn_seg.provenance import record

if TYPE_CHECKING:
    from ibn_seg.engine import RunRecordHook, StrictRunner

SCHEMA = 1
# mmengine's file in a work dir that names the newest checkpoint.
LAST_CHECKPOINT = "last_checkpoint"


def result_name(kind: str) -> str:
    """Return the name of the result file of 'train', 'reid' (which trains), 'test' or an analysis.

    A test never overwrites the record of a training in the same folder.
    """
    return "result.json" if kind in ("train", "reid") else f"{kind}.json"


def read_result(work_dir: str | os.PathLike, kind: str = "train") -> dict | None:
    """Return the record of a finished run, or None if it has not finished."""
    path = Path(work_dir) / result_name(kind)
    return read_json(path) if path.is_file() else None


def recorder(runner: "StrictRunner") -> "RunRecordHook":
    """Return the hook that keeps a run's measurements."""
    from ibn_seg.engine import RunRecordHook

    return next(hook for hook in runner.hooks if isinstance(hook, RunRecordHook))


def validated(runner: "StrictRunner") -> bool:
    """Tell whether the last validation saw the last weights; every rank gets the same answer."""
    from mmengine.dist import broadcast_object_list, is_main_process

    # Only the first rank has the results by domain and knows that their file exists.
    known = [is_main_process() and recorder(runner).validated(runner)]
    broadcast_object_list(known)
    return known[0]


def last_checkpoint(work_dir: str | os.PathLike) -> str | None:
    """Return the newest checkpoint that a work dir records, even if the work dir has moved."""
    note = Path(work_dir) / LAST_CHECKPOINT
    if not note.is_file():
        return None
    named = note.read_text(encoding="utf-8").strip()
    here = Path(work_dir) / Path(named).name
    return str(here) if not Path(named).is_file() and here.is_file() else named


def finish(
    runner: "StrictRunner",
    kind: str,
    measured: Callable[[], dict[str, Any]],
    *,
    command: str | None,
    checkpoint: str | None,
) -> dict[str, Any]:
    """Assemble the record of a run, write it, and return it on every rank.

    Args:
        runner: The runner, after its run.
        kind: 'train', 'test' or the name of an analysis.
        measured: Returns the task's own entries; called on the first rank.
        command: The command line.
        checkpoint: The file of the weights.
    """
    from mmengine.dist import broadcast_object_list, is_main_process

    shared: list[dict | None] = [None]
    if is_main_process():
        # First, so that the run's time and memory are also those of its measurements.
        own = measured()
        shared = [{**_run_facts(runner, kind, command, checkpoint), **own}]
        write_json(Path(runner.work_dir) / result_name(kind), shared[0])
    broadcast_object_list(shared)
    return shared[0]


def _run_facts(
    runner: "StrictRunner", kind: str, command: str | None, checkpoint: str | None
) -> dict[str, Any]:
    """Return a run's identity, how to repeat it, and its cost."""
    import torch
    from mmengine.device import get_device

    from ibn_seg.engine.record import curves

    cfg, run = runner.cfg, recorder(runner)
    facts = {
        "schema": SCHEMA,
        "kind": kind,
        "name": Path(runner.work_dir).name,
        "seed": runner.seed,
        "threads": torch.get_num_threads(),
        "processes": runner.world_size,
        "device": str(get_device()),
        "command": command,
        "config": cfg.pretty_text,
        "config_file": str(cfg.filename) if cfg.filename else None,
        "checkpoint": checkpoint,
        **record(),
        "wall_time_s": run.wall_time_s,
        "peak_memory_mib": run.peak_memory_mib,
    }
    if kind == "train":
        facts["iterations"] = runner.iter
        facts["resumed_at"] = run.resumed_at
        if run.resumed_with:
            facts["resumed_with"] = run.resumed_with
        facts["curves"] = curves(runner, run.validations)
    return facts
