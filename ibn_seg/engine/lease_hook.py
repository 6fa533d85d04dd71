"""End a benchmark's training or test if another worker has taken over its cell."""

import os
import time
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ibn_seg.errors import EnvError
from ibn_seg.results.lease import VARIABLE, is_superseded, note

_INTERVAL_S = 1.0


@HOOKS.register_module()
class LeaseHook(Hook):
    """Stop once another worker holds the cell; check again before anything is written.

    The environment variable IBN_SEG_LEASE names the holder's file (`ibn_seg.results.lease`).
    Without it the hook does nothing, so a cell's config can be trained on its own.
    """

    # Before checkpoints are written.
    priority = "VERY_HIGH"

    def __init__(self) -> None:
        path = os.environ.get(VARIABLE)
        self._path = Path(path) if path else None
        self._looked = time.monotonic()
        self._noted = False

    def before_run(self, runner: Runner) -> None:
        """Write to the lock's log that a training or a measurement begins."""
        self._check()
        if self._path is not None and not self._noted and is_main_process():
            event = "train" if runner.cfg.get("train_cfg") else "measure"
            note(self._path, event, iteration=runner.iter)
        self._noted = True

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Check from time to time; a process that was stopped for long checks at once."""
        self._check_sometimes()

    def before_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Look now and then."""
        self._check_sometimes()

    def before_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Look now and then."""
        self._check_sometimes()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Look before a checkpoint is written."""
        self._check()

    def after_run(self, runner: Runner) -> None:
        """Look before the result is written."""
        self._check()

    def _check_sometimes(self) -> None:
        if time.monotonic() - self._looked >= _INTERVAL_S:
            self._check()

    def _check(self) -> None:
        self._looked = time.monotonic()
        if self._path is not None and is_superseded(self._path):
            raise EnvError(
                f"{self._path}: another worker has taken this cell over", "nothing is lost"
            )
