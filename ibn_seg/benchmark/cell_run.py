"""Runs one cell: its commands in separate processes, and a record of how they ended."""

import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ibn_seg.benchmark.devices import Claim
from ibn_seg.benchmark.plan import Plan
from ibn_seg.benchmark.planned_cell import TRAINED, Cell
from ibn_seg.benchmark.steps import Step, cell_config, steps
from ibn_seg.benchmark.store import OUTPUT, Store
from ibn_seg.benchmark.trained_before import evaluation, take_over, trained_before
from ibn_seg.errors import EnvError, UserError
from ibn_seg.io import drop_training_state, read_json, write_error, write_text
from ibn_seg.results.lease import VARIABLE, Lease, is_superseded, note
from ibn_seg.run.result_file import last_checkpoint

_POLL_S = 0.2
# An interrupted command ends within an iteration or a validation image. Later it is killed.
_GRACE_S = 30.0
# torchrun's table alone takes some thousand bytes, and each process adds its traceback.
_TAIL_BYTES = 64_000
_UNCHANGED = Claim()


@dataclass
class Job:
    """The state that workers share.

    Attributes:
        plan: The plan.
        cells: Its cells, each after the cells that it needs.
        store: The results.
        retries: Failed cells to try again, with their number of failures at the beginning.
        limit: The most cells to begin; None is no limit.
        stop: Set when everything should end.
    """

    plan: Plan
    cells: list[Cell]
    store: Store
    retries: dict[str, int] = field(default_factory=dict)
    limit: int | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Index the cells."""
        self.by_id = {cell.id: cell for cell in self.cells}

    def wanted(self, cell: Cell) -> bool:
        """Tell, from files, whether a cell should run now: it is wanted and its needs are done."""
        return self._wanted(cell, self.store.state(cell)) and self.ready(cell)

    def ready(self, cell: Cell) -> bool:
        """Tell whether all cells that a cell needs are done."""
        return all(self.store.state(self.by_id[need]) == "done" for need in cell.needs)

    def unfinished(self, cell: Cell) -> bool:
        """Tell whether a cell should run, now or later, or is running (its worker may die).

        A cell does not count if a cell that it needs has failed and is not tried again.
        """
        state = self.store.state(cell)
        if state == "running":
            return True
        return self._wanted(cell, state) and all(
            self.store.state(need) == "done" or self.unfinished(need)
            for need in (self.by_id[name] for name in cell.needs)
        )

    def _wanted(self, cell: Cell, state: str) -> bool:
        if state == "failed":
            return self.retries.get(cell.id) == len(self.store.failures(cell))
        return state in ("to do", "interrupted")


def run_cell(job: Job, cell: Cell, claim: Claim = _UNCHANGED) -> str | None:
    """Run a cell, or the rest of it, if no other process has it.

    Args:
        job: The job.
        cell: The cell.
        claim: The GPUs for its processes. Default: all that this process sees.

    Returns:
        'done', 'failed', 'lost' (another worker took over) or 'stopped' (the job was stopped). None
        if another worker has the cell or has just ended it.

    Raises:
        EnvError: The results folder cannot be written.
    """
    held = job.store.claim(cell)
    if held is None:
        return None
    with held:
        # Another process may have finished the cell between the look at its files and the lock.
        state = job.store.state(cell)
        tried = job.store.failures(cell)
        if state == "done" or (tried and job.retries.get(cell.id) != len(tried)):
            return None
        work_dir = job.store.work_dir(cell)
        try:
            return _run_steps(job, cell, held, claim)
        except EnvError:
            raise
        except UserError as error:
            job.store.record_failure(cell, error.exit_code, f"error: {error.line}")
            return "failed"
        except OSError as error:
            raise write_error(work_dir, error) from error


def _run_steps(job: Job, cell: Cell, held: Lease, claim: Claim) -> str:
    """Run the commands of a cell that have no result yet, and record the outcome.

    Returns:
        As `run_cell`.

    Raises:
        UserError: The network that the cell begins from is gone.
    """
    write_text(
        job.store.config_file(cell),
        cell_config(job.plan, job.by_id, job.store, cell).pretty_text,
    )
    if claim.devices:
        note(held.path, "devices", devices=claim.devices)
    trained = trained_before(job.store, cell, job.plan.selection)
    if trained is not None:
        ended = _run_step(job, cell, held, evaluation(job.store, cell, trained), claim)
        if ended is not None:
            return ended
        take_over(job.store, cell, trained)
    for step in steps(job.plan, job.by_id, job.store, cell):
        ended = _run_step(job, cell, held, step, claim)
        if ended is not None:
            return ended
    if held.lost:
        return "lost"
    if cell.task in TRAINED:
        _keep_network(job.store.work_dir(cell))
    job.store.record_done(cell)
    return "done"


def _run_step(job: Job, cell: Cell, held: Lease, step: Step, claim: Claim) -> str | None:
    """Run a command unless its result is there; return how the cell ended if it did not succeed."""
    if not step.output.is_file():
        code, output = _run(job, cell, held, step, claim)
        if code is None:
            return "lost" if held.lost else "stopped"
        if held.lost:
            return "lost"
        if code:
            job.store.record_failure(cell, code, output)
            return "failed"
    result = read_json(step.output)
    counts = result["threads"], result["processes"]
    if counts != (job.plan.threads, step.processes):
        step.output.unlink()
        problem = f"run with {counts[0]} threads in {counts[1]} processes, not as planned"
        job.store.record_failure(cell, 0, problem)
        return "failed"
    return None


def _keep_network(work_dir: Path) -> None:
    """Keep only a finished training's best and last checkpoint, without training state."""
    last = Path(last_checkpoint(work_dir) or "").name
    for path in work_dir.glob("iter_*.pth"):
        if path.name == last:
            drop_training_state(path)
        else:
            path.unlink(missing_ok=True)


def _run(job: Job, cell: Cell, held: Lease, step: Step, claim: Claim) -> tuple[int | None, str]:
    """Run a command of a cell.

    Returns:
        Its exit code, and the end of its output. The code is None if the cell was lost or the job
        stopped, so that the command was ended.
    """
    log = job.store.work_dir(cell) / OUTPUT
    with log.open("ab") as output:
        start = output.tell()
        child = _start(job, held, step, claim, output)
        code = _wait(job, child, held)
    return code, _tail(log, start)


def _command(step: Step) -> list[str]:
    """Return the command line of a step: through torchrun if it has several processes.

    All of its processes end with this one.
    """
    child = ["-m", "ibn_seg.benchmark.child"]
    run = ["-m", "ibn_seg", *step.arguments]
    if step.processes > 1:
        count = f"--nproc-per-node={step.processes}"
        run = [
            "-m", "torch.distributed.run", "--standalone", count,
            *child, "-", sys.executable, "-u", *run, "--launcher", "pytorch",
        ]  # fmt: skip
    return [sys.executable, *child, str(os.getpid()), sys.executable, *run]


def _start(job: Job, held: Lease, step: Step, claim: Claim, output: IO[bytes]) -> subprocess.Popen:
    """Start a command of a cell."""
    threads = str(job.plan.threads)
    variables = {
        "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, VARIABLE: str(held.path)
    }  # fmt: skip
    # The child has its own session, so Ctrl-C reaches only this process, which then ends the child.
    return subprocess.Popen(
        _command(step), stdin=claim.handle, stdout=output, stderr=output,
        env={**os.environ, **claim.variables, **variables}, start_new_session=True,
    )  # fmt: skip


def _wait(job: Job, child: subprocess.Popen, held: Lease) -> int | None:
    """Return the exit code of a child; None if it had to be ended."""
    try:
        while True:
            try:
                return child.wait(timeout=_POLL_S)
            except subprocess.TimeoutExpired:
                if is_superseded(held.path):
                    return None
                if job.stop.is_set():
                    _signal(child, signal.SIGINT)
                    child.wait(timeout=_GRACE_S)
                    return None
    except subprocess.TimeoutExpired:
        return None
    finally:
        if child.poll() is None:
            _signal(child, signal.SIGKILL)
            child.wait()


def _signal(child: subprocess.Popen, number: signal.Signals) -> None:
    """Send a signal to a child and the processes that it started."""
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return


def _tail(path: Path, start: int) -> str:
    """Return the end of a file's text after `start`, in whole lines."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        begin = max(start, size - _TAIL_BYTES)
        file.seek(begin)
        text = file.read().decode("utf-8", errors="replace")
    return text if begin == start else text.partition("\n")[2]
