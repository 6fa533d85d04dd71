"""Runs the cells of a job: in worker threads here, as Ray tasks, or as slurm jobs.

Every launcher calls the same function for a cell (`run_cell`). There the files of the results
folder decide who works on the cell. So launchers may be mixed, and started more than once.
"""

import concurrent.futures
import math
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ibn_seg.benchmark.cell_run import Job, run_cell
from ibn_seg.benchmark.devices import Devices, gpus_of, visible_devices
from ibn_seg.benchmark.planned_cell import Cell
from ibn_seg.errors import EnvError, UserError

LAUNCHERS = ("local", "ray", "slurm")
# Interval of looking for cells that others have left.
_POLL_S = 1.0
_WEEK_MIN = 7 * 24 * 60


class Launcher(Protocol):
    """Runs the cells of a job until they are done or no more may be begun."""

    def start(self, cells: Sequence[Cell]) -> None:
        """Begin and return. The given cells are the ones to run, or in the hands of others."""

    def alive(self) -> bool:
        """Tell whether there is something left to wait for.

        Raises:
            Exception: A worker itself failed, not its cell.
        """

    def stop(self) -> None:
        """End everything that runs; cells keep their checkpoints."""


class _Queue:
    """Cells for a cluster, each released when all cells that it needs are done.

    Args:
        job: The job to run.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._waiting: list[Cell] = []
        self._left = job.limit or math.inf

    def put(self, cells: Sequence[Cell]) -> None:
        """Replace the waiting cells by these."""
        self._waiting = list(cells)

    def take(self) -> list[Cell]:
        """Return the cells that can begin now, as many as the job may still begin.

        Cells that others have ended and cells that can never begin are dropped. All are dropped
        once no more may be begun.
        """
        # First drop cells that others have ended, then ask which of the rest can begin.
        self._waiting = [cell for cell in self._waiting if self._job.unfinished(cell)]
        ready = [cell for cell in self._waiting if self._job.ready(cell)]
        if len(ready) > self._left:
            ready = ready[: int(self._left)]
        self._left -= len(ready)
        self._waiting = [c for c in self._waiting if c not in ready] if self._left else []
        return ready

    def __bool__(self) -> bool:
        return bool(self._waiting)


class LocalLauncher:
    """Worker threads, each with one cell's processes at a time.

    Each cell has its own GPUs. It waits for those of other cells if too few are free.

    Args:
        job: The job to run.
        workers: The most cells that run at once.

    Raises:
        UserError: CUDA_VISIBLE_DEVICES names a device twice.
    """

    def __init__(self, job: Job, workers: int) -> None:
        self._job = job
        self._workers = workers
        self._pool = concurrent.futures.ThreadPoolExecutor(workers, "cell")
        self._futures: list[concurrent.futures.Future] = []
        hours = job.plan.budget.hours
        self._end = time.monotonic() + hours * 3600 if hours else math.inf
        self._left = job.limit or math.inf
        self._counting = threading.Lock()
        self._visible = visible_devices()
        self._devices = Devices(self._visible)

    def start(self, cells: Sequence[Cell]) -> None:
        """Start the workers, which look through the cells of the job themselves."""
        self._futures = [self._pool.submit(self._work) for _ in range(self._workers)]

    def alive(self) -> bool:
        """Tell whether a worker is busy, or waits for the work of others."""
        ended = [future for future in self._futures if future.done()]
        for future in ended:
            future.result()
        return len(ended) < len(self._futures)

    def stop(self) -> None:
        """Interrupt the trainings and wait for their end."""
        self._job.stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _work(self) -> None:
        """Run the job's cells; wait while others work, because they may die."""
        job = self._job
        while not job.stop.is_set():
            outcomes = [self._try(cell) for cell in job.cells]
            if any(outcomes):
                continue
            if self._spent() or not any(job.unfinished(cell) for cell in job.cells):
                return
            job.stop.wait(_POLL_S)

    def _try(self, cell: Cell) -> str | None:
        """Run one cell if it is free, its GPUs are, and the budget allows."""
        if self._job.stop.is_set() or not self._job.wanted(cell):
            return None
        with self._counting:
            if self._spent():
                return None
            self._left -= 1
        gpus, outcome = gpus_of(self._job.plan, cell, self._visible), None
        with self._devices.claimed(gpus) as claim:
            if claim is not None:
                outcome = run_cell(self._job, cell, claim)
        if outcome is None:
            with self._counting:
                self._left += 1
        return outcome

    def _spent(self) -> bool:
        return self._left < 1 or time.monotonic() > self._end


class RayLauncher:
    """One Ray task per cell, with the CPUs and the GPU share of the plan.

    Args:
        job: The job to run.
        task: Runs the cell of an id. Its imports must be available on every node.
        workers: Cells at once on a Ray that is started here; default what the machine allows.
            Without effect on a cluster that `options` name by `address`.
        options: For `ray.init`, such as `address`.

    Raises:
        EnvError: The package ray is not installed.
    """

    def __init__(
        self, job: Job, task: Callable[[str], None], workers: int | None, options: Mapping[str, Any]
    ) -> None:
        self._ray = _optional("ray")
        self._job, self._task = job, task
        self._cpus = job.plan.threads * job.plan.processes
        local = {"num_cpus": workers * self._cpus} if workers and "address" not in options else {}
        self._options = {"log_to_driver": False, "include_dashboard": False, **local, **options}
        if "address" in options:
            del self._options["include_dashboard"]
        self._tasks: list = []
        self._queue = _Queue(job)

    def start(self, cells: Sequence[Cell]) -> None:
        """Join or start a Ray cluster, and submit the cells that need no other cell."""
        if not cells:
            return
        self._ray.init(**self._options)
        task = self._task

        def one_cell(cell: str) -> None:
            task(cell)

        self._remote = self._ray.remote(
            num_cpus=self._cpus, num_gpus=self._job.plan.gpus or 0
        )(one_cell)  # fmt: skip
        self._queue.put(cells)
        self._submit()

    def alive(self) -> bool:
        """Submit the cells that can begin now; tell whether tasks are left."""
        ended, self._tasks = self._ray.wait(
            self._tasks, num_returns=len(self._tasks), timeout=0
        ) if self._tasks else ([], [])  # fmt: skip
        self._ray.get(ended)
        self._submit()
        return bool(self._tasks or self._queue)

    def _submit(self) -> None:
        self._tasks += [self._remote.remote(cell.id) for cell in self._queue.take()]

    def stop(self) -> None:
        """Cancel the tasks and leave the cluster."""
        if self._ray.is_initialized():
            for task in self._tasks:
                self._ray.cancel(task)
            self._ray.wait(self._tasks, num_returns=len(self._tasks), timeout=30)
            self._ray.shutdown()


class SlurmLauncher:
    """One job of a slurm array per cell, through submitit.

    The watching process submits a cell when the cells that it needs are done.

    Args:
        job: The job to run.
        task: Runs the cell of an id.
        workers: Jobs at once of each array; default as many as the cluster allows. Cells that need
            others come in later arrays.
        options: For `submitit.AutoExecutor.update_parameters`, such as `slurm_partition`.
        cluster: 'slurm'; submitit's 'local' runs the jobs on this machine.

    Raises:
        EnvError: The package submitit is not installed, or slurm's `sbatch` is missing.
    """

    def __init__(
        self,
        job: Job,
        task: Callable[[str], None],
        workers: int | None,
        options: Mapping[str, Any],
        cluster: str = "slurm",
    ) -> None:
        submitit = _optional("submitit", "slurm")
        if cluster == "slurm":
            _check_sbatch()
        plan, self._task, self._queue = job.plan, task, _Queue(job)
        executor = submitit.AutoExecutor(job.store.folder / "slurm", cluster=cluster)
        hours = plan.budget.hours
        parameters = {
            "name": plan.name, "cpus_per_task": plan.threads * plan.processes, "tasks_per_node": 1,
            "gpus_per_node": math.ceil(plan.gpus or 0),
            "timeout_min": math.ceil(hours * 60) if hours else _WEEK_MIN,
        }  # fmt: skip
        if workers and cluster == "slurm":
            parameters["slurm_array_parallelism"] = workers
        executor.update_parameters(**{**parameters, **options})
        self._executor = executor
        self._jobs: list = []

    def start(self, cells: Sequence[Cell]) -> None:
        """Submit the cells that need no other cell."""
        self._queue.put(cells)
        self._submit()

    def alive(self) -> bool:
        """Submit the cells that can begin now; tell whether jobs are left."""
        for job in [job for job in self._jobs if job.done()]:
            self._jobs.remove(job)
            job.result()
        self._submit()
        return bool(self._jobs or self._queue)

    def _submit(self) -> None:
        ids = [cell.id for cell in self._queue.take()]
        if ids:
            self._jobs += self._executor.map_array(self._task, ids)

    def stop(self) -> None:
        """Cancel the jobs."""
        for job in self._jobs:
            job.cancel()


def check_launcher(name: str) -> None:
    """Check that a launcher can be used here.

    Raises:
        EnvError: A package or a command that it needs is missing.
    """
    if name == "ray":
        _optional("ray")
    elif name == "slurm":
        _optional("submitit", "slurm")
        _check_sbatch()


def _check_sbatch() -> None:
    if shutil.which("sbatch") is None:
        raise EnvError("--launcher slurm: there is no sbatch here", "run it on a login node")


def make_launcher(
    name: str,
    job: Job,
    task: Callable[[str], None],
    workers: int | None,
    options: Mapping[str, Any],
) -> Launcher:
    """Return a launcher by name.

    Args:
        name: One of `LAUNCHERS`.
        job: The job to run.
        task: Runs the cell of an id, on a cluster.
        workers: Cells that run at once. Default: 1 for 'local', else what the cluster allows.
        options: For the cluster, see its launcher.

    Raises:
        UserError: Options for a launcher that takes none.
        EnvError: A package or a command that it needs is missing.
    """
    if name == "local":
        if options:
            raise UserError("--launcher-option", "only 'ray' and 'slurm' take options")
        return LocalLauncher(job, workers or 1)
    return {"ray": RayLauncher, "slurm": SlurmLauncher}[name](job, task, workers, options)


def _optional(package: str, extra: str | None = None) -> Any:
    """Import a package that belongs to an extra."""
    import importlib

    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise EnvError(
            f"the package {package!r} is not installed",
            f"pip install 'ibn_seg[{extra or package}]'",
        ) from error
