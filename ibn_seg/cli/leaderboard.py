"""`ibn-seg leaderboard`."""

import click

from ibn_seg.analyses.all_analyses import ANALYSES
from ibn_seg.command_options import command_line, split_words


@click.command()
@click.argument("results", nargs=-1, required=True)
@click.option("-o", "--out", metavar="FILE",
              help="The page. Default: leaderboard.html in the first folder.")  # fmt: skip
@click.option("--export", "exports", multiple=True, metavar="FORMAT",
              help="csv, latex or markdown, beside the page; several with commas.")  # fmt: skip
@click.option("--tables", default="", metavar="NAMES",
              help="Tables for LaTeX and Markdown by the beginnings of their names: main, domain, "
              f"classes, {', '.join(ANALYSES)}, severities, published.")  # fmt: skip
@click.option("--columns", default="", metavar="NAMES",
              help="Columns of LaTeX tables by the beginnings of their names, such as "
              "mean,vs,95. Default: what fits a paper's column.")  # fmt: skip
@click.option("--baseline", metavar="METHOD",
              help="What methods are compared with. Default: BN, or the plan's first method where "
              "none is BN.")  # fmt: skip
@click.option("--published", type=click.Choice(("verified", "all", "none")), default="verified",
              show_default=True,
              help="Figures of papers; 'all' includes unchecked ones, marked.")  # fmt: skip
@click.option("--title", default="Leaderboard", show_default=True, help="Heading of the page.")
def leaderboard(
    results: tuple[str, ...],
    out: str | None,
    exports: tuple[str, ...],
    tables: str,
    columns: str,
    baseline: str | None,
    published: str,
    title: str,
) -> None:
    """Compare all networks in RESULTS on one HTML page, with intervals.

    RESULTS are folders of `ibn-seg benchmark`, and of `ibn-seg evaluate` or `test` for networks
    from elsewhere. Nothing is trained or evaluated again. Scores, paired differences and their
    intervals come from the stored matrices of each image.

    \b
    Examples:
      ibn-seg leaderboard work_dirs/benchmark/demo
      ibn-seg leaderboard work_dirs/benchmark/demo work_dirs/theirs/evaluate -o board.html
      ibn-seg leaderboard RESULTS --export csv,latex,markdown --tables main,transfer
      ibn-seg leaderboard RESULTS --export latex --tables main --columns mean,vs,95
    """
    from ibn_seg.leaderboard import write_leaderboard

    written = write_leaderboard(
        results,
        out,
        exports=[name for text in exports for name in split_words(text)],
        only=split_words(tables),
        columns=split_words(columns),
        baseline=baseline,
        published=published,
        title=title,
        command=command_line(),
    )
    for path in written:
        click.echo(path)
