"""One cell: its training in a process of its own, and the record of how that ended."""

import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ibn_seg.benchmark.cells import Cell
from ibn_seg.benchmark.lease import VARIABLE, Lease, is_superseded
from ibn_seg.benchmark.plan import Plan
from ibn_seg.benchmark.store import OUTPUT, RESULT, Store
from ibn_seg.config import load_config
from ibn_seg.io import write_error, write_text
from ibn_seg.tasks.setup import add_hooks, set_protocol

_POLL_S = 0.2
# An interrupted training ends within an iteration or a validation image; then it is killed.
_GRACE_S = 30.0
_TAIL_BYTES = 8000
_DEFAULT_PROTOCOL = "native"


@dataclass
class Job:
    """What workers share.

    Attributes:
        plan: The plan.
        cells: Its cells.
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

    def wanted(self, cell: Cell) -> bool:
        """Tell whether a cell is to be run, as far as its files say now."""
        return self._wanted(cell, self.store.state(cell))

    def unfinished(self, cell: Cell) -> bool:
        """Tell whether a cell is to be run, or is being run: its worker may die."""
        state = self.store.state(cell)
        return state == "running" or self._wanted(cell, state)

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
            if not (work_dir / RESULT).is_file():
                code, output = _train(job, cell, held)
                if code is None:
                    return "lost" if held.lost else "stopped"
            else:
                code, output = 0, ""
            return _recorded(job, cell, held, code, output)
        except OSError as error:
            raise write_error(work_dir, error) from error


def _recorded(job: Job, cell: Cell, held: Lease, code: int, output: str) -> str:
    """Record how a training ended, unless the cell is another's by now."""
    if held.lost:
        return "lost"
    if code == 0:
        result = job.store.result(cell)
        counts = result["threads"], result["processes"]
        if counts == (job.plan.threads, job.plan.processes):
            job.store.record_done(cell)
            return "done"
        (job.store.work_dir(cell) / RESULT).unlink()
        output = f"trained with {counts[0]} threads in {counts[1]} processes, not as planned"
    job.store.record_failure(cell, code, output)
    return "failed"


def _train(job: Job, cell: Cell, held: Lease) -> tuple[int | None, str]:
    """Run the training of a cell.

    Returns:
        Its exit code, None if it was ended because the cell was lost or the job stopped, and the
        end of what it printed.
    """
    config = load_config(cell.config)
    if job.plan.protocol != _DEFAULT_PROTOCOL:
        set_protocol(config, job.plan.protocol)
    add_hooks(config, {"type": "LeaseHook"})
    write_text(job.store.config_file(cell), config.pretty_text)
    work_dir = job.store.work_dir(cell)
    with (work_dir / OUTPUT).open("ab") as output:
        start = output.tell()
        child = _start(job, cell, held, output)
        code = _wait(job, child, held)
    return code, _tail(work_dir / OUTPUT, start)


def _start(job: Job, cell: Cell, held: Lease, output: IO[bytes]) -> subprocess.Popen:
    """Start `ibn-seg train` for a cell, through torchrun where it has several processes."""
    processes, launcher = job.plan.processes, []
    ranks = []
    if processes > 1:
        ranks = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        launcher = ["--launcher", "pytorch"]
    command = [
        sys.executable, "-m", "ibn_seg.tasks.benchmark.child", str(os.getpid()),
        sys.executable, *ranks, "-m", "ibn_seg", "train", str(job.store.config_file(cell)),
        "--work-dir", str(job.store.work_dir(cell)), "--resume", *launcher,
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
