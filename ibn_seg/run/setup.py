"""Prepares a config for every task before a Runner is built from it."""

import contextlib
import itertools
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibn_seg.config import scope_of
from ibn_seg.config_values import check_writable_values, quoted_number, quoted_numbers
from ibn_seg.datasets.quiet_mmseg import load_mmseg
from ibn_seg.errors import UserError, unknown
from ibn_seg.io import load_checkpoint, write_error
from ibn_seg.pretraining import pretraining_of
from ibn_seg.run.config_loading import load_named
from ibn_seg.run.config_parts import (
    check_checkpoint_hook,
    check_loop_parts,
    check_loss_names,
    check_model,
    check_numbers,
    check_optimizer,
    check_shape,
    check_whole_splits,
)
from ibn_seg.run.gpu_settings import (
    Precision,
    set_gpu_defaults,
    set_testing_precision,
    set_training_precision,
)
from ibn_seg.run.loggers import set_loggers
from ibn_seg.run.preprocessing import check_preprocessor, check_segmentor
from ibn_seg.type_names import is_named

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn

DEFAULT_SEED = 0
_SEEDS = 2**32  # the limit of NumPy's generator
SCENES_VARIABLE = "IBN_SEG_SCENES"
LAUNCHERS = ("none", "pytorch", "slurm", "mpi")
_SYNC_BN = ("SyncBN", "MMSyncBN", "SyncBatchNorm")
_run_numbers = itertools.count()


def register() -> None:
    """Register backbones, data sets, transforms, metric and engine with mmengine and mmseg."""
    load_mmseg()
    import ibn_seg.plugins.mmseg  # noqa: F401


@contextlib.contextmanager
def scenes_at(scenes: str | os.PathLike) -> Iterator[None]:
    """Point configs on embedded scenes to the rendered scenes while they are loaded."""
    before = os.environ.get(SCENES_VARIABLE)
    os.environ[SCENES_VARIABLE] = str(scenes)
    try:
        yield
    finally:
        if before is None:
            del os.environ[SCENES_VARIABLE]
        else:
            os.environ[SCENES_VARIABLE] = before


def prepare(
    config: "str | os.PathLike | Config",
    *,
    work_dir: str | os.PathLike | None,
    cfg_options: Mapping[str, Any] | None,
    launcher: str,
    quiet: bool,
    default_folder: str = "",
    log: Sequence[str] = (),
) -> "Config":
    """Load a config and set what a run needs: work dir, launcher, names, our hooks.

    Args:
        config: A path, an `ibn_seg::` name, or a config, which is copied.
        work_dir: The folder of the run. Default: the config's, else `work_dirs/CONFIG_NAME`, with
            `default_folder`.
        cfg_options: Values by dotted key.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.
        quiet: Keep mmengine's log lines off the console.
        default_folder: A folder appended to the default work dir.
        log: Where curves go: names of `ibn_seg.run.loggers.LOGGERS`.

    Raises:
        UserError: The config, the launcher or a logger is wrong. Or torchrun started the process,
            and `launcher` is 'none'.
        EnvError: The work dir cannot be written, or a logger's package is missing.
    """
    from ibn_seg.engine.distributed import check_launched

    if launcher not in LAUNCHERS:
        raise unknown("launcher", launcher, LAUNCHERS)
    check_launched(launcher)
    cfg = load_named(config, cfg_options)
    check_shape(cfg)
    stem = Path(cfg.filename).stem if cfg.filename else "run"
    default = Path(cfg.get("work_dir") or Path("work_dirs") / stem) / default_folder
    cfg.work_dir = str(Path(work_dir) if work_dir is not None else default)
    cfg.launcher = launcher
    cfg.quiet = quiet
    cfg.default_scope = scope_of(cfg)
    # mmengine finds loggers, message hubs and visualizers by name: each run needs its own.
    cfg.experiment_name = f"{Path(cfg.work_dir).name}_{os.getpid()}_{next(_run_numbers)}"
    if cfg.get("visualizer"):
        cfg.visualizer.pop("name", None)
    set_loggers(cfg, log, cfg_options)
    check_whole_splits(cfg)
    check_writable_values(cfg)
    check_writable(cfg.work_dir)
    return cfg


def prepare_built(
    config: Mapping[str, Any],
    default_folder: Path,
    *,
    work_dir: str | os.PathLike | None,
    launcher: str,
    quiet: bool,
) -> "Config":
    """Return mmengine's config of a run whose config is built in code, as `prepare` returns it.

    Args:
        config: The config.
        default_folder: The default work dir.
        work_dir: The folder of the run.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.
        quiet: Show progress bars in place of mmengine's log lines.
    """
    from mmengine.config import Config

    cfg = prepare(
        Config({**config, "work_dir": str(default_folder)}),
        work_dir=work_dir,
        cfg_options=None,
        launcher=launcher,
        quiet=quiet,
    )
    if not quiet:
        cfg.custom_hooks = [hook for hook in cfg.custom_hooks if hook["type"] != "ProgressHook"]
    return cfg


def check_writable(folder: str | os.PathLike) -> None:
    """Make a folder and check that files can be written to it.

    Raises:
        EnvError: They cannot be written.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise write_error(folder, error) from error


def add_hooks(cfg: "Config", *hooks: Mapping[str, Any]) -> None:
    """Add hooks to a config, each type once.

    Raises:
        UserError: The config's `custom_hooks` are not dicts.
    """
    present = list(cfg.get("custom_hooks") or [])
    if not all(isinstance(hook, Mapping) for hook in present):
        raise UserError(f"custom_hooks={present} are not dicts", "write dict(type='...') for each")
    given = [hook.get("type") for hook in present]
    missing = [hook for hook in hooks if not any(is_named(kind, hook["type"]) for kind in given)]
    cfg.custom_hooks = present + [dict(hook) for hook in missing]


def set_training(
    cfg: "Config", *, seed: int | None, amp: Precision, compiled: bool = False
) -> None:
    """Set the seed and what makes steps fast, and make the checkpoints safe and resumable.

    Raises:
        UserError: The config has no training part, has a setting without effect, or its optimiser
            wrapper cannot do `amp`.
        EnvError: `amp` without a GPU that can do it.
    """
    from ibn_seg.engine.paramwise import check_paramwise

    for key in ("model", "train_dataloader", "train_cfg", "optim_wrapper"):
        if not cfg.get(key):
            raise UserError(f"{cfg.filename or 'config'}: {key} is missing", "training needs it")
    check_preprocessor(cfg)
    check_loop_parts(cfg)
    check_numbers(cfg)
    check_optimizer(cfg)
    check_paramwise(cfg.optim_wrapper)
    check_loss_names(cfg.model)
    set_seed(cfg, seed)
    set_training_precision(cfg, amp)
    set_gpu_defaults(cfg)
    if compiled and not cfg.get("compile"):
        cfg.compile = True
    hooks = dict(cfg.get("default_hooks") or {})
    # Drawing is for tests. In training, the hook only warns that it does nothing.
    hooks.pop("visualization", None)
    checkpoint = dict(hooks.get("checkpoint") or {"by_epoch": False, "interval": 1000})
    if is_named(checkpoint.get("type", "CheckpointHook"), "CheckpointHook"):
        checkpoint["type"] = "AtomicCheckpointHook"
    check_checkpoint_hook(checkpoint)
    if checkpoint.get("out_dir"):
        check_writable(Path(checkpoint["out_dir"]) / Path(cfg.work_dir).name)
    hooks["checkpoint"] = checkpoint
    cfg.default_hooks = hooks
    add_hooks(
        cfg, {"type": "RandomStateHook"}, {"type": "RunRecordHook"}, {"type": "LabelsOnlyHook"}
    )


def set_seed(cfg: "Config", seed: int | None = None) -> None:
    """Set the seed of a config: the given one, else the config's, else `DEFAULT_SEED`.

    Raises:
        UserError: It is not a whole number from 0 to 2**32 - 1.
    """
    randomness = dict(cfg.get("randomness") or {})
    randomness["seed"] = seed if seed is not None else randomness.get("seed")
    if randomness["seed"] is None:
        randomness["seed"] = DEFAULT_SEED
    for key, text in quoted_numbers(randomness["seed"], "randomness.seed"):
        raise quoted_number(key, text)
    if not isinstance(randomness["seed"], int) or not 0 <= randomness["seed"] < _SEEDS:
        raise UserError(f"seed = {randomness['seed']!r}", "give a whole number from 0 to 2**32 - 1")
    cfg.randomness = randomness


def set_progress(cfg: "Config") -> None:
    """Show progress instead of mmengine's lines if the config asks for quiet."""
    if cfg.quiet:
        label = (cfg.get("experiment") or {}).get("method") or ""
        add_hooks(cfg, {"type": "ProgressHook", "label": label})


def for_testing(cfg: "Config", seed: int | None = None) -> None:
    """Remove a config's training part, and everything that would load other weights.

    `experiment.pretraining` then states what the network began from, for its result.

    Args:
        cfg: The config, changed in place.
        seed: The seed that the weights were trained with; default the config's.

    Raises:
        UserError: The config has no test part.
    """
    for key in ("model", "test_dataloader", "test_evaluator"):
        if not cfg.get(key):
            raise UserError(f"{cfg.filename or 'config'}: {key} is missing", "testing needs it")
    check_preprocessor(cfg)
    began = pretraining_of(cfg)
    for key in ("train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler"):
        cfg.pop(key, None)
    for key in ("val_dataloader", "val_cfg", "val_evaluator"):
        cfg.pop(key, None)
    cfg.test_cfg = cfg.get("test_cfg") or {"type": "TestLoop"}
    # As in training. Results are grouped by seed, so a random seed would match no group.
    set_seed(cfg, seed)
    set_gpu_defaults(cfg)
    cfg.load_from, cfg.resume = None, False
    # Each process tests the whole network.
    cfg.pop("model_wrapper_cfg", None)
    hooks = dict(cfg.get("default_hooks") or {})
    for name in ("checkpoint", "param_scheduler", "visualization"):
        hooks.pop(name, None)
    # mmengine adds these two again unless they are set to None.
    cfg.default_hooks = {**hooks, "checkpoint": None, "param_scheduler": None}
    without_pretraining(cfg.model)
    if pretraining_of(cfg) != began:
        cfg.experiment = {**(cfg.get("experiment") or {}), "pretraining": began}
    add_hooks(cfg, {"type": "RunRecordHook"})


def speed_up_testing(cfg: "Config", amp: Precision = False) -> None:
    """Let a segmentor return labels alone in tests if nothing needs logits.

    Args:
        cfg: A config for testing, changed in place.
        amp: Test in mixed precision.

    Raises:
        EnvError: `amp` without a GPU that can do it.
    """
    set_testing_precision(cfg, amp)
    add_hooks(cfg, {"type": "LabelsOnlyHook"})


def without_pretraining(model: Any) -> None:
    """Remove initial weights from a model's config, because a checkpoint follows."""
    model["pretrained"] = None
    for part in model.values():
        if isinstance(part, dict) and "init_cfg" in part:
            part["init_cfg"] = None


def trained_network(
    config: "str | os.PathLike | Config",
    checkpoint: str | os.PathLike,
    cfg_options: Mapping[str, Any] | None = None,
    fuse: bool = False,
    reads: Sequence[str] = (),
) -> "tuple[nn.Module, Config, Mapping]":
    """Build the network of a config in one process and fill it with a checkpoint.

    Args:
        config: A path, an `ibn_seg::` name, or a config, which is not changed.
        checkpoint: A .pth file; every weight must fit.
        cfg_options: Values that override the config's, by dotted key.
        fuse: Fold its norms into convolutions (`ibn_seg.fuse`).
        reads: As for `load_named`.

    Returns:
        The network in eval mode on the CPU, its config, and the checkpoint's content.

    Raises:
        UserError: The config or the checkpoint is wrong.
    """
    weights = load_checkpoint(checkpoint)
    register()
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    from ibn_seg.engine.fit import load_strictly
    from ibn_seg.explain.explain import explained

    cfg = load_named(config, cfg_options, reads)
    init_default_scope(scope_of(cfg))
    if not cfg.get("model"):
        raise UserError(f"{cfg.filename or 'config'}: model is missing")
    check_model(cfg)
    without_pretraining(cfg.model)
    cfg.model.train_cfg = None
    replace_sync_bn(cfg.model)
    check_preprocessor(cfg)
    with explained(cfg):
        model = MODELS.build(cfg.model)
    check_segmentor(model, cfg)
    load_strictly(model, weights, checkpoint)
    if fuse:
        fuse_network(model)
    return model.eval(), cfg, weights


def fuse_network(network: "nn.Module") -> None:
    """Fuse a trained network in place (`ibn_seg.fuse`) and report the result on stderr.

    Args:
        network: The network, with its weights loaded. They do not fit afterwards.

    Raises:
        UserError: It cannot be fused.
    """
    import torch.distributed as dist

    from ibn_seg.surgery.fuse import fuse

    network.eval()
    report = fuse(network, inplace=True).report
    if not (dist.is_available() and dist.is_initialized() and dist.get_rank()):
        print(f"fused {report}", file=sys.stderr)


def replace_sync_bn(part: Any) -> None:
    """Replace SyncBN by BN in a part of a config, in place, for one process without a GPU."""
    if isinstance(part, dict):
        if is_named(part.get("type"), *_SYNC_BN):
            part["type"] = "BN"
        for value in part.values():
            replace_sync_bn(value)
    elif isinstance(part, (list, tuple)):
        for value in part:
            replace_sync_bn(value)
