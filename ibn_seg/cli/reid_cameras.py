"""`ibn-seg reid render`, `demo` and `divergence`."""

from collections.abc import Callable
from typing import Any

import click

from ibn_seg.command_options import Size, command_line


def network_options(function: Callable) -> Callable:
    """Add the options that say how features are computed."""
    for option in (
        click.option("--stem-relu/--no-stem-relu", default=None,
                     help="A ReLU after the stem's norm. Default: as the file's tool has it."),
        click.option("--last-stride", type=click.IntRange(1, 2), default=None,
                     help="Of the last stage. Default: as the file says, else 1, and 2 for files "
                     "of torchreid."),
        click.option("--flip", is_flag=True, help="Average with the mirror image's features."),
        click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True),
        click.option("--size", type=Size(),
                     help="Width and height of the network's input. Default: as in the training if "
                     "the file says it, else 128x256."),
        click.option("--checkpoint", metavar="FILE", required=True,
                     help="A file of ibn_seg, the strong baseline, fast-reid or torchreid."),
        click.option("--model", metavar="NAME", required=True,
                     help="One of those that `ibn-seg models` lists."),
    ):  # fmt: skip
        function = option(function)
    return function


@click.command()
@click.argument("first", metavar="NAME=ROOT")
@click.argument("second", metavar="NAME=ROOT")
@network_options
@click.option("--part", type=click.Choice(("train", "query", "gallery")), default="gallery",
              show_default=True, help="The pictures of both that are looked at.")  # fmt: skip
@click.option("--images", type=click.IntRange(1), metavar="N",
              help="Pictures of each, at random. Default: all.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("-o", "--out", metavar="FILE", default="divergence.json", show_default=True)
def divergence(
    first: str,
    second: str,
    part: str,
    images: int | None,
    seed: int,
    out: str,
    **network: Any,
) -> None:
    """Measure how far apart two data sets are in each layer of a network.

    The measure is that of `ibn-seg divergence`: the symmetric KL divergence of a channel's spatial
    mean, averaged over channels. Random halves of the first data set show what chance gives.

    \b
    Examples:
      ibn-seg reid divergence cameras_source=data/cameras cameras_target=data/cameras \\
          --model resnet18_ibn_a --checkpoint iter_408.pth
    """
    from rich.table import Table

    from ibn_seg.analyses.divergence.between_cameras import between_cameras
    from ibn_seg.progress import progress_by_step
    from ibn_seg.reid.sets.all_sets import picture_set
    from ibn_seg.retrieval.run_retrieval import Searcher
    from ibn_seg.terminal import plain_console

    sides = [picture_set(*pair) for pair in name_pairs((first, second), "argument")]
    with progress_by_step() as progress:
        result = between_cameras(
            Searcher(**network), *sides, out, part=part, images=images, seed=seed,
            command=command_line(), say=click.echo, progress=progress,
        )  # fmt: skip
    table = Table(title=" and ".join(result["data_sets"]))
    for title in ("layer", "divergence", "halves of the first"):
        table.add_column(title, justify="left" if title == "layer" else "right")
    for name, found in result["layers"].items():
        numbers = (found[key]["divergence"] for key in ("between", "halves"))
        table.add_row(name, *(f"{one:.4f}" for one in numbers))
    plain_console().print(table)
    click.echo(f"result: {out}")


def name_pairs(values: tuple[str, ...], flag: str) -> list[tuple[str, str]]:
    """Return names and folders of data sets given as NAME=ROOT.

    Raises:
        UsageError: One is not of this form.
    """
    found = []
    for value in values:
        name, _, root = value.partition("=")
        if not root:
            raise click.UsageError(f"{flag} {value!r} is not NAME=ROOT.")
        found.append((name, root))
    return found


@click.command()
@click.argument("out_dir")
@click.option("--train", type=click.IntRange(2, 1000), default=200, show_default=True,
              help="People to train on in each network.")  # fmt: skip
@click.option("--test", "searched", type=click.IntRange(2, 1000), default=150, show_default=True,
              help="People to search for in each network.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def render(out_dir: str, train: int, searched: int, seed: int) -> None:
    """Draw two networks of six cameras into OUT_DIR/source and OUT_DIR/target.

    Both are in Market-1501's layout, with distractors and junk. They share no person. Source is
    bright and saturated, target dull and noisy. The data sets cameras_source and cameras_target
    read them. After an interruption the same command goes on.

    \b
    Examples:
      ibn-seg reid render data/cameras
      ibn-seg reid train cameras_source data/cameras --model resnet18_ibn_a --size 64x128 \\
          --target cameras_target=data/cameras
    """
    from ibn_seg.progress import progress_callback
    from ibn_seg.scenes.camera_networks.cast import CastPlan
    from ibn_seg.scenes.camera_networks.write_networks import write_camera_networks

    plan = CastPlan(train=train, test=searched)
    with progress_callback("people") as progress:
        folders = write_camera_networks(out_dir, plan, seed=seed, progress=progress)
    for network, folder in folders.items():
        click.echo(f"cameras_{network}: {folder}")


@click.command()
@click.option("--quick", is_flag=True, help="A taste in minutes: fewer people and epochs.")
@click.option("--work-dir", metavar="DIR",
              help="Default: work_dirs/reid_demo, or work_dirs/reid_demo-quick.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True,
              help="Networks that are trained at once.")  # fmt: skip
def demo(quick: bool, work_dir: str | None, jobs: int) -> None:
    """Draw two camera networks, train BN, IBN-a and IBN-b on one, and search in both.

    Everything runs on the CPU through the code that runs on the real data sets. Interrupt at any
    time; the same command goes on where it was. Without --quick, BN is also trained on the target,
    as the upper bound.

    \b
    Examples:
      ibn-seg reid demo
      ibn-seg reid demo --quick
      ibn-seg reid demo --jobs 2 --work-dir /tmp/demo
    """
    from ibn_seg.cli.benchmark import cells_table
    from ibn_seg.demo.search_demo import search_demo
    from ibn_seg.terminal import plain_console

    folder = work_dir or ("work_dirs/reid_demo-quick" if quick else "work_dirs/reid_demo")
    rows, page = search_demo(folder, quick, jobs=jobs, command=command_line(), say=click.echo)
    plain_console().print(cells_table(rows))
    click.echo(f"Report: {page}")
