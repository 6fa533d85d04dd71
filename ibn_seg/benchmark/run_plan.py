"""Runs the matrix of a plan, or the rest of it, and shows its progress."""

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ibn_seg.analyses.all_analyses import part
from ibn_seg.benchmark.cell_progress import Board
from ibn_seg.benchmark.cell_run import Job, run_cell
from ibn_seg.benchmark.cells import list_cells
from ibn_seg.benchmark.devices import check_devices
from ibn_seg.benchmark.index import write_index
from ibn_seg.benchmark.launchers import Launcher, check_launcher, make_launcher
from ibn_seg.benchmark.needs import described, missing_needs, missing_targets
from ibn_seg.benchmark.plan import Plan, read_plan
from ibn_seg.benchmark.plan_parts import Scenes
from ibn_seg.benchmark.planned_cell import Cell
from ibn_seg.benchmark.search_cells import draw_cameras, missing_searches
from ibn_seg.benchmark.store import Store
from ibn_seg.errors import EnvError, UserError
from ibn_seg.progress import progress_callback
from ibn_seg.results import lease
from ibn_seg.run.setup import SCENES_VARIABLE, check_writable, scenes_at

# The folder of the plan's scenes in the results.
SCENES = "scenes"
_WATCH_S = 1.0
Say = Callable[[str], None]


def run_plan(
    plan_file: str | os.PathLike,
    results: str | os.PathLike,
    *,
    launcher: str = "local",
    jobs: int | None = None,
    retry_failed: bool = False,
    max_cells: int | None = None,
    launcher_options: Mapping[str, Any] | None = None,
    lease_s: float = lease.LEASE_S,
    skip_missing_targets: bool = False,
    say: Say = print,
) -> list[dict[str, Any]]:
    """Run the cells of a plan that are not done, not failed and not another process's.

    Several calls on one results folder share the work. Each returns when no cell is left, including
    the cells of others, or when it may begin no more. Interrupt at any time; the same call resumes.

    Args:
        plan_file: The plan.
        results: The folder of the results.
        launcher: 'local', 'ray' or 'slurm'.
        jobs: Cells that run at once. Default: 1 for 'local', else what the cluster allows.
        retry_failed: Try the failed cells again, each once.
        max_cells: The most cells to begin; default the plan's budget.
        launcher_options: For `ray.init`, or submitit's `update_parameters`.
        lease_s: Seconds after which a worker that shows no life loses its cell.
        skip_missing_targets: Leave targets out whose data are not on this machine, and say so. The
            cells have other ids then, because they are evaluated on less. Cells with more targets
            take their networks over.
        say: Receives one line per step.

    Returns:
        One row per cell, as in `RESULTS/benchmark.json`.

    Raises:
        UserError: The plan or a config is wrong, none of its cells can run, or 'local' got options.
            Or a cell needs more GPUs than there are here.
        EnvError: The folder cannot be written or has gone. Or the launcher's package or command is
            missing.
    """
    store = Store(results, lease_s)
    plan = _checked_plan(plan_file)
    if skip_missing_targets:
        plan = _without_missing(plan, store, say)
    check_writable(results)
    with _scenes_of(plan, store.folder):
        job = Job(plan, list_cells(plan), store, limit=max_cells or plan.budget.cells)
        if retry_failed:
            job.retries = {cell.id: len(store.failures(cell)) for cell in job.cells}
        left = [cell for cell in job.cells if job.unfinished(cell)]
        if launcher == "local":
            check_devices(plan, left)
        if launcher == "local" and len(left) == len(job.cells):
            _check_any_can_run(plan, left, store, say)
        if left and (plan.scenes is not None or plan.searches is not None):
            _render(plan, store, say)
        where = os.fspath(plan.file.resolve()), os.fspath(store.folder.resolve())
        task = functools.partial(run_by_id, *where, lease_s, job.retries, left_out=plan.left_out)
        started = make_launcher(launcher, job, task, jobs, launcher_options or {})
        try:
            started.start(left)
            _watch(job, started)
        finally:
            started.stop()
            rows = write_index(plan, job.cells, store)
    return rows


def _check_any_can_run(plan: Plan, cells: Sequence[Cell], store: Store, say: Say) -> None:
    """Check that at least one cell can succeed.

    Raises:
        UserError: Every cell must fail. Nothing was begun.
    """
    failing = []
    with contextlib.closing(missing_needs(plan, cells, store.folder / SCENES)) as looked_at:
        for cell, lines in looked_at:
            if not lines and not cell.needs:
                return
            failing.append((cell, lines))
    for line in described(failing):
        say(f"error: {plan.file}: {line}")
    raise UserError(
        f"{plan.file}: none of its {len(cells)} cells can run", "mend what the lines above say"
    )


def check_plan(
    plan_file: str | os.PathLike,
    results: str | os.PathLike,
    *,
    launcher: str = "local",
    retry_failed: bool = False,
    skip_missing_targets: bool = False,
) -> list[str]:
    """Return the reasons why cells that `run_plan` would begin must fail, one line each.

    Args:
        plan_file: The plan.
        results: The folder of the results; nothing is written.
        launcher: The launcher. For a cluster, this machine's data stand for all machines'.
        retry_failed: Whether failed cells would be tried again.
        skip_missing_targets: Whether missing targets would be left out.

    Raises:
        UserError: The plan or a config is wrong.
        EnvError: The launcher's package or command is missing.
    """
    check_launcher(launcher)
    plan, cells, store = open_plan(plan_file, results, skip_missing_targets)
    begun = ("to do", "interrupted", *(("failed",) if retry_failed else ()))
    waiting = [cell for cell in cells if store.state(cell) in begun]
    found = missing_needs(
        plan, waiting, store.folder / SCENES, here=launcher == "local", trial=True
    )
    with progress_callback("checks", passing=True) as progress:
        looked_at = []
        for cell in found:
            looked_at.append(cell)
            progress(len(looked_at), len(waiting))
    return described(looked_at)


def open_plan(
    plan_file: str | os.PathLike,
    results: str | os.PathLike,
    skip_missing_targets: bool = False,
    say: Say = lambda line: None,
) -> tuple[Plan, list[Cell], Store]:
    """Return a plan, its cells and the store of its results; nothing is run or written.

    Args:
        plan_file: The plan.
        results: The folder of the results.
        skip_missing_targets: Leave targets out whose data are not on this machine.
        say: Receives one line for each of them.

    Raises:
        UserError: The plan or a config is wrong.
    """
    plan, store = _checked_plan(plan_file), Store(results)
    if skip_missing_targets:
        plan = _without_missing(plan, store, say)
    with _scenes_of(plan, store.folder):
        return plan, list_cells(plan), store


def run_by_id(
    plan_file: str,
    results: str,
    lease_s: float,
    retries: Mapping[str, int],
    cell: str,
    left_out: Sequence[str] = (),
) -> None:
    """Run one cell on the machine that a launcher has chosen, with that machine's data roots.

    Args:
        plan_file: The plan, on a path that all machines have.
        results: The folder of the results, on such a path too.
        lease_s: Seconds after which a worker that shows no life loses its cell.
        retries: Failed cells to try again, with their number of failures.
        cell: The cell's id.
        left_out: Names of targets that were missing where the plan was started.

    Raises:
        UserError: The plan has no such cell.
        EnvError: The folder cannot be written.
    """
    plan, store = replace(read_plan(plan_file), left_out=tuple(left_out)), Store(results, lease_s)
    with _scenes_of(plan, store.folder):
        job = Job(plan, list_cells(plan), store, retries=dict(retries))
        found = next((one for one in job.cells if one.id == cell), None)
        if found is None:
            raise UserError(f"{plan_file}: has no cell {cell}", "the plan was changed meanwhile")
        # Its holder may die. A task that a cluster restarted finds its own old lease.
        while job.unfinished(found):
            if run_cell(job, found) is None:
                time.sleep(_WATCH_S)


def check_finished(rows: Sequence[Mapping[str, Any]], results: str | os.PathLike) -> None:
    """Check that no cell has failed.

    Raises:
        UserError: A cell has failed.
    """
    failed = [row for row in rows if row["state"] == "failed"]
    blocked = sum(row["state"] == "blocked" for row in rows)
    if failed:
        stuck = f" and block {blocked} that begin from them" if blocked else ""
        first = failed[0]["error"].removeprefix("error: ")
        raise UserError(
            f"{len(failed)} of {len(rows)} cells failed{stuck}, the first: {first}",
            f"see {Path(results, failed[0]['failed'])}, then run again with --retry failed",
        )


def _checked_plan(plan_file: str | os.PathLike) -> Plan:
    """Return a plan after checking that its analyses name existing things.

    Raises:
        UserError: The plan is wrong.
    """
    plan = read_plan(plan_file)
    for analysis in plan.analyses:
        try:
            part(analysis.task, "cell").check(analysis.options)
        except UserError as error:
            raise UserError(f"{plan.file}: analyses.{analysis.task}: {error.line}") from error
    return plan


def _without_missing(plan: Plan, store: Store, say: Say) -> Plan:
    """Return a plan without the targets whose data are missing here; say each of them."""
    if plan.searches is not None:
        missing = missing_searches(plan, store.folder)
    else:
        with _scenes_of(plan, store.folder):
            missing = missing_targets(plan, store.folder / SCENES)
    for name, line in missing.items():
        say(f"skipped target {name}: {line}")
    return replace(plan, left_out=tuple(missing))


@contextlib.contextmanager
def _scenes_of(plan: Plan, results: Path) -> Iterator[None]:
    """Point configs at the plan's scenes in the results, or where the user's variable says."""
    if plan.scenes is None or os.environ.get(SCENES_VARIABLE):
        yield
        return
    with scenes_at((results / SCENES).resolve()):
        yield


def _render(plan: Plan, store: Store, say: Say) -> None:
    """Render the plan's missing scenes or people, in one process at a time."""
    while (held := lease.acquire(store.folder / "scenes-lock", store.lease_s)) is None:
        time.sleep(_WATCH_S)
    with held:
        if plan.searches is not None:
            draw_cameras(plan, store.folder)
        if plan.scenes is not None:
            _render_scenes(plan.scenes, say)


def _render_scenes(scenes: Scenes, say: Say) -> None:
    from ibn_seg.scenes import write_pair

    out = os.environ[SCENES_VARIABLE]
    say(f"Scenes in {out}")
    with progress_callback("scenes") as progress:
        write_pair(
            out, size=scenes.size, source_frames=scenes.source, target_train=scenes.target_train,
            target_val=scenes.target_val, adverse_train=scenes.adverse_train,
            adverse_val=scenes.adverse_val, varied=scenes.varied,
            varied_without=scenes.varied_without, oddities=scenes.oddities, seed=scenes.seed,
            progress=progress,
        )  # fmt: skip


def _watch(job: Job, launcher: Launcher) -> None:
    """Show progress until the launcher has nothing left to wait for.

    Raises:
        EnvError: The results folder is gone.
    """
    with Board(job.cells, job.store) as board:
        while launcher.alive():
            if not job.store.folder.is_dir():
                raise EnvError(f"{job.store.folder}: is gone", "run the plan again")
            board.update()
            time.sleep(_WATCH_S)
        board.update()
