"""`ibn-seg predict`."""

import click

from ibn_seg.command_options import (
    ConfigCommand,
    config_options,
    fuse_option,
    temperature_option,
)


@click.command(cls=ConfigCommand)
@click.argument("config")
@click.argument("checkpoint")
@click.argument("source", metavar="IMAGE|FOLDER|VIDEO")
@click.option("--out", metavar="DIR", required=True, help="Where the results go.")
@click.option("--device", help="Such as cpu or cuda:1. Default: the GPU if there is one.")
@click.option(
    "--opacity",
    type=click.FloatRange(0.0, 1.0),
    default=0.5,
    show_default=True,
    help="Share of the class colours in the overlays.",
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Predict every picture of a folder again, and replace results of other pictures.",
)
@click.option(
    "--confidence",
    is_flag=True,
    help="Write how sure the network is, too: NAME_pred.png, NAME_conf.png and NAME_heat.png.",
)
@temperature_option
@fuse_option
@config_options
def predict(
    config: str,
    checkpoint: str,
    source: str,
    out: str,
    device: str | None,
    opacity: float,
    fuse: bool,
    overwrite: bool,
    confidence: bool,
    temperature: str | None,
    cfg_options: tuple[str, ...],
) -> None:
    """Segment a picture, every picture of a folder and its subfolders, or a video.

    A picture gives NAME_trainIds.png and NAME_overlay.png. The first is 8-bit grey at the picture's
    size: the class of each pixel, such as 0 (road) to 18 (bicycle). classes.yaml lists the classes
    of the network with their values and colours. A video gives a folder NAME_trainIds/ of frames
    and NAME_overlay.mp4. Pictures of more than 4096 x 2048 pixels are segmented in windows, which
    bounds the memory.

    NAME_conf.png is 16-bit grey: level L stands for the probability (L + 0.5) / 65536 of the
    predicted class. NAME_pred.png holds the classes. BRAVO reads such pairs, and so does
    `ibn-seg evaluate --predictions`. NAME_heat.png is to look at: brighter is less sure.

    The content of a file decides whether it is a picture, not its name. Of several frames the
    first is predicted, and a line says so. An animated .gif, .apng or .mjpeg that is given by
    itself is a video.

    A folder is finished even if pictures in it are bad: they are listed at the end, with exit code
    2. The same call again skips what is done. A picture whose content, network, or options have
    changed is predicted again. A picture that is given by itself is always predicted.

    \b
    Examples:
      ibn-seg predict CONFIG CHECKPOINT street.jpg --out predictions/
      ibn-seg predict CONFIG CHECKPOINT my_photos/ --out predictions/ --opacity 0.7
      ibn-seg predict CONFIG CHECKPOINT my_photos/ --out predictions/ --confidence
      ibn-seg predict CONFIG CHECKPOINT drive.mp4 --out predictions/ --device cuda:0
    """
    from ibn_seg.predict.predict_pictures import BadPicturesError
    from ibn_seg.predict.predict_pictures import predict as run
    from ibn_seg.run.config_loading import read_options

    options = read_options(cfg_options)
    try:
        written = run(
            config,
            checkpoint,
            source,
            out,
            device=device,
            cfg_options=options,
            opacity=opacity,
            fuse=fuse,
            overwrite=overwrite,
            confidence=confidence,
            temperature=temperature,
        )
    except BadPicturesError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        raise
    click.echo(f"{len(written)} files in {out}")
