"""What the measurements of a trained network share: their options, their Runner, their record."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from ibn_seg.errors import UserError
from ibn_seg.run.domains import keep_domains
from ibn_seg.run.protocol import is_metric_of_ours
from ibn_seg.run.result_file import finish
from ibn_seg.run.runners import network_of, trained_runner

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn

    from ibn_seg.engine import StrictRunner
    from ibn_seg.evaluation.metric import MultiDomainIoU

# Called with (step, done, all).
Progress = Callable[[str, int, int], None]


class RunOptions(TypedDict, total=False):
    """Options that every measurement takes as keyword arguments.

    Attributes:
        work_dir: The folder for log and result. Default: the measurement's name in the config's
            `work_dir`, else in `work_dirs/CONFIG_NAME`.
        cfg_options: Values that override the config's, by dotted key.
        quiet: Keep mmengine's log lines off the console. Default: False.
        command: The command line, for the record.
        progress: Called with (step, done, all), most often after each batch.
    """

    work_dir: str | os.PathLike | None
    cfg_options: Mapping[str, Any] | None
    quiet: bool
    command: str | None
    progress: Progress | None


@dataclass(frozen=True)
class Measurement:
    """A trained network that is being measured.

    Attributes:
        name: What is measured, such as 'scales'; the result file is `NAME.json`.
        runner: Tests the network, whose weights are loaded.
        checkpoint: The file of the weights.
        command: The command line, for the record.
        progress: Called with (step, done, all).
    """

    name: str
    runner: "StrictRunner"
    checkpoint: str
    command: str | None
    progress: Progress

    @property
    def network(self) -> "nn.Module":
        """The network without wrappers."""
        return network_of(self.runner.model)

    @property
    def metric(self) -> "MultiDomainIoU":
        """The metric of ours, which `check_tested` demands."""
        (found,) = (one for one in self.runner.test_evaluator.metrics if hasattr(one, "map_of"))
        return found

    def count_batches(self, tests: int = 1) -> None:
        """Report progress after each batch of so many tests; the first rank alone does."""
        from mmengine.dist import is_main_process

        from ibn_seg.engine.progress_hook import BatchCallbackHook

        if is_main_process():
            total = tests * len(self.runner.test_dataloader)
            move = self.progress
            self.runner.register_hook(BatchCallbackHook(lambda done: move(self.name, done, total)))

    @contextlib.contextmanager
    def run_without_loop(self) -> Iterator[None]:
        """Call the hooks of a run's beginning and end, which else a loop of mmengine calls."""
        self.runner.call_hook("before_run")
        yield
        self.runner.call_hook("after_run")

    def write(self, entries: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Write the result file; return its content on every rank.

        Args:
            entries: Returns the measurement's own entries; called on the first rank.
        """
        return finish(
            self.runner, self.name, entries, command=self.command, checkpoint=self.checkpoint
        )


@contextlib.contextmanager
def measurement(
    name: str,
    config: "str | os.PathLike | Config",
    checkpoint: str | os.PathLike,
    adapt: "Callable[[Config], None] | None" = None,
    *,
    launcher: str = "none",
    protocol: str | None = None,
    **run: Unpack[RunOptions],
) -> Iterator[Measurement]:
    """Open a trained network for a measurement; close it afterwards.

    Args:
        name: What is measured, such as 'scales'.
        config: A path, an `ibn_seg::` name, or a config, which is not changed.
        checkpoint: A .pth file; every weight must fit.
        adapt: Changes the config in place, after its training part was removed.
        launcher: 'none', or what started the processes: 'pytorch' (torchrun), 'slurm', 'mpi'.
        protocol: Name of an evaluation protocol (`ibn_seg.evaluation.protocols`).
        run: See `RunOptions`.

    Raises:
        UserError: The config, the data or the checkpoint is wrong.
        EnvError: The work dir cannot be written.
    """
    command, progress = run.pop("command", None), run.pop("progress", None)
    with trained_runner(
        config,
        checkpoint,
        default_folder=name,
        adapt=adapt,
        launcher=launcher,
        protocol=protocol,
        **run,
    ) as runner:
        yield Measurement(name, runner, str(checkpoint), command, progress or _tell_nobody)


def check_tested(name: str, cfg: "Config", domains: Iterable[str] = ()) -> None:
    """Check that a config tests with our metric, and keep some of its domains.

    Args:
        name: What is measured, for the message.
        cfg: A config, changed in place.
        domains: The domains to keep; an empty sequence keeps all.

    Raises:
        UserError: The metric is another one, or the config has no such domain.
    """
    if not is_metric_of_ours(cfg.test_evaluator):
        raise UserError(f"{name}: test_evaluator is not MultiDomainIoU", "use that metric")
    keep_domains(cfg, domains)


def _tell_nobody(step: str, done: int, total: int) -> None:
    """Report no progress."""
