"""Warn when a training's loss becomes NaN or infinite; nothing else would say so."""

import math
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner


class LossWatchHook(Hook):
    """Warn once, at the first iteration with a NaN or infinite loss; training continues.

    The losses are read as numbers from mmengine's history, so this does not wait for the device.
    Our Runner adds this hook itself, so no config names it.
    """

    # After the hook that keeps the losses, before a checkpoint is written.
    priority = "NORMAL"

    def __init__(self) -> None:
        self._warned = False

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Check the losses of an iteration until one is NaN or infinite."""
        if self._warned:
            return
        history = runner.message_hub.log_scalars
        for name in outputs or ():
            kept = history.get(f"train/{name}") if "loss" in name else None
            if kept is not None and not math.isfinite(kept.current()):
                self._warned = True
                self._warn(runner, name, kept.current())
                return

    @staticmethod
    def _warn(runner: Runner, name: str, value: float) -> None:
        runner.logger.warning(
            f"iteration {runner.iter + 1}: {name} is {value}, and training goes on; "
            "stop it, then lower the learning rate or check the labels",
            extra={"notice": True},
        )
