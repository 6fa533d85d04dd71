"""`ibn-seg report`."""

import click


@click.command()
@click.argument("runs", nargs=-1, required=True)
@click.option("-o", "--out", metavar="FILE",
              help="The page. Default: report.html in the first run's folder.")  # fmt: skip
@click.option("--source", metavar="NAME",
              help="The training domain, for runs that do not state it.")  # fmt: skip
@click.option("--scenes", type=click.IntRange(0), default=0, show_default=True,
              help="Images of each domain to predict. Needs checkpoints and data.")  # fmt: skip
@click.option("--title", default="Domain generalisation report", show_default=True,
              help="Heading of the page.")  # fmt: skip
def report(
    runs: tuple[str, ...], out: str | None, source: str | None, scenes: int, title: str
) -> None:
    """Write one HTML page about RUNS: scores, classes, curves and how to repeat them.

    RUNS are work dirs of `ibn-seg train`, `test` or `evaluate`, or their result files. Runs of
    several methods and seeds are compared, as on the demo's page. They need the same source,
    domains, protocol and backbone. Nothing is trained or evaluated again. With --scenes the
    networks predict a few evenly spaced images.

    \b
    Examples:
      ibn-seg report work_dirs/first
      ibn-seg report work_dirs/bn_seed0 work_dirs/ibn-a_seed0 work_dirs/ibn-a_seed1 -o page.html
      ibn-seg report work_dirs/first --scenes 2
      ibn-seg report work_dirs/theirs/evaluate --source gta5
    """
    from ibn_seg.panels.of_runs import report_runs

    click.echo(report_runs(runs, out, source=source, scenes=scenes, title=title))
