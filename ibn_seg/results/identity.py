"""Find the parts of a config that change numbers, and hash them."""

import fnmatch
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ibn_seg.errors import UserError

# Config settings that change no number of a cell: patterns of dotted keys, `*` is any text.
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
    "experiment.pretraining": "as above",
    "test_*": "a training does not read it",
    "tta_*": "as above",
}
_ID_LENGTH = 12


def counted(value: Any, path: str = "") -> Any:
    """Return a config, or the part of it at a dotted key, in a form that JSON can hold.

    Args:
        value: The part.
        path: Its key.

    Returns:
        The parts that change numbers: all except `LEFT_OUT`.

    Raises:
        UserError: It holds values that JSON cannot hold.
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


def cell_id(identity: Mapping[str, Any]) -> str:
    """Return the hash of an identity."""
    text = json.dumps(identity, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_LENGTH]
