"""`ibn-seg scales`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from ibn_seg.analyses.option_kinds import add_options
from ibn_seg.analyses.scales.options import OPTIONS
from ibn_seg.command_options import ConfigCommand, measurement_options

if TYPE_CHECKING:
    from ibn_seg.run.measurement import RunOptions


@click.command(cls=ConfigCommand)
@click.argument("config")
@click.argument("checkpoint")
@add_options(OPTIONS, "scales", "domains")
@measurement_options("scales")
def scales(
    config: str,
    checkpoint: str,
    scales: tuple[float, ...],
    domains: tuple[str, ...],
    options: "RunOptions",
) -> None:
    """Test CHECKPOINT at several scales of its input, and with the mean over them.

    Labels stay at their size, and logits are resized back to it. Prints mIoU, ECE, AUROC and the
    network's time for each scale and for their ensemble. Writes scales.json.

    \b
    Examples:
      ibn-seg scales CONFIG CHECKPOINT
      ibn-seg scales CONFIG CHECKPOINT --scales 0.5,1,2 --domain cityscapes
    """
    from ibn_seg.analyses.scales.run import scale_sweep
    from ibn_seg.progress import progress_by_step

    with progress_by_step() as move:
        result = scale_sweep(
            config,
            checkpoint,
            scales=scales,
            domains=domains,
            progress=move,
            **options,
        )
    _print(result["scales"])


def _print(found: Sequence[Mapping[str, Any]]) -> None:
    """Print a row for each scale and domain, in percent."""
    from rich.table import Table

    from ibn_seg.terminal import plain_console

    table = Table(title="scales", caption="percent; time of the network for one picture")
    for title in ("scale", "domain", "mIoU", "ECE", "AUROC", "ms"):
        left = title in ("scale", "domain")
        table.add_column(title, justify="left" if left else "right")
    for one in found:
        for domain, values in one["domains"].items():
            shown = [
                "-" if values[name] is None else f"{values[name]:.2f}"
                for name in ("mIoU", "ECE", "AUROC")
            ]
            table.add_row(one["name"], domain, *shown, f"{one['milliseconds']:.1f}")
    plain_console().print(table)
