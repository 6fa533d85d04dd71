"""Show progress of training, validation and testing on the terminal, with the time left."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ibn_seg.progress import progress_bar

if TYPE_CHECKING:
    from rich.progress import Progress


@HOOKS.register_module()
class ProgressHook(Hook):
    """Show bars with loss and ETA on stderr, or plain lines if stderr is no terminal.

    Args:
        label: What is trained or tested, shown before the bar.
        interval_s: Seconds between two plain lines.
        epoch_length: Iterations of an epoch, if validations are labelled by epoch.
    """

    # After the hook that takes the loss from the model's outputs.
    priority = "LOWEST"
    needs_logits = False

    def __init__(
        self, label: str = "", interval_s: float = 10.0, epoch_length: int | None = None
    ) -> None:
        self.label = label
        self.interval_s = interval_s
        self.epoch_length = epoch_length
        self._bar: Progress | None = None
        self._tasks: dict[str, Any] = {}
        self._begun: dict[str, tuple[float, int]] = {}
        self._last_line = 0.0
        self._shown = is_main_process()

    def before_train(self, runner: Runner) -> None:
        """Show the bar, starting at the iteration of a resumed run."""
        self._begin("train", runner.max_iters, runner.iter)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Advance the bar and show the loss."""
        loss = (outputs or {}).get("loss")
        detail = "" if loss is None else f"loss {loss.item():.3f}"
        self._advance("train", runner.iter + 1, runner.max_iters, detail)

    def after_train(self, runner: Runner) -> None:
        """Take the bar down."""
        self._end("train")

    def before_val(self, runner: Runner) -> None:
        """Show a bar for the validation."""
        self._begin("val", len(runner.val_dataloader))

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Advance the bar."""
        self._advance("val", batch_idx + 1, len(runner.val_dataloader))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Say the mIoU of each domain."""
        self._end("val")
        done = runner.iter
        when = f"epoch {done // self.epoch_length}" if self.epoch_length else done
        self._say(f"val at {when}: {_miou(metrics)}")

    def before_test(self, runner: Runner) -> None:
        """Show the bar."""
        self._begin("test", len(runner.test_dataloader))

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence = ()
    ) -> None:
        """Advance the bar."""
        self._advance("test", batch_idx + 1, len(runner.test_dataloader))

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Remove the bar and print the mIoU of each domain."""
        self._end("test")
        self._say(f"test: {_miou(metrics)}")

    def close(self) -> None:
        """Remove all bars, also when the run was interrupted."""
        for stage in list(self._begun):
            self._end(stage)

    def _begin(self, stage: str, total: int, done: int = 0) -> None:
        self._begun[stage] = (time.monotonic(), done)
        self._last_line = time.monotonic()
        if not self._shown or not sys.stderr.isatty():
            return
        if self._bar is None:
            self._bar = progress_bar()
            self._bar.start()
        name = f"{self.label} {stage}".strip()
        self._tasks[stage] = self._bar.add_task(name, total=total, completed=done, detail="")

    def _advance(self, stage: str, done: int, total: int, detail: str = "") -> None:
        if stage in self._tasks:
            self._bar.update(self._tasks[stage], completed=done, detail=detail)
            return
        now = time.monotonic()
        if now - self._last_line < self.interval_s or stage not in self._begun:
            return
        self._last_line = now
        since, first = self._begun[stage]
        left = (now - since) / max(1, done - first) * (total - done)
        self._say(f"{stage} {done}/{total}  {detail}  ETA {_clock(left)}")

    def _end(self, stage: str) -> None:
        self._begun.pop(stage, None)
        task = self._tasks.pop(stage, None)
        if task is not None and stage == "val":
            self._bar.remove_task(task)
        if self._bar is not None and not self._tasks:
            self._bar.stop()
            self._bar = None

    def _say(self, line: str) -> None:
        if not self._shown:
            return
        line = " ".join(f"{self.label} {line}".split())
        if self._bar is not None:
            self._bar.console.print(line, highlight=False, markup=False)
        else:
            print(line, file=sys.stderr, flush=True)


class BatchCallbackHook(Hook):
    """Tell a function after each batch of any test how many are done.

    Args:
        callback: Takes the number of batches.
    """

    needs_logits = False

    def __init__(self, callback: Callable[[int], None]) -> None:
        self.callback = callback
        self.done = 0

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence = ()
    ) -> None:
        """Count a batch."""
        self.done += 1
        self.callback(self.done)


def _miou(metrics: dict[str, float] | None) -> str:
    """Return the mIoU of each domain, or all measured values if there is none."""
    found = {key: value for key, value in (metrics or {}).items() if key.endswith("mIoU")}
    shown = found or {k: v for k, v in (metrics or {}).items() if isinstance(v, float)}
    return "  ".join(f"{key} {value:.2f}" for key, value in shown.items())


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
