"""`ibn-seg divergence`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ibn_seg.analyses.divergence.options import OPTIONS
from ibn_seg.analyses.option_kinds import add_options
from ibn_seg.command_options import ConfigCommand, measurement_options

if TYPE_CHECKING:
    from rich.table import Table

    from ibn_seg.run.measurement import RunOptions


@click.command(cls=ConfigCommand)
@click.argument("config")
@click.argument("checkpoint")
@add_options(OPTIONS, "pairs", "images", "min_images")
@click.option("--scenes", metavar="DIR", help="Where scenes are rendered, and found again. "
              "Default: WORK_DIR/scenes.")  # fmt: skip
@add_options(OPTIONS, "size", "scene_seed")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True,
              help="Processes that render.")  # fmt: skip
@add_options(OPTIONS, "seed")
@click.option("--plot", metavar="FILE", help="Draw the divergence over depth, .svg or .png.")
@click.option("--with", "others", metavar="RESULT", multiple=True,
              help="Draw this divergence.json too; repeat for several.")  # fmt: skip
@measurement_options("divergence")
def divergence(
    config: str,
    checkpoint: str,
    pairs: tuple[str, ...],
    images: int | None,
    min_images: int,
    scenes: str | None,
    size: tuple[int, int],
    scene_seed: int,
    workers: int,
    seed: int,
    plot: str | None,
    others: tuple[str, ...],
    options: "RunOptions",
) -> None:
    """Measure how far apart two domains are in each layer of CHECKPOINT's backbone.

    The analysis of the IBN-Net paper: the symmetric KL divergence of two normal distributions. They
    are those of a channel's spatial mean over the pictures of each side. The result is the mean
    over channels. (The definition is recalled from the paper.) Writes divergence.json.

    \b
    Pairs:
      appearance[:STYLE,STYLE]  the same rendered scenes in two styles (source,target)
      content[:DOMAIN]          halves of a domain with fewer and with more buildings
      null[:DOMAIN]             random halves of a domain
      domains:A,B               two domains of the config's test data
    A DOMAIN is a name in the config's test data, or scenes/STYLE (default scenes/source).

    \b
    Examples:
      ibn-seg divergence CONFIG CHECKPOINT --scenes work_dirs/scenes
      ibn-seg divergence CONFIG CHECKPOINT --pair domains:gta5,cityscapes --pair null:gta5
      ibn-seg divergence CONFIG CHECKPOINT --plot depth.svg --with work_dirs/BN/divergence.json
    """
    from ibn_seg.analyses.divergence.run import Scenes
    from ibn_seg.analyses.divergence.run import divergence as run
    from ibn_seg.progress import progress_by_step

    earlier = _earlier(plot, others)
    with progress_by_step() as move:
        result = run(
            config,
            checkpoint,
            pairs=pairs,
            images=images,
            min_images=min_images,
            scenes=Scenes(scenes, size, scene_seed, workers),
            seed=seed,
            progress=move,
            **options,
        )
    _print(result)
    if plot is not None:
        from ibn_seg.analyses.divergence.drawing import write_depth_plot

        click.echo(f"written: {write_depth_plot([*earlier, result], plot)}")


def _earlier(plot: str | None, others: tuple[str, ...]) -> list[dict]:
    """Read the results to be drawn too, before anything takes time."""
    from ibn_seg.analyses.divergence.curves import check_format, depth_curves
    from ibn_seg.errors import UserError
    from ibn_seg.io import read_json

    if plot is None:
        if others:
            raise UserError("--with: there is no plot", "say where by --plot FILE")
        return []
    check_format(plot)
    results = [read_json(other) for other in others]
    depth_curves(results)
    return results


def _print(result: Mapping[str, Any]) -> None:
    """Print one table: a row per layer, a column per pair."""
    from ibn_seg.terminal import plain_console

    console = plain_console()
    console.print(_table(result))
    for label, pair in result["pairs"].items():
        images = f"{pair['images']['a']} and {pair['images']['b']} images"
        floored = sum(layer["floored"] for layer in pair["layers"])
        channels = sum(layer["channels"] for layer in pair["layers"])
        line = f"{label}: {images}; {floored} of {channels} channels have no variance (floored)"
        if pair["few_images"]:
            line += "; few images: take the numbers as rough"
        console.print(line, highlight=False)


def _table(result: Mapping[str, Any]) -> "Table":
    from rich.table import Table

    name = result["method"] or result["name"]
    table = Table(title=f"{name}: feature divergence by layer, mean over channels")
    table.add_column("layer")
    pairs = result["pairs"]
    for pair in pairs.values():
        header = "\n".join([pair["kind"], *pair["domains"]])
        table.add_column(header, justify="right", overflow="fold")
    for rows in zip(*(pair["layers"] for pair in pairs.values()), strict=True):
        table.add_row(rows[0]["layer"], *(f"{row['divergence']:.4g}" for row in rows))
    return table
