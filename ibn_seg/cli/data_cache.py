"""`ibn-seg cache`."""

import click

from ibn_seg.command_options import ConfigCommand, config_options


@click.command(cls=ConfigCommand)
@click.argument("config")
@click.option("--dir", "cache_dir", metavar="DIR",
              help="Default: cache_dir of the config's training data.")  # fmt: skip
@click.option("--codec", metavar="NAME",
              help="zstd, zlib or raw. Default: the config's cache_codec, else zstd.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True,
              help="Processes; the files are the same for any number.")  # fmt: skip
@config_options
def cache(
    config: str,
    cache_dir: str | None,
    codec: str | None,
    workers: int,
    cfg_options: tuple[str, ...],
) -> None:
    """Decode the training frames of CONFIG once, for fast reading of crops.

    Training with train_dataloader.dataset.cache_dir fills the cache by itself; this does so
    beforehand, in several processes. What is there already stays; what changed is made again.

    \b
    Examples:
      ibn-seg cache CONFIG --dir data/cache --workers 8
      ibn-seg train CONFIG --cfg-options train_dataloader.dataset.cache_dir=data/cache
    """
    from ibn_seg.downloads.fill_cache import build_cache
    from ibn_seg.progress import progress_callback
    from ibn_seg.run.config_loading import read_options

    with progress_callback("cache") as progress:
        total = build_cache(
            config,
            cache_dir,
            codec=codec,
            workers=workers,
            cfg_options=read_options(cfg_options),
            progress=progress,
        )
    frames = total["frames"]
    click.echo(
        f"{frames} frames, {total['made']} entries made, {total['bytes'] / frames / 1e6:.2f} MB a "
        f"frame (files: {total['source_bytes'] / frames / 1e6:.2f} MB)"
    )
