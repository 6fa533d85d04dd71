"""`ibn-seg evaluate`."""

from collections.abc import Mapping
from typing import Any

import click

from ibn_seg.command_options import (
    ConfigCommand,
    amp_option,
    command_line,
    config_options,
    fuse_option,
    launch_options,
    set_local_rank,
)


def _split(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> list[str]:
    """Return the names of an option that can be repeated and can hold several, with commas."""
    return [name for item in value for name in item.split(",") if name]


def _maps(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    """Return the file of the map by domain; '*' is for domains that are not named.

    Raises:
        UserError: An item names no file, or a domain has two maps.
    """
    from ibn_seg.errors import UserError

    found: dict[str, str] = {}
    for item in value:
        name, _, file = item.rpartition("=")
        if not file:
            raise UserError(f"--map {item!r} names no file", "write FILE or TARGET=FILE")
        if (name or "*") in found:
            raise UserError(f"--map: two maps for {name or 'all targets'}", "give one")
        found[name or "*"] = file
    return found


def _folder_options(function: object) -> object:
    """Add the options that describe the targets `folder=ROOT` and `folder-NAME=ROOT`."""
    for option in (
        click.option("--images", metavar="DIR", help="Images of a folder. Default: images."),
        click.option("--labels", metavar="DIR", help="Labels of a folder. Default: labels."),
        click.option("--image-suffix", metavar="TEXT", help="End of their names, such as .jpg."),
        click.option("--label-suffix", metavar="TEXT", help="End of their names, as _mask.png."),
        click.option("--label-classes", metavar="FILE",
                     help="Classes of a folder's labels. Default: Cityscapes' trainIds."),
        click.option("--label-encoding", type=click.Choice(["index", "colors"]),
                     help="How a folder's labels show them. Default: index."),
    )[::-1]:  # fmt: skip
        function = option(function)
    return function


@click.command(cls=ConfigCommand)
@click.argument("config", required=False)
@click.argument("checkpoint", required=False)
@click.option("--predictions", metavar="DIR",
              help="Score PNGs of class indices, DIR/DOMAIN/NAME.png.")  # fmt: skip
@click.option("--targets", multiple=True, callback=_split, metavar="NAME[=ROOT],...",
              help="Domains, or sets of them: rein, robustnet, adverse, world, ...")  # fmt: skip
@click.option("--source", metavar="DOMAIN", help="What the network was trained on, for the gap.")
@click.option("--method", metavar="NAME", help="Name of the method, for tables.")
@click.option("--backbone", metavar="NAME", help="Its backbone, for tables.")
@click.option("--segmentor", metavar="NAME", help="Its segmentor, for tables.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="With --predictions: the seed of its training, for tables.")  # fmt: skip
@click.option("--protocol", metavar="NAME", default="native", show_default=True,
              help="Sizes, windows and classes of a published table.")  # fmt: skip
@click.option("--classes", metavar="FILE",
              help="Its classes: a YAML file or a name. Default: the checkpoint's, or "
              "DIR/classes.yaml.")  # fmt: skip
@click.option("--map", "maps", multiple=True, callback=_maps, metavar="[TARGET=]FILE",
              help="YAML: groups of these classes for targets that have others.")  # fmt: skip
@click.option("--merge", type=click.Choice(["hard", "soft"]), default="hard", show_default=True,
              help="soft: sum the probabilities of a group's classes.")  # fmt: skip
@_folder_options
@click.option("--work-dir", metavar="DIR", help="Default: work_dirs/NAME/evaluate.")
@click.option("--out", metavar="DIR", help="Write the predictions as PNGs, and classes.yaml.")
@click.option("--workers", type=click.IntRange(1),
              help="With --predictions: processes. Default: the cores.")  # fmt: skip
@fuse_option
@amp_option
@config_options
@launch_options
def evaluate(
    config: str | None,
    checkpoint: str | None,
    predictions: str | None,
    targets: list[str],
    source: str | None,
    method: str | None,
    backbone: str | None,
    segmentor: str | None,
    seed: int,
    protocol: str,
    classes: str | None,
    maps: dict[str, str],
    merge: str,
    work_dir: str | None,
    out: str | None,
    workers: int | None,
    fuse: bool,
    amp: bool | str,
    cfg_options: tuple[str, ...],
    launcher: str,
    local_rank: int | None,
    verbose: bool,
    **folder: str | None,
) -> None:
    """Score any network of mmseg, or predictions in files, on named domains.

    Give CONFIG and CHECKPOINT, or --predictions. Only the model of CONFIG is used; the protocol
    says how it sees images. A download lies in data/NAME, where the variable IBN_SEG_NAME says, or
    where NAME=ROOT says (data/README.md). The result, test.json, is what `ibn-seg test` writes.

    Labels may have other classes than the network, as those of camvid and idd_lite have. Then a map
    says which group of the labels a class counts as; some maps are known by name.

    A folder of your own is folder=ROOT, several are folder-NAME=ROOT. An image and its label have
    the same path below --images and --labels, apart from the suffixes.

    If a domain has two images NAME, in folders D, their predictions are DOMAIN/D/NAME.png.

    \b
    Examples:
      ibn-seg evaluate CONFIG CHECKPOINT --targets cityscapes,bdd100k,acdc
      ibn-seg evaluate mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024 CHECKPOINT \\
          --source cityscapes --targets cityscapes,gta5=/data/gta5
      ibn-seg evaluate CONFIG CHECKPOINT --targets rein --protocol rein
      ibn-seg evaluate CONFIG CHECKPOINT --classes mine.yaml --map mine_to_camvid.yaml \\
          --targets camvid
      ibn-seg evaluate CONFIG CHECKPOINT --targets folder=yard --images photos --labels masks \\
          --label-suffix _mask.png --label-classes yard.yaml --map cityscapes_to_yard.yaml
      ibn-seg evaluate --predictions out/ --method SegFormer --source gta5 --targets robustnet
    """
    from ibn_seg.cli.score_output import print_domains
    from ibn_seg.errors import UserError
    from ibn_seg.run.config_loading import read_options

    if (predictions is None) == (config is None):
        raise UserError(
            "evaluate: nothing to score" if config is None else "evaluate: two things to score",
            "give CONFIG and CHECKPOINT, or --predictions DIR",
        )
    of_networks = {
        "--fuse": fuse, "--amp": amp, "--merge soft": merge == "soft", "--out": out,
        "--cfg-options": cfg_options,
    }  # fmt: skip
    for flag, given in of_networks.items():
        if predictions is not None and given:
            raise UserError(
                f"{flag} is given with --predictions", "it goes with CONFIG and CHECKPOINT"
            )
    if predictions is not None:
        result = _from_files(
            predictions, targets, protocol, work_dir, workers, classes=classes, maps=maps,
            folder_arguments=_folder_arguments(folder), method=method, backbone=backbone,
            segmentor=segmentor, source=source, seed=seed,
        )  # fmt: skip
    else:
        from ibn_seg.run.evaluation import evaluate as run

        if checkpoint is None:
            raise UserError(f"evaluate {config}: no checkpoint", "give CONFIG and CHECKPOINT")
        set_local_rank(local_rank)
        result = run(
            config,
            checkpoint,
            targets,
            folder_arguments=_folder_arguments(folder),
            source=source,
            method=method,
            backbone=backbone,
            segmentor=segmentor,
            protocol=protocol,
            classes=classes,
            maps=maps,
            merge=merge,
            work_dir=work_dir,
            out=out,
            fuse=fuse,
            amp=amp,
            cfg_options=read_options(cfg_options),
            launcher=launcher,
            quiet=not verbose,
            command=command_line(),
        )
    print_domains(result)


def _folder_arguments(given: Mapping[str, str | None]) -> dict[str, str]:
    """Return the options of a folder as arguments of `FolderDataset`.

    Raises:
        UserError: The classes are no space.
    """
    from ibn_seg.datasets.known_classes import space_of

    if given["label_classes"]:
        space_of(given["label_classes"], "--label-classes")
    names = {"label_classes": "classes", "label_encoding": "encoding"}
    return {names.get(key, key): value for key, value in given.items() if value is not None}


def _from_files(
    predictions: str,
    targets: list[str],
    protocol: str,
    work_dir: str | None,
    workers: int | None,
    *,
    method: str | None,
    **names: Any,
) -> dict:
    from ibn_seg.errors import UserError
    from ibn_seg.progress import progress_callback
    from ibn_seg.run.score_predictions import evaluate_predictions

    if method is None:
        raise UserError("--predictions: no --method", "name what made the predictions")
    with progress_callback("evaluate") as progress:
        return evaluate_predictions(
            predictions,
            targets,
            method=method,
            protocol=protocol,
            work_dir=work_dir,
            workers=workers,
            progress=progress,
            command=command_line(),
            **names,
        )
