"""Trains and tests segmentation networks: builds mmengine's Runner from a config and runs it."""

# ruff: noqa: PT028 - `test` is a task here, not a test

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ibn_seg.errors import EnvError, UserError
from ibn_seg.methods.method import sees_target
from ibn_seg.run import earlier_run, setup
from ibn_seg.run.gpu_settings import Precision
from ibn_seg.run.network_facts import network_facts
from ibn_seg.run.protocol import check_augmented, check_views, replace_pipelines
from ibn_seg.run.result_file import finish, last_checkpoint, recorder, validated
from ibn_seg.run.runners import build_runner, network_of, trained_runner
from ibn_seg.run.timm_statistics import tell_statistics
from ibn_seg.run.trained_images import trained_on

if TYPE_CHECKING:
    from mmengine.config import Config

    from ibn_seg.engine import StrictRunner


def train(
    config: "str | os.PathLike | Config",
    *,
    work_dir: str | os.PathLike | None = None,
    resume: bool = False,
    amp: Precision = False,
    compiled: bool = False,
    cfg_options: Mapping[str, Any] | None = None,
    launcher: str = "none",
    seed: int | None = None,
    log: Sequence[str] = (),
    quiet: bool = False,
    command: str | None = None,
) -> dict:
    """Train a network, validate it, and write `WORK_DIR/result.json`.

    Beside it, `confusions.npz` holds the confusion matrix of every image of the last validation,
    for statistics.

    A resumed run continues as if it had never been interrupted. On CPU, with the same number of
    threads, weights and losses are bit-identical. If the config differs from the run's first
    config, it holds from there on. Its schedule counts as if it had held from the beginning. The
    change is reported, and recorded as `resumed_with`. Another optimiser, or other groups of
    parameters, is an error.

    Without `resume`, a training begins anew and replaces an earlier run in the folder. If that run
    is of another network, this is an error. Only one training at a time can use the folder.

    Args:
        config: A path, an `ibn_seg::` name, or a config, which is not changed.
        work_dir: The folder for checkpoints, log and result. Default: the config's, else
            `work_dirs/CONFIG_NAME`.
        resume: Resume from the newest complete checkpoint in the work dir. Without any checkpoint,
            begin a new training.
        amp: Train in mixed precision, 'bf16' or 'fp16'; needs a GPU. True is the config's, else
            fp16.
        compiled: Compile the network by `torch.compile`, for training alone.
        cfg_options: Values that override the config's, by dotted key.
        launcher: 'none', or what started the processes: 'pytorch' (torchrun), 'slurm', 'mpi'.
        seed: The seed. Default: the config's `randomness.seed`, else 0. A resumed run keeps the
            checkpoint's seed. Asking for another one is then an error, and a different seed in the
            config is reported as without effect.
        log: Where curves go beside the work dir: names of `ibn_seg.run.loggers.LOGGERS`.
        quiet: Show progress bars in place of mmengine's log lines.
        command: The command line, for the record.

    Returns:
        The content of the result file.

    Raises:
        UserError: The config, the data or a checkpoint is wrong. Or the work dir is in use or holds
            a run of another network.
        EnvError: The work dir cannot be written, the disk is full, a logger's package is missing,
            or there is no GPU for `amp`.
    """
    from ibn_seg.engine import distributed
    from ibn_seg.explain.explain import explained

    setup.register()
    cfg = setup.prepare(
        config, work_dir=work_dir, cfg_options=cfg_options, launcher=launcher, quiet=quiet, log=log
    )
    config_seed = (cfg.get("randomness") or {}).get("seed")
    setup.set_training(cfg, seed=seed, amp=amp, compiled=compiled)
    setup.set_progress(cfg)
    check_views(cfg, "val")
    with (
        distributed.kept_thread_settings(),
        distributed.process_group(launcher, (cfg.get("env_cfg") or {}).get("dist_cfg")),
        explained(cfg),
        earlier_run.occupied(cfg, resume=resume, seed=seed, config_seed=config_seed) as beginning,
    ):
        runner = build_runner(cfg)
        try:
            beginning.note(runner)
            tell_statistics(network_of(runner.model), runner.cfg, runner.logger)
            runner.train()
            if cfg.get("val_dataloader") and not validated(runner):
                runner.val()
            return finish(
                runner,
                "train",
                lambda: {**measured(runner), **trained_on(runner)},
                command=command,
                checkpoint=last_checkpoint(cfg.work_dir),
            )
        finally:
            runner.close()


def test(
    config: "str | os.PathLike | Config",
    checkpoint: str | os.PathLike,
    *,
    work_dir: str | os.PathLike | None = None,
    out: str | os.PathLike | None = None,
    confidence: bool = False,
    temperature: str | None = None,
    show: bool = False,
    show_dir: str | os.PathLike | None = None,
    wait_time: float = 2.0,
    cfg_options: Mapping[str, Any] | None = None,
    launcher: str = "none",
    tta: bool = False,
    fuse: bool = False,
    amp: Precision = False,
    protocol: str | None = None,
    quiet: bool = False,
    command: str | None = None,
) -> dict:
    """Evaluate a checkpoint on every data set of `test_dataloader`; write `WORK_DIR/test.json`.

    Beside it, `test_confusions.npz` holds the confusion matrix of every image, for statistics.

    Args:
        config: A path, an `ibn_seg::` name, or a config, which is not changed.
        checkpoint: A .pth file; every weight must fit.
        work_dir: The folder for log and result. Default: `test` in the config's `work_dir`, else in
            `work_dirs/CONFIG_NAME`.
        out: A folder for the predictions as trainId PNGs, `OUT/DOMAIN/NAME.png`, or
            `OUT/DOMAIN/D/NAME.png` for images in folders D whose name the domain has twice.
            `OUT/classes.yaml` says what their values mean.
        confidence: In place of `NAME.png`, write `NAME_pred.png`, `NAME_conf.png` and
            `NAME_heat.png` to `out`; see `ibn_seg.trust.confidence_files`.
        temperature: 'global' or 'class': divide logits by the temperatures beside the checkpoint
            (`ibn_seg.trust.stored_temperature`), for the confidence alone.
        show: Show each prediction in a window.
        show_dir: A folder for pictures of the predictions.
        wait_time: Seconds for which each prediction is shown.
        cfg_options: Values that override the config's, by dotted key.
        launcher: 'none', or what started the processes: 'pytorch' (torchrun), 'slurm', 'mpi'.
        tta: Test with the augmentation of the config's `tta_pipeline`.
        fuse: Fold the network's norms into its convolutions first (`ibn_seg.fuse`).
        amp: Test in mixed precision, 'bf16' or 'fp16', which is True too; needs a GPU.
        protocol: Name of an evaluation protocol (`ibn_seg.evaluation.protocols`): sizes, windows
            and classes for each target. Default: the config's.
        quiet: Show progress bars in place of mmengine's log lines.
        command: The command line, for the record.

    Returns:
        The content of the result file.

    Raises:
        UserError: The config, the data or the checkpoint is wrong.
        EnvError: Something cannot be written or shown, or there is no GPU for `amp`.
    """
    if confidence and (out is None or tta):
        # mmseg keeps the logits of the last augmented image alone.
        problem = "--confidence: no --out" if out is None else "--confidence with --tta"
        raise UserError(problem, "give --out and no --tta")
    if temperature is not None and not confidence:
        raise UserError("--temperature without --confidence", "it changes the confidence alone")

    def adapt(cfg: "Config") -> None:
        if out is not None:
            setup.check_writable(out)
            more = {"confidence": True} if confidence else {}
            if temperature is not None:
                from ibn_seg.trust.stored_temperature import read_temperature

                more["temperatures"] = read_temperature(checkpoint, temperature).values
            setup.add_hooks(cfg, {"type": "SavePredictionsHook", "out_dir": str(out), **more})
        if show or show_dir:
            _draw(cfg, show, show_dir, wait_time)
        if tta:
            _augment(cfg)
            if protocol is not None:
                check_augmented(cfg, protocol)
        setup.set_progress(cfg)

    with trained_runner(
        config,
        checkpoint,
        default_folder="test",
        adapt=adapt,
        work_dir=work_dir,
        cfg_options=cfg_options,
        launcher=launcher,
        protocol=protocol,
        amp=amp,
        quiet=quiet,
    ) as runner:
        if fuse:
            setup.fuse_network(network_of(runner.model))
        runner.test()
        return finish(
            runner,
            "test",
            lambda: {**measured(runner), "fused": fuse, "amp": amp},
            command=command,
            checkpoint=str(checkpoint),
        )


def measured(runner: "StrictRunner") -> dict[str, Any]:
    """Return the scores of the last validation or test, with their network."""
    experiment = dict(runner.cfg.get("experiment") or {})
    run = recorder(runner)
    last = run.validations[-1] if run.validations else {"metrics": {}, "domains": {}}
    return {
        "method": experiment.get("method"),
        "backbone": experiment.get("backbone"),
        "segmentor": experiment.get("segmentor"),
        "source": experiment.get("source"),
        **network_facts(network_of(runner.model), runner.cfg),
        "protocol": _of_evaluator(runner.cfg, "protocol", "native"),
        **_merge(runner.cfg),
        **({"sees_target": True} if sees_target(runner.cfg) else {}),
        "domains": last["domains"],
        "confusions": last.get("confusions"),
        "targets_mIoU": last["metrics"].get("targets/mIoU"),
        "gap": last["metrics"].get("gap"),
        "metrics": last["metrics"],
    }


def _of_evaluator(cfg: "Config", key: str, default: str) -> str:
    """Return a setting of a config's metric, such as the name of the protocol.

    A training's scores come from its validation. A config for tests has none.
    """
    evaluator = cfg.get("val_evaluator") or cfg.get("test_evaluator") or {}
    metrics = [evaluator] if isinstance(evaluator, Mapping) else evaluator
    return next((metric[key] for metric in metrics if metric.get(key)), default)


def _merge(cfg: "Config") -> dict[str, str]:
    """Return how classes were merged, unless in the usual way."""
    merge = _of_evaluator(cfg, "merge", "hard")
    return {} if merge == "hard" else {"merge": merge}


def _draw(cfg: "Config", show: bool, show_dir: str | os.PathLike | None, wait: float) -> None:
    """Let mmseg draw the predictions."""
    import sys

    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    if show and sys.platform == "linux" and not any(os.environ.get(d) for d in displays):
        raise EnvError("--show: there is no display", "use --show-dir")
    if not cfg.get("visualizer"):
        cfg.visualizer = {"type": "SegLocalVisualizer", "vis_backends": [_LOCAL_BACKEND]}
    if show_dir is not None:
        setup.check_writable(show_dir)
        cfg.visualizer["save_dir"] = str(show_dir)
        cfg.visualizer["vis_backends"] = [_LOCAL_BACKEND]
    hook = {"type": _PICTURES, "draw": True, "show": show, "wait_time": wait}
    cfg.default_hooks["visualization"] = {**hook, "interval": 1}


_LOCAL_BACKEND = {"type": "LocalVisBackend"}
_PICTURES = "ibn_seg.plugins.prediction_pictures.PredictionPicturesHook"


def _augment(cfg: "Config") -> None:
    """Put the network into mmseg's wrapper for test-time augmentation."""
    for key in ("tta_pipeline", "tta_model"):
        if not cfg.get(key):
            raise UserError(f"--tta: the config has no {key}", "add it, or leave --tta out")
    if _merge(cfg):
        # mmseg keeps the logits of the last augmented image alone.
        raise UserError(
            "--tta: test_evaluator.merge is 'soft', and the mean over augmentations has no logits",
            "write merge='hard', or leave --tta out",
        )
    replace_pipelines(cfg.test_dataloader.dataset, cfg.tta_pipeline)
    cfg.model = {**cfg.tta_model, "module": cfg.model}
