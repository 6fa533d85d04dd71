"""`ibn-seg benchmark`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

_LAUNCHERS = ("local", "ray", "slurm")


@click.command()
@click.argument("plan")
@click.option("--results", metavar="DIR", help="Default: work_dirs/benchmark/NAME_OF_THE_PLAN.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print the cells, the time and the disk they need, and try their trainings out.",
)
@click.option("--launcher", type=click.Choice(_LAUNCHERS), default="local", show_default=True,
              help="Where cells run.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(1), metavar="N",
              help="Cells at once. Default: 1; with a cluster, what it gives.")  # fmt: skip
@click.option("--launcher-option", multiple=True, metavar="KEY=VALUE",
              help="For ray.init, or for submitit, such as slurm_partition=gpu.")  # fmt: skip
@click.option("--retry", type=click.Choice(("failed",)), help="Try failed cells again.")
@click.option("--max-cells", type=click.IntRange(1), metavar="N",
              help="Begin no more cells than this. Default: the plan's budget.")  # fmt: skip
@click.option("--lease", type=click.FloatRange(1), default=60.0, show_default=True, metavar="S",
              help="Seconds until the cell of a worker that died is free for others.")  # fmt: skip
@click.option("--skip-missing-targets", is_flag=True,
              help="Evaluate on the targets whose data are here, and name the others.")  # fmt: skip
def benchmark(
    plan: str,
    results: str | None,
    dry_run: bool,
    launcher: str,
    jobs: int | None,
    launcher_option: tuple[str, ...],
    retry: str | None,
    max_cells: int | None,
    lease: float,
    skip_missing_targets: bool,
) -> None:
    """Run the matrix of PLAN, a YAML file: methods x backbones x segmentors x sources x seeds.

    Beside the matrix a plan may name oracles, analyses and transfer. Oracles are trained on a
    target's own training set. Analyses measure trained networks, such as robustness. Transfer
    trains on shares of a target's training set. What begins from a network runs when that is
    trained, and is blocked when its training failed.

    A cell that is done is not run again. Its ID is a hash of what can change its scores; data
    roots, folder and launcher are no part of it. Interrupt at any time: the same command goes on.
    Several processes, on several machines, may work on one results folder. Each takes cells that
    are free.

    \b
    Examples:
      ibn-seg benchmark configs/benchmark/demo.yaml --dry-run
      ibn-seg benchmark configs/benchmark/demo.yaml
      ibn-seg benchmark PLAN --results /shared/run1 --launcher ray
      ibn-seg benchmark PLAN --results /shared/run1 --retry failed
      ibn-seg benchmark ibn_seg::benchmark/gta5 --skip-missing-targets --jobs 2
    """
    from ibn_seg.benchmark.plan import read_plan
    from ibn_seg.benchmark.run_plan import check_finished, run_plan
    from ibn_seg.run.config_loading import read_options
    from ibn_seg.terminal import plain_console

    folder = results or f"work_dirs/benchmark/{read_plan(plan).name}"
    if dry_run:
        _show(plan, folder, skip_missing_targets)
        _check(plan, folder, launcher, retry == "failed", skip_missing_targets)
        return
    rows = run_plan(
        plan,
        folder,
        launcher=launcher,
        jobs=jobs,
        retry_failed=retry == "failed",
        max_cells=max_cells,
        launcher_options=read_options(launcher_option, "--launcher-option"),
        lease_s=lease,
        skip_missing_targets=skip_missing_targets,
        say=lambda line: click.echo(line, err=True),
    )
    plain_console().print(cells_table(rows, "state"))
    click.echo(f"{_counts(rows)}; index: {folder}/benchmark.json")
    check_finished(rows, folder)


def _check(plan: str, folder: str, launcher: str, retry_failed: bool, skip: bool) -> None:
    """Report the cells that would fail.

    Raises:
        UserError: A cell would fail.
    """
    from ibn_seg.benchmark.run_plan import check_plan
    from ibn_seg.errors import UserError

    lines = check_plan(
        plan, folder, launcher=launcher, retry_failed=retry_failed, skip_missing_targets=skip
    )
    for line in lines:
        click.echo(f"error: {plan}: {line}", err=True)
    if lines:
        raise UserError(f"{plan}: not all cells can run", "mend what the lines above say")


def _show(plan_file: str, folder: str, skip: bool) -> None:
    """Print the cells of a plan and the remaining work."""
    from ibn_seg.benchmark.index import estimate, rows
    from ibn_seg.benchmark.run_plan import open_plan
    from ibn_seg.terminal import plain_console

    plan, cells, store = open_plan(
        plan_file, folder, skip, say=lambda line: click.echo(line, err=True)
    )
    found = rows(plan, cells, store)
    plain_console().print(cells_table(found, "id", "state"))
    left = estimate(cells, store)
    needed = f"time {left.seconds / 60:.0f} min of one worker, disk {left.size / 2**20:.0f} MiB"
    if left.unknown:
        what = f"{left.unknown} cells, unknown until one of each kind is done"
        needed = f"{needed}, and {what}" if left.seconds else what
    click.echo(f"{_counts(found)}; left: {needed}; results: {folder}")
    if plan.searches is not None:
        click.echo(f"{plan.threads} thread(s) x {plan.processes} process(es) per cell")
        return
    click.echo(
        f"protocol {plan.protocol}; checkpoint: {plan.selection}; {plan.threads} thread(s) x "
        f"{plan.processes} process(es) per cell"
    )


def cells_table(rows: Sequence[Mapping[str, Any]], *columns: str) -> "Table":
    """Return the cells as a table, with each domain's mIoU if it is known.

    It fits into 80 columns, because it has no frames and wraps the longer words of a row.
    """
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0))
    names = ("method", "backbone", "source", "seed", *columns)
    table.add_column("work", min_width=10, overflow="fold")
    for name in names:
        table.add_column(name, no_wrap=name != "method", overflow="fold")
    searching = any(row["task"] == "reid" for row in rows)
    table.add_column("mAP" if searching else "mIoU", min_width=13, overflow="fold")
    for row in rows:
        scores = [f"{name} {value:.2f}" for name, value in row.get("mIoU", {}).items()]
        scores += [f"{name} {found['mAP']:.2f}" for name, found in row.get("searches", {}).items()]
        domains = "\n".join(scores) or ", ".join(row["targets"])
        table.add_row(_work(row), *(str(row[name]) for name in names), domains)
    return table


def _work(row: Mapping[str, Any]) -> str:
    """Return a description of a cell's task; for re-identification with its recipe."""
    if row["task"] == "reid":
        return f"reid {row['segmentor']}"
    share = "" if row["share"] is None else f" {row['share']:g} % from {row['start']}"
    return f"{row['task']}{share}"


def _counts(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the number of cells in each state."""
    from ibn_seg.benchmark.store import STATES

    counts = {state: sum(row["state"] == state for row in rows) for state in STATES}
    said = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return f"{len(rows)} cells: {said}"
