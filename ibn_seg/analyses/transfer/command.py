"""`ibn-seg transfer`."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ibn_seg.command_options import (
    ConfigCommand,
    command_line,
    config_options,
    launch_options,
    set_local_rank,
    split_decimals,
    split_numbers,
    split_words,
)

if TYPE_CHECKING:
    from rich.table import Table


@click.command(cls=ConfigCommand)
@click.argument("config")
@click.argument("checkpoint", required=False)
@click.option("--shares", metavar="1,5,10", default="1,2,5,10,20,30,100", show_default=True,
              help="Percent of the training set; the smaller lies within the larger.")  # fmt: skip
@click.option("--starts", metavar="A,B", default="source,scratch", show_default=True,
              help="source: from CHECKPOINT; scratch: as CONFIG itself begins.")  # fmt: skip
@click.option("--seeds", metavar="0,1,2", default="0,1,2", show_default=True,
              help="Seeds of the training and of the choice of images.")  # fmt: skip
@click.option("--iterations", type=click.IntRange(1), metavar="N",
              help="Length of a training; the schedule is stretched to it. Default: the "
              "config's.")  # fmt: skip
@click.option("--lr-factor", type=float, default=1.0, show_default=True, metavar="F",
              help="Multiplies the learning rate of the start 'source' alone.")  # fmt: skip
@click.option("--work-dir", metavar="DIR", help="Default: work_dirs/NAME_OF_THE_CONFIG/transfer.")
@config_options
@launch_options
def transfer(
    config: str,
    checkpoint: str | None,
    shares: str,
    starts: str,
    seeds: str,
    iterations: int | None,
    lr_factor: float,
    work_dir: str | None,
    cfg_options: tuple[str, ...],
    launcher: str,
    local_rank: int | None,
    verbose: bool,
) -> None:
    """Fine-tune a network of another domain on shares of CONFIG's training set.

    CONFIG trains on the target. CHECKPOINT is the same network, trained on the source; {seed} in
    it stands for the seed. For each share and seed it is trained further. Another network is
    trained without it, on the same images and equally long. The last checkpoint is scored.

    Interrupt at any time; the same command goes on where it was, also with more shares or seeds.
    Writes transfer.json with all scores, means and paired differences.

    \b
    Examples:
      ibn-seg transfer CONFIG work_dirs/gta5/iter_40000.pth --work-dir work_dirs/transfer
      ibn-seg transfer CONFIG 'work_dirs/bn_seed{seed}/iter_600.pth' --shares 1,10,100
      ibn-seg transfer CONFIG --starts scratch --iterations 2000
    """
    from ibn_seg.analyses.transfer.run import transfer as run
    from ibn_seg.run.config_loading import read_options

    set_local_rank(local_rank)
    result = run(
        config,
        checkpoint,
        work_dir=work_dir,
        shares=split_decimals(shares, "--shares"),
        starts=split_words(starts),
        seeds=split_numbers(seeds, "--seeds"),
        iterations=iterations,
        lr_factor=lr_factor,
        cfg_options=read_options(cfg_options),
        launcher=launcher,
        quiet=not verbose,
        command=command_line(),
        say=lambda line: click.echo(line, err=True),
    )
    if os.environ.get("RANK", "0") == "0":
        _print(result)


def _print(result: Mapping[str, Any]) -> None:
    """Print a table for each domain."""
    from ibn_seg.terminal import plain_console

    console = plain_console()
    for domain in result["runs"][0]["mIoU"]:
        console.print(_table(result, domain))


def _table(result: Mapping[str, Any], domain: str) -> "Table":
    """Return mean mIoU and differences on one domain, a row for each share."""
    from rich.table import Table

    name, seeds = result["method"] or result["name"], len(result["seeds"])
    trained = " (trained on)" if domain not in result["targets"] else ""
    table = Table(
        title=f"{name}, {domain}{trained}: mIoU of the last checkpoint",
        caption=_caption(seeds),
    )
    table.add_column("share", justify="right")
    table.add_column("images", justify="right")
    for start in result["starts"]:
        table.add_column(start, justify="right")
    if result["differences"]:
        table.add_column("source - scratch", justify="right")
    for share in result["shares"]:
        images = {row["training_set"]["images"] for row in result["runs"] if row["share"] == share}
        cells = [_score(result, share, start, domain) for start in result["starts"]]
        table.add_row(
            f"{share:g} %", "/".join(map(str, sorted(images))), *cells,
            *_differences(result, share, domain),
        )  # fmt: skip
    return table


def _caption(seeds: int) -> str:
    if seeds == 1:
        return "one seed; [95 % interval over images alone]"
    few = " (few seeds)" if seeds <= 3 else ""
    return f"mean and standard deviation of {seeds} seeds{few}; [95 % interval]"


def _score(result: Mapping[str, Any], share: float, start: str, domain: str) -> str:
    for entry in result["scores"]:
        if (entry["share"], entry["start"]) == (share, start):
            found = entry["domains"][domain]
            spread = "" if found["sd"] is None else f" ± {found['sd']:.2f}"
            return f"{found['mean']:.2f}{spread}"
    return "-"


def _differences(result: Mapping[str, Any], share: float, domain: str) -> list[str]:
    return [
        f"{found['mean']:+.2f} [{found['interval']['low']:+.2f}, {found['interval']['high']:+.2f}]"
        for entry in result["differences"]
        if entry["share"] == share and (found := entry["domains"][domain])
    ]
