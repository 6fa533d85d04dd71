"""`ibn-seg adaptation`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from ibn_seg.analyses.adaptation.options import OPTIONS
from ibn_seg.analyses.option_kinds import add_options
from ibn_seg.command_options import ConfigCommand, measurement_options

if TYPE_CHECKING:
    from ibn_seg.run.measurement import RunOptions


@click.command(cls=ConfigCommand)
@click.argument("config")
@click.argument("checkpoint")
@add_options(OPTIONS, "adaptations", "batch_sizes", "domains", "seed")
@measurement_options("adaptation", protocol=True)
def adaptation(
    config: str,
    checkpoint: str,
    adaptations: tuple[str, ...],
    batch_sizes: tuple[int, ...],
    domains: tuple[str, ...],
    seed: int,
    protocol: str | None,
    options: "RunOptions",
) -> None:
    """Score CHECKPOINT as it is, and adapted to each domain at test time.

    Batch norms use statistics of the target: of each batch (batch BN, TENT) or of all images
    (AdaBN). TENT also adapts scales and shifts. Each domain begins from the trained network. These
    methods see images of the target: never compare them with methods that see none.

    \b
    Examples:
      ibn-seg adaptation CONFIG CHECKPOINT
      ibn-seg adaptation CONFIG CHECKPOINT --adaptations AdaBN,TENT --batch-sizes 8
    """
    from ibn_seg.analyses.adaptation.run import adaptation as run
    from ibn_seg.progress import progress_by_step

    with progress_by_step() as move:
        result = run(
            config,
            checkpoint,
            adaptations=adaptations,
            batch_sizes=batch_sizes,
            domains=domains,
            seed=seed,
            protocol=protocol,
            progress=move,
            **options,
        )
    _print(result)


def _print(result: Mapping) -> None:
    """Print a table for each domain."""
    from rich.table import Table

    from ibn_seg.terminal import plain_console

    console = plain_console()
    for domain, clean in result["domains"].items():
        name = result["method"] or result["name"]
        table = Table(title=f"{name}, {domain}: mIoU {clean['mIoU']:.2f} without adaptation")
        table.add_column("adapted by")
        for column in ("images at once", "mIoU", "gain"):
            table.add_column(column, justify="right")
        for one in result["adapted"]:
            score, gain = one["domains"][domain]["mIoU"], one["gain"][domain]
            size = one["batch_size"] or "all"
            table.add_row(one["method"], str(size), f"{score:.2f}", f"{gain:+.2f}")
        console.print(table)
