"""The training loop: iterations numbered from the seed, with exact and immediate resume."""

import bisect
import math
import numbers
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmengine.registry import DATA_SAMPLERS, LOOPS
from mmengine.runner import BaseLoop, Runner
from mmengine.runner.utils import calc_dynamic_intervals

from ibn_seg.engine.class_checks import check_heads
from ibn_seg.engine.deferred import check_deferred
from ibn_seg.engine.distributed import average_buffers
from ibn_seg.engine.random_state import preserved_random_state
from ibn_seg.engine.resuming import all_schedulers
from ibn_seg.engine.sampling import PositionSampler
from ibn_seg.errors import UserError


@LOOPS.register_module()
class SeededIterLoop(BaseLoop):
    """Iteration-based training; its data depend on (seed, iteration, place in the batch).

    In a config: `train_cfg = dict(type='SeededIterLoop', max_iters=40000, val_interval=4000)`. To
    resume, mmengine's `IterBasedTrainLoop` reads and discards every earlier batch; here the sampler
    starts at the right iteration. `PositionSampler` replaces the sampler of `train_dataloader` and
    keeps only its `shuffle`. Samplers that work by position stay: `MixedSourceSampler`,
    `RareClassSampler`, `ClassUniformSampler`.

    A run may be resumed with another batch size or number of processes. It then continues where a
    run with those settings would be at the same iteration.

    Validation does not change the random states. It may happen, or be repeated after an
    interruption, without any effect on training.

    Args:
        runner: The runner.
        dataloader: The config of the training data loader.
        max_iters: Iterations to train.
        val_begin: The first iteration after which validation may run.
        val_interval: Iterations between validations; the last iteration is always validated.
        dynamic_intervals: (iteration, val_interval) pairs that apply from that iteration on.

    Raises:
        UserError: The data loader's configuration cannot be resumed by position, or a number is not
            above 0.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: dict,
        max_iters: int,
        val_begin: int = 1,
        val_interval: int = 1000,
        dynamic_intervals: list[tuple[int, int]] | None = None,
    ) -> None:
        super().__init__(runner, by_position(dataloader, runner.seed))
        # Our own runner does so for every loop; mmseg's tools use this loop with mmengine's runner.
        check_deferred(self.dataloader.dataset, runner.model)
        check_heads(runner.model, self.dataloader.dataset)
        self._max_iters = int(_number("max_iters", max_iters, 1))
        self._epoch = 0
        self._iter = 0
        self.val_begin = _number("val_begin", val_begin, 0)
        self.val_interval = _number("val_interval", val_interval, 1)
        self.stop_training = False
        self.runner.visualizer.dataset_meta = self.dataloader.dataset.metainfo
        self._milestones, self._intervals = calc_dynamic_intervals(val_interval, dynamic_intervals)

    @property
    def max_epochs(self) -> int:
        """One: the whole training counts as an epoch for mmengine's hooks."""
        return 1

    @property
    def max_iters(self) -> int:
        """Iterations to train."""
        return self._max_iters

    @property
    def epoch(self) -> int:
        """The current epoch: 0."""
        return self._epoch

    @property
    def iter(self) -> int:
        """Iterations done."""
        return self._iter

    def run(self) -> torch.nn.Module:
        """Train from the current iteration to the last."""
        _say_schedules_that_rest(self.runner)
        self.runner.call_hook("before_train")
        self.runner.call_hook("before_train_epoch")
        # A run killed during a validation has that iteration's checkpoint but not its result.
        validated = self.runner.message_hub.get_info("validated_iter", 0)
        if self._iter > validated and self._validation_due():
            self._validate()
        if self._iter < self._max_iters:
            self._train(self.batches())
        self.runner.call_hook("after_train_epoch")
        self.runner.call_hook("after_train")
        return self.runner.model

    def _train(self, batches: Iterator[Any]) -> None:
        self.runner.model.train()
        while self._iter < self._max_iters and not self.stop_training:
            self.run_iter(next(batches))
            if self._validation_due():
                self._validate()
                self.runner.model.train()

    def batches(self) -> Iterator[Any]:
        """Return the batches from the current iteration on."""
        sampler, dataset = self.dataloader.sampler, self.dataloader.dataset
        # Resuming replaces the seed after this loop was built.
        sampler.seed = dataset.seed = self.runner.seed
        sampler.start = self._iter * self.dataloader.batch_size
        # Starting data workers draws from the global generator.
        with preserved_random_state():
            return iter(self.dataloader)

    def run_iter(self, batch: Sequence[dict]) -> None:
        """Learn from one batch, with the hooks before and after it."""
        self.runner.call_hook("before_train_iter", batch_idx=self._iter, data_batch=batch)
        outputs = self.runner.model.train_step(batch, optim_wrapper=self.runner.optim_wrapper)
        self.runner.call_hook(
            "after_train_iter", batch_idx=self._iter, data_batch=batch, outputs=outputs
        )
        self._iter += 1
        step = bisect.bisect(self._milestones, self._iter + 1)
        self.val_interval = self._intervals[step - 1]

    def _validation_due(self) -> bool:
        if self.runner.val_loop is None or self._iter < self.val_begin:
            return False
        return self._iter % self.val_interval == 0 or self._iter == self._max_iters

    def _validate(self) -> None:
        average_buffers(self.runner.model)
        with preserved_random_state():
            self.runner.val_loop.run()


def _say_schedules_that_rest(runner: Runner) -> None:
    """Report schedulers that count epochs: this loop has one epoch, so they never step."""
    resting = [s for s in all_schedulers(runner.param_schedulers) if s.by_epoch]
    for kind in dict.fromkeys(type(scheduler).__name__ for scheduler in resting):
        runner.logger.warning(
            f"param_scheduler: {kind} counts epochs and has no effect in SeededIterLoop; "
            "write by_epoch=False",
            extra={"notice": True},
        )


def _number(key: str, value: Any, least: int) -> float:
    """Return a number of iterations; raise `UserError` if it is none or too small."""
    if isinstance(value, str) or not isinstance(value, numbers.Real) or not value >= least:
        raise UserError(f"train_cfg.{key} = {value!r}", f"give a number of at least {least}")
    # An interval may be endless.
    if value != math.floor(value) if math.isfinite(value) else key == "max_iters":
        raise UserError(f"train_cfg.{key} = {value!r}", "give a whole number")
    return value


def by_position(dataloader: dict, seed: int) -> dict:
    """Return a data loader's config with seeded augmentation and a sampler by position."""
    given = dict(dataloader)
    for key in ("batch_sampler", "num_batch_per_epoch"):
        if given.pop(key, None) is not None:
            raise UserError(
                f"train_dataloader.{key} cannot be used with SeededIterLoop",
                f"remove {key}, or use train_cfg.type='IterBasedTrainLoop'",
            )
    sampler = {"type": "PositionSampler", **(given.get("sampler") or {})}
    kind = sampler["type"]
    kind = DATA_SAMPLERS.get(kind) if isinstance(kind, str) else kind
    if not (isinstance(kind, type) and issubclass(kind, PositionSampler)):
        sampler = dict(type="PositionSampler", shuffle=sampler.get("shuffle", True))
    given["dataset"] = dict(type="SeededDataset", dataset=given["dataset"], seed=seed)
    given["sampler"] = dict(sampler, seed=seed)
    return given
