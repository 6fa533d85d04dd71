"""`ibn-seg demo`."""

import click


def _parse_seeds(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, ...]:
    """Return "0,1" as (0, 1)."""
    words = [word.strip() for word in value.split(",")]
    if not all(word.isdigit() for word in words) or len(set(words)) != len(words):
        raise click.BadParameter(f"{value!r} is not a list of different seeds such as 0,1,2")
    return tuple(int(word) for word in words)


@click.command()
@click.option("--quick", is_flag=True, help="A taste in about three minutes: fewer iterations.")
@click.option(
    "--work-dir",
    metavar="DIR",
    help="Default: work_dirs/demo, with --quick work_dirs/demo-quick.",
)
@click.option(
    "--seeds",
    default="0",
    show_default=True,
    callback=_parse_seeds,
    metavar="LIST",
    help="Training seeds, with commas; every method is trained once per seed.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes that render the scenes.",
)
def demo(quick: bool, work_dir: str | None, seeds: tuple[int, ...], workers: int) -> None:
    """Render street scenes, train BN, IBN-a and IBN-b on the source, and report.

    Everything runs on the CPU through the code that runs on the real data sets. Interrupt at any
    time; the same command goes on where it was. More seeds can be added to a finished demo.

    \b
    Examples:
      ibn-seg demo
      ibn-seg demo --quick
      ibn-seg demo --seeds 0,1
    """
    from ibn_seg.demo.train_and_report import FULL, QUICK
    from ibn_seg.demo.train_and_report import demo as run
    from ibn_seg.report.scores import summary_rows
    from ibn_seg.report.tables import terminal_table
    from ibn_seg.terminal import plain_console

    plan = QUICK if quick else FULL
    folder = work_dir or ("work_dirs/demo-quick" if quick else "work_dirs/demo")
    results, report = run(folder, plan, seeds=seeds, workers=workers, say=click.echo)
    plain_console().print(terminal_table(summary_rows(results)))
    click.echo(f"Report: {report}")
