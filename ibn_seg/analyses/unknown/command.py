"""`ibn-seg unknown`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ibn_seg.analyses.option_kinds import add_options
from ibn_seg.analyses.unknown.options import OPTIONS
from ibn_seg.command_options import ConfigCommand, measurement_options

if TYPE_CHECKING:
    from ibn_seg.run.measurement import RunOptions


@click.command(cls=ConfigCommand)
@click.argument("config")
@click.argument("checkpoint")
@add_options(OPTIONS, "data")
@measurement_options("unknown")
def unknown(
    config: str,
    checkpoint: str,
    data: tuple[str, ...],
    options: "RunOptions",
) -> None:
    """Measure whether low confidence finds things that are none of CHECKPOINT's classes.

    Prints AUROC, AUPRC and FPR@95 of each data set, where pixels of unknown things are positive.
    Intervals are over pictures. Writes unknown.json.

    \b
    Examples:
      ibn-seg scenes data/odd --source 1 --target-train 0 --target-val 0 --oddities 100
      ibn-seg unknown CONFIG CHECKPOINT --data oddities=data/odd/oddities
      ibn-seg unknown CONFIG CHECKPOINT --data anomalies:smiyc=data/dataset_AnomalyTrack
    """
    from ibn_seg.analyses.unknown.run import find_unknown
    from ibn_seg.progress import progress_by_step

    with progress_by_step() as move:
        result = find_unknown(
            config,
            checkpoint,
            data,
            progress=move,
            **options,
        )
    _print(result["unknown_things"])


def _print(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the measures of each data set in percent, with intervals over pictures."""
    from rich.table import Table

    from ibn_seg.analyses.unknown.numbers import MEASURES
    from ibn_seg.terminal import plain_console

    console = plain_console()
    caption = "all pixels of a data set pooled, percent; 95 % intervals over pictures"
    table = Table(title="unknown things", caption=caption)
    for title in ("data", "pictures", "share", *MEASURES.values()):
        table.add_column(title, justify="left" if title == "data" else "right")
    for name, one in found.items():
        share = one["unknown_share"]
        cells = [str(one["images"]), "-" if share is None else f"{100 * share:.2f}"]
        for measure in MEASURES:
            value, borders = one["pooled"][measure], one["interval"][measure]
            spread = "" if borders is None else " ({:.1f} to {:.1f})".format(
                *(100 * border for border in borders)
            )  # fmt: skip
            cells.append("-" if value is None else f"{100 * value:.2f}{spread}")
        table.add_row(name, *cells)
    console.print(table)
    for name, one in found.items():
        if one["undefined"]:
            console.print(f"{name}: {one['undefined']}", highlight=False)
