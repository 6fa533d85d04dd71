"""What changes the numbers of a cell, and its hash: the cell's id."""

import fnmatch
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import ibn_seg
from ibn_seg.benchmark.plan import Plan
from ibn_seg.benchmark.plan_parts import Analysis
from ibn_seg.errors import UserError

# Parts of a config that change no number of a cell: patterns of dotted keys, `*` is any text.
LEFT_OUT: Mapping[str, str] = {
    "*_root": "where data sets lie",
    "*.cache_dir": "where decoded frames are kept; crops from them are the same",
    "*_dataloader.num_workers": "samples are a function of seed and position",
    "*_dataloader.persistent_workers": "as above",
    "*_dataloader.prefetch_factor": "as above",
    "*_dataloader.pin_memory": "as above",
    "work_dir": "where results are written",
    "default_hooks.checkpoint": "how often checkpoints are written and how many are kept",
    "default_hooks.logger": "how often is logged",
    "default_hooks.timer": "as above",
    "default_hooks.visualization": "drawing happens in tests only",
    "log_level": "as above",
    "log_processor": "as above",
    "visualizer": "as above",
    "vis_backends": "as above",
    "launcher": "what starts processes; their number counts",
    "resume": "a resumed training ends with the same numbers",
    "experiment.method": "what tables call it",
    "experiment.backbone": "as above",
    "experiment.segmentor": "as above",
    "test_*": "a training does not read it",
    "tta_*": "as above",
}
_ID_LENGTH = 12
# Frames that old plans do not have; none of them change nothing.
_OPTIONAL_FRAMES = ("adverse_train", "adverse_val")


def identity_of(config: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """Return what changes the numbers of a config's training, without `LEFT_OUT`."""
    return {
        "ibn_seg": ibn_seg.__version__,
        "threads": plan.threads,
        "processes": plan.processes,
        "protocol": plan.protocol,
        "selection": plan.selection,
        "scenes": _frames(plan),
        "config": counted(config),
    }


def analysis_identity(analysis: Analysis, plan: Plan, training: str) -> dict[str, Any]:
    """Return what changes the numbers of an analysis of a trained network.

    Args:
        analysis: What is measured.
        plan: The plan.
        training: Id of the cell that trains the network.
    """
    return {
        "ibn_seg": ibn_seg.__version__,
        "threads": plan.threads,
        "task": analysis.task,
        "needs": [training],
        "options": dict(analysis.options),
    }


def cell_id(identity: Mapping[str, Any]) -> str:
    """Return the hash of an identity."""
    text = json.dumps(identity, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_LENGTH]


def _frames(plan: Plan) -> dict[str, Any] | None:
    """Return what the plan's scenes are."""
    scenes = asdict(plan.scenes) if plan.scenes else None
    return scenes and {
        key: value for key, value in scenes.items() if value or key not in _OPTIONAL_FRAMES
    }


def counted(value: Any, path: str = "") -> Any:
    """Return a config, or the part of it at a dotted key, as JSON can hold it.

    Args:
        value: The part.
        path: Its key.

    Returns:
        What of it changes numbers: all but `LEFT_OUT`.

    Raises:
        UserError: It holds what JSON cannot.
    """
    if isinstance(value, Mapping):
        below = {str(key): (f"{path}.{key}" if path else str(key)) for key in value}
        return {
            str(key): counted(item, below[str(key)])
            for key, item in value.items()
            if not any(fnmatch.fnmatchcase(below[str(key)], pattern) for pattern in LEFT_OUT)
        }
    if isinstance(value, list | tuple):
        return [counted(item, f"{path}.{index}") for index, item in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    raise UserError(f"config: {path} is {type(value).__name__}", "write plain values in a config")
