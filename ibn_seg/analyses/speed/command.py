"""`ibn-seg speed`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ibn_seg.analyses.option_kinds import add_options
from ibn_seg.analyses.speed.options import OPTIONS
from ibn_seg.command_options import ConfigCommand, measurement_options

if TYPE_CHECKING:
    from ibn_seg.run.measurement import RunOptions


@click.command(cls=ConfigCommand)
@click.argument("config")
@click.argument("checkpoint")
@add_options(OPTIONS, "repeats", "size", "seed")
@measurement_options("speed")
def speed(
    config: str,
    checkpoint: str,
    repeats: int,
    size: tuple[int, int],
    seed: int,
    options: "RunOptions",
) -> None:
    """Compare the time and memory of CHECKPOINT's network with those of its BN twin.

    The twin is the same network with plain batch norm. Both segment one picture of noise in turn,
    in one process. Prints the median time of each, and the median of their ratio with its
    quartiles. Writes speed.json.

    Multiply-adds are those of convolutions and matrix products. Memory is the peak of one pass,
    without the weights.

    \b
    Examples:
      ibn-seg speed CONFIG CHECKPOINT
      ibn-seg speed CONFIG CHECKPOINT --size 2048x1024 --repeats 31
    """
    from ibn_seg.analyses.speed.run import speed as run
    from ibn_seg.progress import progress_by_step

    with progress_by_step() as move:
        result = run(
            config,
            checkpoint,
            repeats=repeats,
            size=size,
            seed=seed,
            progress=move,
            **options,
        )
    _print(result)


def _print(result: Mapping[str, Any]) -> None:
    """Print one table: the network, its twin, and the ratio of the two."""
    from rich.table import Table

    from ibn_seg.terminal import plain_console

    network, twin, over = (result[key] for key in ("network", "twin", "time_over_bn"))
    width, height = result["size"]
    table = Table(
        title=f"One picture of {width}x{height} on {result['device']}", caption=_said(result)
    )
    for name in ("", result["method"] or result["name"], "BN twin", "ratio"):
        table.add_column(name, justify="right" if name else "left")
    spread = f"{over['median']:.3f} ({over['low_quartile']:.3f} to {over['high_quartile']:.3f})"
    for title, key, scale in (
        ("time (ms)", "time_ms", 1),
        ("parameters (M)", "parameters", 1e6),
        ("multiply-adds (G)", "multiply_adds", 1e9),
        ("peak memory (MiB)", "peak_memory_mib", 1),
    ):
        one, other = network[key], twin[key]
        ratio = spread if key == "time_ms" else f"{one / other:.3f}"
        table.add_row(title, f"{one / scale:.2f}", f"{other / scale:.2f}", ratio)
    plain_console().print(table)


def _said(result: Mapping[str, Any]) -> str:
    """Return what must be known of the numbers."""
    lines = [f"time: median of {result['repeats']} repeats, and quartiles of the ratio"]
    if result["few_repeats"]:
        lines.append("few repeats: take the times as rough")
    if result["own_twin"]:
        lines.append("the network is its own BN twin: compared with a second build of itself")
    return "\n".join(lines)
