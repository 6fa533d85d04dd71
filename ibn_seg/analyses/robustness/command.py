"""`ibn-seg robustness`."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from ibn_seg.analyses.option_kinds import add_options
from ibn_seg.analyses.robustness.options import OPTIONS
from ibn_seg.command_options import ConfigCommand, measurement_options

if TYPE_CHECKING:
    from ibn_seg.run.measurement import RunOptions


@click.command(cls=ConfigCommand)
@click.argument("config")
@click.argument("checkpoint")
@add_options(OPTIONS, "corruptions", "severities", "domains", "seed")
@click.option(
    "--frost",
    metavar="DIR",
    envvar="IBN_SEG_FROST",
    help="Folder of the pictures for imagenet_c.frost. Default: that of IBN_SEG_FROST.",
)
@measurement_options("robustness", protocol=True, launcher=True)
def robustness(
    config: str,
    checkpoint: str,
    corruptions: tuple[str, ...],
    severities: tuple[int, ...],
    domains: tuple[str, ...],
    seed: int,
    frost: str | None,
    protocol: str | None,
    launcher: str,
    options: "RunOptions",
) -> None:
    """Evaluate CHECKPOINT on clean pictures and on pictures of changed appearance.

    Corruptions in up to five severities change what the network sees, never the labels. Prints
    retention, the corrupted mIoU divided by the clean one, with mPC and rPC. Writes
    robustness.json with all scores.

    \b
    Sets for --corruptions:
      ours              twelve of ours; the default
      imagenet_c        ImageNet-C's fifteen, such as imagenet_c.fog
      imagenet_c_extra  its extra four
    Protocols of published tables, which have their own severities:
      michaelis         the fifteen in five severities
      segformer         sixteen, the noises in three severities
      hgformer          the same sixteen at severity 5
      semsegbench       the fifteen at severity 3

    \b
    Examples:
      ibn-seg robustness CONFIG CHECKPOINT --severities 1,3,5
      ibn-seg robustness CONFIG CHECKPOINT --corruptions rgb_offset,haze --domain cityscapes
      ibn-seg robustness CONFIG CHECKPOINT --corruptions michaelis --frost imagecorruptions/frost
    """
    from ibn_seg.analyses.robustness.run import robustness as run
    from ibn_seg.progress import progress_by_step

    with progress_by_step() as move:
        result = run(
            config,
            checkpoint,
            corruptions=corruptions,
            severities=severities,
            domains=domains,
            seed=seed,
            frost=frost,
            launcher=launcher,
            protocol=protocol,
            progress=move,
            **options,
        )
    _print(result)


def _print(result: Mapping) -> None:
    """Print a table for each domain; in a distributed run the first process alone."""
    if os.environ.get("RANK", "0") != "0":
        return
    from rich.table import Table

    from ibn_seg.terminal import plain_console

    console = plain_console()
    for domain, kept in result["retention"].items():
        clean = result["domains"][domain]["mIoU"]
        name = result["method"] or result["name"]
        table = Table(
            title=f"{name}, {domain}: mIoU {clean:.2f} on clean pictures",
            caption=_caption(result, domain),
        )
        table.add_column("corruption")
        for severity in result["severities"]:
            table.add_column(str(severity), justify="right")
        table.add_column("mean", justify="right")
        shares = {
            (one["corruption"], one["severity"]): one["retention"][domain]
            for one in result["corrupted"]
        }
        for corruption, mean in kept["corruptions"].items():
            cells = [_percent(shares.get((corruption, grade))) for grade in result["severities"]]
            table.add_row(corruption, *cells, _percent(mean))
        blanks = [""] * len(result["severities"])
        table.add_row("mean", *blanks, _percent(kept["mean"]), style="bold")
        console.print(table)


def _caption(result: Mapping, domain: str) -> str:
    """Return what the table shows, and the scores of corruption benchmarks."""
    found, sets = result["performance"][domain], "+".join(result["corruption_sets"])
    relative = "-" if found["rPC"] is None else f"{found['rPC']:.1f} %"
    return f"retention: percent of it that is kept; {sets}: mPC {found['mPC']:.2f}, rPC {relative}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
