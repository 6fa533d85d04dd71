"""`ibn-seg scenes`."""

import click

from ibn_seg.command_options import Size, split_words


@click.command()
@click.argument("out_dir")
@click.option("--size", type=Size(), default="256x128", show_default=True)
@click.option("--source", type=click.IntRange(1), default=300, show_default=True,
              help="Frames of the source, in GTA5's layout.")  # fmt: skip
@click.option("--target-train", type=click.IntRange(0), default=60, show_default=True,
              help="Training frames of the target, in Cityscapes' layout.")  # fmt: skip
@click.option("--target-val", type=click.IntRange(0), default=60, show_default=True,
              help="Validation frames of the target.")  # fmt: skip
@click.option("--adverse-train", type=click.IntRange(0), default=0, show_default=True,
              help="Training frames of night, and as many of fog, in ACDC's layout.")  # fmt: skip
@click.option("--adverse-val", type=click.IntRange(0), default=0, show_default=True,
              help="Validation frames of night, and as many of fog.")  # fmt: skip
@click.option("--varied", type=click.IntRange(0), default=0, show_default=True,
              help="Frames of the second source, in GTA5's layout.")  # fmt: skip
@click.option("--varied-without", metavar="A,B,...", default="",
              callback=lambda _, __, text: split_words(text),
              help="Render it also without one kind of variation, for each kind named: weather, "
              "materials, cameras, clutter, optics.")  # fmt: skip
@click.option("--oddities", type=click.IntRange(0), default=0, show_default=True,
              help="Frames with things of no class on the road, and their masks.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True,
              help="Processes; the files are the same for any number.")  # fmt: skip
def scenes(
    out_dir: str,
    size: tuple[int, int],
    source: int,
    target_train: int,
    target_val: int,
    adverse_train: int,
    adverse_val: int,
    varied: int,
    varied_without: tuple[str, ...],
    oddities: int,
    seed: int,
    workers: int,
) -> None:
    """Render street scenes in two styles into OUT_DIR/gta5 and OUT_DIR/cityscapes.

    With --adverse-val (or --adverse-train) night and fog are rendered too, into OUT_DIR/acdc. With
    --varied a second source goes to OUT_DIR/varied: its light, surfaces, cameras and clutter vary
    from frame to frame. With --oddities frames like those of the source go to OUT_DIR/oddities:
    things of no class lie on the road. The layouts are those of the real downloads, so every config
    reads them: set the data_root. After an interruption the same command goes on.

    \b
    Examples:
      ibn-seg scenes data/scenes
      ibn-seg scenes data/four --adverse-val 60
      ibn-seg scenes data/varied --source 1 --target-train 0 --target-val 0 --varied 1000
      ibn-seg scenes data/odd --target-val 0 --target-train 0 --oddities 100
      ibn-seg scenes data/large --size 2048x1024 --source 8 --target-train 4 --target-val 4
    """
    from ibn_seg.progress import progress_callback
    from ibn_seg.scenes import write_pair

    with progress_callback("render") as progress:
        written = write_pair(
            out_dir,
            size=size,
            source_frames=source,
            target_train=target_train,
            target_val=target_val,
            adverse_train=adverse_train,
            adverse_val=adverse_val,
            varied=varied,
            varied_without=varied_without,
            oddities=oddities,
            seed=seed,
            workers=workers,
            progress=progress,
        )
    summary = ", ".join(f"{key} {value}" for key, value in written.items())
    click.echo(f"{out_dir}: {summary}")
