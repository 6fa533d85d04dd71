"""Tries a cell's training before it begins, to find early what `ibn-seg train` would refuse."""

import contextlib
import io
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibn_seg.config import load_config
from ibn_seg.run import setup
from ibn_seg.run.protocol import DEFAULT_PROTOCOL, set_protocol
from ibn_seg.run.runners import build_runner
from ibn_seg.type_names import is_named

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch.utils.data import Dataset

# Parts of a config that no trial looks at.
_NAMES = ("experiment", "experiment_name", "work_dir")
_STAGES = ("test_", "tta_")
_CHOICES = ("share", "share_seed", "seed")
_MIXED_PRECISION = ("type", "loss_scale", "dtype", "use_fp64")


def prepared(config: "Config", folder: str | os.PathLike, protocol: str) -> "Config":
    """Return the config of a cell's training as `ibn-seg train` prepares it.

    Args:
        config: The cell's config; it is not changed.
        folder: The only folder where a trial may write; replaces work dir and `out_dir`.
        protocol: The plan's protocol.

    Raises:
        UserError: The config is wrong.
    """
    cfg = load_config(config)
    hooks = cfg.get("default_hooks")
    hook = hooks.get("checkpoint") if isinstance(hooks, Mapping) else None
    if isinstance(hook, Mapping) and isinstance(hook.get("out_dir"), (str, os.PathLike)):
        hook["out_dir"] = str(folder)
    cfg = setup.prepare(cfg, work_dir=folder, cfg_options=None, launcher="none", quiet=True)
    if protocol != DEFAULT_PROTOCOL:
        set_protocol(cfg, protocol)
    setup.set_training(cfg, seed=None, amp=False)
    return cfg


def compared(cfg: "Config") -> dict[str, Any]:
    """Return what a trial depends on. Trainings that differ in nothing else are tried once."""
    given = cfg.to_dict()
    kept = {name: part for name, part in given.items() if not name.startswith(_STAGES)}
    return _without(kept, (*_NAMES, *_CHOICES))


def try_training(
    cfg: "Config", data_sets: "dict[str, Dataset]", processes: int, here: bool
) -> None:
    """Build all that a training needs and take one step on a synthetic batch; leave no trace.

    Args:
        cfg: The config that `prepared` returned; it is changed.
        data_sets: Data sets of earlier trials, already listed; this trial adds its own.
        processes: Number of processes that the training will use.
        here: Whether the training will run on this machine, with its GPUs.

    Raises:
        UserError: `ibn-seg train` would refuse the config with the same message.
    """
    from ibn_seg.explain.explain import explained
    from ibn_seg.trial.trial_runner import TrialRunner, undisturbed

    _set_start(cfg)
    _set_device(cfg, processes, here)
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        undisturbed(),
        explained(cfg),
    ):
        warnings.simplefilter("ignore")
        runner = build_runner(cfg, TrialRunner)
        try:
            runner.data_sets, runner.processes = data_sets, processes
            runner.train()
        finally:
            runner.close()


def _set_start(cfg: "Config") -> None:
    """Keep a training's start checkpoint only if it is a local file, and never resume."""
    from ibn_seg.plugins.checkpoint_names import resolve

    start = resolve(cfg.load_from) if cfg.get("load_from") else None
    cfg.load_from = start if start and Path(start).is_file() else None
    cfg.resume = False


def _set_device(cfg: "Config", processes: int, here: bool) -> None:
    """Replace SyncBN and mixed precision where one process without a GPU cannot try them."""
    import torch

    if torch.cuda.is_available():
        return
    if processes > 1 or not here:
        setup.replace_sync_bn(cfg.model)
    wrapper = cfg.optim_wrapper
    if is_named(wrapper.get("type"), "AmpOptimWrapper"):
        rest = {name: value for name, value in wrapper.items() if name not in _MIXED_PRECISION}
        cfg.optim_wrapper = {"type": "OptimWrapper", **rest}


def _without(part: Any, names: tuple[str, ...]) -> Any:
    """Return a part of a config without the values of some names, at any depth."""
    if isinstance(part, Mapping):
        return {key: _without(value, names) for key, value in part.items() if key not in names}
    if isinstance(part, (list, tuple)):
        return [_without(item, names) for item in part]
    return part
