"""`ibn-seg swap`."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ibn_seg.swap.rewrite import Rewritten
    from ibn_seg.swap.swap_config import Check
    from ibn_seg.swap.timm_rewrite import TimmRewritten


@click.command()
@click.argument("config")
@click.option(
    "--backbone",
    required=True,
    metavar="NAME",
    help="One of `ibn-seg models`, or timm:NAME for any network of timm.",
)
@click.option("-o", "--out", required=True, metavar="NEW.py", help="The new config.")
@click.option(
    "--drop",
    multiple=True,
    metavar="OPTION",
    help="Give up an option of the old backbone; may be repeated.",
)
@click.option(
    "--weights",
    metavar="CHECKPOINT",
    help="What the new backbone starts from: a path, a URL, a name like torchvision://resnet50, or "
    "none. Default: the published weights where they fit, else those of the batch-norm twin.",
)
@click.option("--check/--no-check", default=True, help="Build the new model and run it once.")
@click.option("--overwrite", is_flag=True, help="Replace NEW.py if it exists.")
def swap(
    config: str,
    backbone: str,
    out: str,
    drop: tuple[str, ...],
    weights: str | None,
    check: bool,
    overwrite: bool,
) -> None:
    """Put an IBN backbone into a config that has a ResNet, ResNeXt, ResNeSt or HRNet.

    CONFIG is a file, or a name like mmseg::deeplabv3/deeplabv3_r50-d8_4xb2-40k_cityscapes-512x1024.
    NEW.py extends it and says only what differs: the backbone, its weights, and the channels of
    necks and heads. Every option of the old backbone is kept, or refused with the reason. work_dir
    becomes None and `experiment` names the new network, so that nothing names the old run.

    \b
    Examples:
      ibn-seg swap my_config.py --backbone resnet50_ibn_a -o my_config_ibn-a.py
      ibn-seg swap my_config.py --backbone resnet50_ibn_a -o new.py --drop deep_stem
                                                 # the plain stem, of the published weights
      ibn-seg swap my_config.py --backbone timm:vit_small_patch14_dinov2 -o dinov2.py
    """
    from ibn_seg.swap.swap_config import swap as run

    result, verdict = run(
        config, backbone, out, drop=drop, weights=weights, check=check, overwrite=overwrite
    )
    _print(result, verdict, out, drop)


def _print(
    result: "Rewritten | TimmRewritten", verdict: "Check", out: str, drop: tuple[str, ...]
) -> None:
    from rich.table import Table

    from ibn_seg.terminal import plain_console

    rows = {
        **result.rows(drop),
        "model": f"{verdict.status}: {verdict.detail}" if verdict.detail else verdict.status,
        "written": out,
    }
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in rows.items():
        if value:
            table.add_row(name, value)
    plain_console().print(table)
