"""One cell: its commands in processes of their own, and the record of how these ended."""

import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ibn_seg.benchmark.cells import TRAINING, Cell
from ibn_seg.benchmark.plan import Plan
from ibn_seg.benchmark.steps import Step, cell_config, steps
from ibn_seg.benchmark.store import OUTPUT, Store
from ibn_seg.errors import EnvError, UserError
from ibn_seg.io import drop_training_state, read_json, write_error, write_text
from ibn_seg.results.lease import VARIABLE, Lease, is_superseded
from ibn_seg.run.result_file import last_checkpoint

_POLL_S = 0.2
# An interrupted command ends within an iteration or a validation image; then it is killed.
_GRACE_S = 30.0
# The table of torchrun alone takes some thousand bytes, and each process its traceback.
_TAIL_BYTES = 64_000


@dataclass
class Job:
    """What workers share.

    Attributes:
        plan: The plan.
        cells: Its cells, each behind what it needs.
        store: Where results are.
        retries: Failed cells to be tried again: their number of failures when this began.
        limit: No more cells are begun than this; None is no limit.
        stop: Set when everything is to end.
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
        """Tell whether a cell is to be run now, as far as files say: what it needs is done."""
        return self._wanted(cell, self.store.state(cell)) and self.ready(cell)

    def ready(self, cell: Cell) -> bool:
        """Tell whether all is done that a cell needs."""
        return all(self.store.state(self.by_id[need]) == "done" for need in cell.needs)

    def unfinished(self, cell: Cell) -> bool:
        """Tell whether a cell is to be run, now or later, or is being run: its worker may die.

        It is not if something that it needs has failed and is not tried again.
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


def run_cell(job: Job, cell: Cell) -> str | None:
    """Run a cell, or what is left of it, if no other process has it.

    Returns:
        'done', 'failed', 'lost' when another worker took over meanwhile, 'stopped' when the job
        was, None if the cell was not free.

    Raises:
        EnvError: The results folder cannot be written.
    """
    held = job.store.claim(cell)
    if held is None:
        return None
    with held:
        # Between a look at its files and the lock, another may have finished it.
        state = job.store.state(cell)
        tried = job.store.failures(cell)
        if state == "done" or (tried and job.retries.get(cell.id) != len(tried)):
            return None
        work_dir = job.store.work_dir(cell)
        try:
            return _run_steps(job, cell, held)
        except EnvError:
            raise
        except UserError as error:
            job.store.record_failure(cell, error.exit_code, f"error: {error.line}")
            return "failed"
        except OSError as error:
            raise write_error(work_dir, error) from error


def _run_steps(job: Job, cell: Cell, held: Lease) -> str:
    """Run those commands of a cell that have not left their result yet, and record how it ended.

    Returns:
        As `run_cell`.

    Raises:
        UserError: What the cell begins from is gone.
    """
    write_text(
        job.store.config_file(cell),
        cell_config(job.plan, job.by_id, job.store, cell).pretty_text,
    )
    for step in steps(job.plan, job.by_id, job.store, cell):
        if not step.output.is_file():
            code, output = _run(job, cell, held, step)
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
    if held.lost:
        return "lost"
    if cell.task == TRAINING:
        _keep_network(job.store.work_dir(cell))
    job.store.record_done(cell)
    return "done"


def _keep_network(work_dir: Path) -> None:
    """Leave of a finished training's checkpoints the best and the last, without training state."""
    last = Path(last_checkpoint(work_dir) or "").name
    for path in work_dir.glob("iter_*.pth"):
        if path.name == last:
            drop_training_state(path)
        else:
            path.unlink(missing_ok=True)


def _run(job: Job, cell: Cell, held: Lease, step: Step) -> tuple[int | None, str]:
    """Run a command of a cell.

    Returns:
        Its exit code, None if it was ended because the cell was lost or the job stopped, and the
        end of what it printed.
    """
    log = job.store.work_dir(cell) / OUTPUT
    with log.open("ab") as output:
        start = output.tell()
        child = _start(job, held, step, output)
        code = _wait(job, child, held)
    return code, _tail(log, start)


def _start(job: Job, held: Lease, step: Step, output: IO[bytes]) -> subprocess.Popen:
    """Start a command of a cell, through torchrun where it has several processes."""
    ranks, launcher = [], []
    if step.processes > 1:
        ranks = ["-m", "torch.distributed.run", "--standalone"]
        ranks.append(f"--nproc-per-node={step.processes}")
        launcher = ["--launcher", "pytorch"]
    command = [
        sys.executable, "-m", "ibn_seg.benchmark.child", str(os.getpid()),
        sys.executable, *ranks, "-m", "ibn_seg", *step.arguments, *launcher,
    ]  # fmt: skip
    threads = str(job.plan.threads)
    variables = {
        "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, VARIABLE: str(held.path)
    }  # fmt: skip
    # In a session of its own, Ctrl-C reaches this process alone, which then ends the child.
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        env={**os.environ, **variables}, start_new_session=True,
    )  # fmt: skip


def _wait(job: Job, child: subprocess.Popen, held: Lease) -> int | None:
    """Return the exit code of a child, None if it had to be ended."""
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
    """Send a signal to a child and to what it started."""
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return


def _tail(path: Path, start: int) -> str:
    """Return the end of what was written to a file after `start`, in whole lines."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        begin = max(start, size - _TAIL_BYTES)
        file.seek(begin)
        text = file.read().decode("utf-8", errors="replace")
    return text if begin == start else text.partition("\n")[2]
