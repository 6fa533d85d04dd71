"""`ibn-seg scales`."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from ibn_seg.analyses.option_kinds import add_options
from ibn_seg.analyses.scales.options import OPTIONS
from ibn_seg.command_options import ConfigCommand, command_line, config_options


@click.command(cls=ConfigCommand)
@click.argument("config")
@click.argument("checkpoint")
@add_options(OPTIONS, "scales", "domains")
@click.option("--work-dir", metavar="DIR", help="Default: work_dirs/NAME_OF_THE_CONFIG/scales.")
@click.option("--verbose", is_flag=True, help="Print mmengine's log instead of progress.")
@config_options
def scales(
    config: str,
    checkpoint: str,
    scales: tuple[float, ...],
    domains: tuple[str, ...],
    work_dir: str | None,
    cfg_options: tuple[str, ...],
    verbose: bool,
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
    from ibn_seg.run.config_loading import read_options

    with progress_by_step() as move:
        result = scale_sweep(
            config,
            checkpoint,
            scales=scales,
            domains=domains,
            work_dir=work_dir,
            cfg_options=read_options(cfg_options),
            quiet=not verbose,
            command=command_line(),
            progress=lambda done, total: move("scales", done, total),
        )
    _print(result["scales"])


def _print(found: Sequence[Mapping[str, Any]]) -> None:
    """Print a row for each scale and domain, in percent."""
    from rich.console import Console
    from rich.table import Table

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
    Console(file=sys.stdout).print(table)
