"""mmengine's Runner, adapted to CPU process groups and to a console with progress bars."""

import contextlib
import gc
import logging
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from mmengine.dataset import InfiniteSampler
from mmengine.device import get_device
from mmengine.dist import master_only
from mmengine.hooks import EMAHook, Hook
from mmengine.logging import MMLogger
from mmengine.model import (
    BaseDataPreprocessor,
    MMDistributedDataParallel,
    convert_sync_batchnorm,
    is_model_wrapper,
)
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from ibn_seg.engine.class_checks import check_heads, check_start, classes_of, tell_classes
from ibn_seg.engine.compiling import compile_parts
from ibn_seg.engine.deferred import check_deferred
from ibn_seg.engine.fine_tuning import as_mmengines, load_start
from ibn_seg.engine.fit import load_strictly
from ibn_seg.engine.loss_watch import LossWatchHook
from ibn_seg.engine.paramwise import say_without_effect
from ibn_seg.engine.resuming import resume
from ibn_seg.engine.sampling import PositionSampler
from ibn_seg.engine.sharded_network import FullyShardedNetwork, check_sharing, wants_shares
from ibn_seg.engine.watched_scores import check_sources, check_watched
from ibn_seg.engine.workers import report_lost_batches
from ibn_seg.errors import UserError, unknown
from ibn_seg.io import write_text
from ibn_seg.layers.sync import SynchronisedBatchNorm, for_cpu
from ibn_seg.models.sources import read_checkpoint

# Values that mmengine accepts as `sync_bn`; on CPUs both mean ours.
_SYNC_BN = ("torch", "mmcv")
_ENDLESS = (InfiniteSampler, PositionSampler)


class StrictRunner(Runner):
    """A Runner that allows several runs in one process, and refuses weights that fit only partly.

    `cfg.channels_last` keeps weights, and so activations, in that memory format. `cfg.compile` is
    True, or arguments of `torch.compile`: the network's parts are compiled for training.
    `cfg.quiet` keeps mmengine's log lines off the console; the log file has them all. Without a
    GPU, replicas are made without `device_ids`, and SyncBN becomes our own, which needs none.

    Attributes:
        reads_samples: Whether samples for the validation are checked before it begins.
    """

    reads_samples = True

    def __init__(self, *args: object, **kwargs: object) -> None:
        with contextlib.ExitStack() as undo:
            undo.callback(self._close_log)
            super().__init__(*args, **kwargs)
            # A runner that could not be built would leave its log file open.
            undo.pop_all()

    def build_logger(self, *args: object, **kwargs: object) -> MMLogger:
        """Build the logger; with `cfg.quiet` only errors and notices are shown, on stderr."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if isinstance(handler, logging.FileHandler):
                handler.handleError = _reraise
            elif self.cfg.get("quiet", False):
                handler.setStream(sys.stderr)
                handler.addFilter(_for_the_user)
        return logger

    def register_hooks(self, *args: object, **kwargs: object) -> None:
        """Register the config's hooks, and the hook that warns when the loss is NaN or infinite."""
        super().register_hooks(*args, **kwargs)
        self.register_hook(LossWatchHook())

    def load_checkpoint(self, filename: str, *args: object, **kwargs: object) -> dict:
        """Load the weights to start from or to resume; weights that do not fit are an error.

        To start, batch norms are split, and heads of other classes begin at random; see
        `load_start`. A line on the terminal says so. mmengine's own method skips such weights, and
        unpickles anything that a URL gives. Its further arguments have no effect here.
        """
        # To resume, the whole checkpoint is needed; to start, only its weights.
        checkpoint = read_checkpoint(filename, stand_ins=not self._resume)
        model = self.model.module if is_model_wrapper(self.model) else self.model
        starts = isinstance(self._train_loop, BaseLoop)
        begins = starts and not self._resume
        # Averages begin from the weights as they were fitted to the network, below.
        averaging = [hook for hook in self.hooks if isinstance(hook, EMAHook)] if begins else []
        if (shown := as_mmengines(checkpoint)) is not None:
            self._tell_hooks([hook for hook in self.hooks if hook not in averaging], shown)
        if begins:
            if changes := load_start(model, checkpoint, filename):
                self.logger.info(changes, extra={"notice": True})
            self._tell_hooks(averaging, {"state_dict": model.state_dict(), "meta": {}})
        else:
            load_strictly(model, checkpoint, filename)
        if starts:
            check_start(model, checkpoint, self._train_loop.dataloader.dataset, filename)
        self._has_loaded = True
        self.logger.info(f"Load checkpoint from {filename}")
        return checkpoint

    def _tell_hooks(self, hooks: list[Hook], checkpoint: Mapping) -> None:
        """Tell some of the hooks that a checkpoint was read."""
        every, self._hooks = self._hooks, hooks
        try:
            self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        finally:
            self._hooks = every

    def resume(self, filename: str, *args: object, **kwargs: object) -> None:
        """Resume from a checkpoint with the config's optimiser and schedule.

        mmengine's own method overwrites them with the checkpoint's, and executes text that a
        checkpoint may carry. Its further arguments have no effect here.
        """
        self.schedule_changes = resume(self, filename)

    def load_or_resume(self) -> None:
        """Load the weights to start from or to resume; then write a training's config.

        Behind the loading a `FullyShardedNetwork` is divided among the processes.
        """
        super().load_or_resume()
        if isinstance(self.model, FullyShardedNetwork):
            check_sharing(self)
            self.model.share(self.optim_wrapper.optimizer)
        if self._train_loop is not None:
            self._write_config()

    def save_checkpoint(self, *args: object, **kwargs: object) -> None:
        """Save a checkpoint; of a shared network too it is whole."""
        if not isinstance(self.model, FullyShardedNetwork):
            super().save_checkpoint(*args, **kwargs)
            return
        with self.model.whole_states(self.optim_wrapper):
            super().save_checkpoint(*args, **kwargs)

    def build_optim_wrapper(
        self, optim_wrapper: dict | OptimWrapper
    ) -> OptimWrapper | OptimWrapperDict:
        """Build the optimiser; report settings of single parameters that have no effect."""
        built = super().build_optim_wrapper(optim_wrapper)
        model = self.model.module if is_model_wrapper(self.model) else self.model
        say_without_effect(self, model, built)
        return built

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the training loop.

        It raises an error if nothing would apply a pipeline's draws, if an epoch has no end, or if
        a head is not for the classes of the data.
        """
        loop = super().build_train_loop(loop)
        _check_epochs_end(loop)
        check_deferred(loop.dataloader.dataset, self.model)
        check_heads(self.model, loop.dataloader.dataset)
        return loop

    @staticmethod
    def build_dataloader(*args: object, **kwargs: object) -> DataLoader:
        """Build a data loader whose workers never lose a batch silently."""
        return report_lost_batches(Runner.build_dataloader(*args, **kwargs))

    def build_val_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the validation loop; raise now for what would fail in it later."""
        built = super().build_val_loop(loop)
        if built is not loop and self._train_loop is not None:
            check_watched(self, built, samples=self.reads_samples)
            check_sources(self, built, "val")
            if isinstance(self._train_loop, BaseLoop):
                trained = classes_of(self._train_loop.dataloader.dataset)
                data = built.dataloader.dataset
                tell_classes(self.model, built.evaluator.metrics, data, trained)
        return built

    def build_test_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the test loop; a misspelt source is an error now, not after the test."""
        built = super().build_test_loop(loop)
        if built is not loop:
            check_sources(self, built, "test")
        return built

    def dump_config(self) -> None:
        """Write the config to the work dir; for a training, only once it can start."""
        if self._train_loop is None:
            self._write_config()

    @master_only
    def _write_config(self) -> None:
        """Write the config to the work dir, whole or not at all."""
        name = Path(self.cfg.filename).stem if self.cfg.filename else self.timestamp
        text = self.cfg.pretty_text
        if {"inf", "nan"} & set(re.findall(r"\w+", text)):
            # mmengine writes these numbers as names.
            text = f"inf, nan = float('inf'), float('nan')\n{text}"
        write_text(Path(self.work_dir) / f"{name}.py", text)

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Replicate the model over the ranks, in the memory format that the config asks for.

        With a `FullyShardedNetwork` in `model_wrapper_cfg` the ranks share it instead.
        """
        if wants_shares(model_wrapper_cfg) and self.distributed:
            # PyTorch cannot divide weights with channels last.
            return FullyShardedNetwork(self._synchronised(model))
        if self.cfg.get("channels_last", False):
            model = model.to(memory_format=torch.channels_last)
        if get_device() != "cpu":
            for part in model.modules():
                if isinstance(part, BaseDataPreprocessor):
                    # mmseg's own class takes no such argument. Copies from pinned memory overlap.
                    part._non_blocking = True
            return super().wrap_model(model_wrapper_cfg, model)
        if not self.distributed:
            return super().wrap_model(model_wrapper_cfg, model)
        model = self._synchronised(model)
        unused = self.cfg.get("find_unused_parameters", False)
        return MMDistributedDataParallel(
            module=model, broadcast_buffers=False, find_unused_parameters=unused
        )

    def _maybe_compile(self, target: str) -> None:
        """Compile the network's parts for training if `cfg.compile` is True or has options.

        A model without such parts is compiled in mmengine's way.

        Raises:
            UserError: `cfg.compile` is something else.
        """
        options = self.cfg.get("compile")
        if not options or target != "train_step":
            return
        if not isinstance(options, (bool, Mapping)):
            raise UserError(f"compile={options!r}", "give True, or arguments of torch.compile")
        network = self.model.module if is_model_wrapper(self.model) else self.model
        if not compile_parts(network, {} if options is True else options):
            super()._maybe_compile(target)

    def _synchronised(self, model: nn.Module) -> nn.Module:
        """Return the model with SyncBN if the config asks for it; on CPUs with our own."""
        everywhere, on_cpu = self.cfg.get("sync_bn"), get_device() == "cpu"
        if everywhere is None:
            return for_cpu(model) if on_cpu else model
        if everywhere not in _SYNC_BN:
            raise unknown("sync_bn", everywhere, _SYNC_BN)
        if on_cpu:
            return SynchronisedBatchNorm.convert_sync_batchnorm(model)
        return convert_sync_batchnorm(model, everywhere)

    def close(self) -> None:
        """Close files and end data workers, so that another run can follow in this process."""
        for hook in self.hooks:
            if hasattr(hook, "close"):
                hook.close()
        self.visualizer.close()
        self._close_log()
        # Persistent data workers end when their loader goes, and runner and hooks form cycles.
        self._train_loop = self._val_loop = self._test_loop = None
        gc.collect()

    def _close_log(self) -> None:
        """Close the log file, if it was opened, and detach the logger from it."""
        logger = getattr(self, "logger", None)
        for handler in list(logger.handlers) if logger else ():
            handler.close()
            logger.handlers.remove(handler)


def _check_epochs_end(loop: BaseLoop) -> None:
    """Raise if a loop counts epochs over a sampler without an end: its first would never end."""
    sampler = loop.dataloader.sampler
    if isinstance(loop, EpochBasedTrainLoop) and isinstance(sampler, _ENDLESS):
        raise UserError(
            f"train_cfg counts epochs, but train_dataloader.sampler {type(sampler).__name__} never"
            " ends",
            "use sampler=dict(type='DefaultSampler', shuffle=True), or train by max_iters",
        )


def _for_the_user(record: logging.LogRecord) -> bool:
    """Whether a record is an error, or marked as a `notice` that a user has to see."""
    return record.levelno >= logging.ERROR or getattr(record, "notice", False)


def _reraise(record: logging.LogRecord) -> None:
    """Stop at a log file that cannot be written; Python's default prints a traceback per line."""
    raise
