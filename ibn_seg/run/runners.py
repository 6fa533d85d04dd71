"""Builds mmengine's Runner for a config, and for the test of a trained network."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ibn_seg.errors import UserError
from ibn_seg.evaluation.network_classes import trained_classes
from ibn_seg.io import load_checkpoint
from ibn_seg.run import setup
from ibn_seg.run.gpu_settings import Precision, testing_precision
from ibn_seg.run.preprocessing import check_segmentor
from ibn_seg.run.protocol import check_views, set_protocol
from ibn_seg.run.result_file import recorder

if TYPE_CHECKING:
    from mmengine.config import Config

    from ibn_seg.engine import StrictRunner


@contextlib.contextmanager
def trained_runner(
    config: "str | os.PathLike | Config",
    checkpoint: str | os.PathLike,
    *,
    default_folder: str,
    adapt: "Callable[[Config], None] | None" = None,
    work_dir: str | os.PathLike | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    launcher: str = "none",
    protocol: str | None = None,
    amp: Precision = False,
    quiet: bool = False,
) -> "Iterator[StrictRunner]":
    """Build the Runner that tests a trained network, with weights loaded; close it afterwards.

    Args:
        config: A path, an `ibn_seg::` name, or a config, which is not changed.
        checkpoint: A .pth file; every weight must fit.
        default_folder: The folder of the run in the default work dir.
        adapt: Changes the config in place, after its training part was removed.
        work_dir: The folder for log and result. Default: `default_folder` in the config's
            `work_dir`, else in `work_dirs/CONFIG_NAME`.
        cfg_options: Values that override the config's, by dotted key.
        launcher: 'none', or what started the processes: 'pytorch' (torchrun), 'slurm', 'mpi'.
        protocol: Name of an evaluation protocol (`ibn_seg.evaluation.protocols`).
        amp: Test in mixed precision, 'bf16' or 'fp16', which is True too; needs a GPU.
        quiet: Keep mmengine's log lines off the console.

    Raises:
        UserError: The config, the data or the checkpoint is wrong.
        EnvError: The work dir cannot be written, or there is no GPU for `amp`.
    """
    from ibn_seg.engine import distributed
    from ibn_seg.engine.fit import load_strictly
    from ibn_seg.explain.explain import explained

    weights = load_checkpoint(checkpoint)
    setup.register()
    cfg = setup.prepare(
        config,
        work_dir=work_dir,
        cfg_options=cfg_options,
        launcher=launcher,
        quiet=quiet,
        default_folder=default_folder,
    )
    setup.for_testing(cfg, _seed_of(weights))
    setup.speed_up_testing(cfg, amp)
    if adapt is not None:
        adapt(cfg)
    if protocol is not None:
        set_protocol(cfg, protocol)
    check_views(cfg, "test")
    with (
        distributed.kept_thread_settings(),
        distributed.process_group(launcher, (cfg.get("env_cfg") or {}).get("dist_cfg")),
        testing_precision(amp),
        explained(cfg),
    ):
        runner = build_runner(cfg)
        try:
            load_strictly(network_of(runner.model), weights, checkpoint)
            known = recorder(runner)
            known.trained_classes, known.trained_palette = trained_classes(weights)
            del weights
            yield runner
        finally:
            runner.close()


def _seed_of(weights: Any) -> int | None:
    """Return the training seed of an mmengine checkpoint; None if it records none."""
    meta = weights.get("meta") if isinstance(weights, Mapping) else None
    seed = meta.get("seed") if isinstance(meta, Mapping) else None
    return seed if isinstance(seed, int) and seed >= 0 else None


def build_runner(cfg: "Config", kind: "type[StrictRunner] | None" = None) -> "StrictRunner":
    """Build the Runner of a config; the caller closes it.

    Args:
        cfg: A prepared config.
        kind: The class of the Runner. Default: `StrictRunner`.

    Raises:
        UserError: The segmentor lacks a setting that it needs to take images.
    """
    from ibn_seg.engine import StrictRunner

    runner = (kind or StrictRunner).from_cfg(cfg)
    try:
        check_segmentor(network_of(runner.model), cfg)
    except UserError:
        runner.close()
        raise
    return runner


def network_of(model: Any) -> Any:
    """Return the network without wrappers for replicas and test-time augmentation."""
    from mmengine.model import BaseTTAModel, is_model_wrapper

    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model
