"""`ibn-seg panels`."""

import click


@click.command()
@click.argument("results")
@click.option("--count", type=click.IntRange(1), default=2, show_default=True,
              help="Images of each target.")  # fmt: skip
@click.option("--method", "methods", metavar="NAME", multiple=True,
              help="Method to compare; repeat for several. Default: BN, IBN-a, IBN-b.")  # fmt: skip
@click.option(
    "--backbone",
    metavar="NAME",
    help="Backbone to compare. Default: the one with the most methods.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    help="Seed to compare. Default: the first with the most methods.",
)
def panels(
    results: str, count: int, methods: tuple[str, ...], backbone: str | None, seed: int | None
) -> None:
    """Predict the images on which the methods of a benchmark in RESULTS disagree most.

    These are the images where the methods' shares of right pixels differ most. The matrices that
    the benchmark stored tell which they are. Writes RESULTS/panels, which the leaderboard shows.
    Needs the checkpoints and the data.

    \b
    Examples:
      ibn-seg panels work_dirs/benchmark/demo
      ibn-seg panels work_dirs/benchmark/demo --count 4 --method BN --method IBN-b --seed 1
    """
    from ibn_seg.panels.of_benchmark import panels as run

    index = run(results, count=count, methods=methods, backbone=backbone, seed=seed, say=click.echo)
    if index is not None:
        click.echo(index)
