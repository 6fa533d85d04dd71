"""`ibn-seg models`."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from ibn_seg.models.specs import ModelSpec


@click.command()
@click.argument("pattern", required=False)
@click.option("--pretrained", is_flag=True, help="Only those with published weights.")
def models(pattern: str | None, pretrained: bool) -> None:
    """List the networks: size, published ImageNet error, and whether there are weights.

    PATTERN keeps the names that contain it. Parameters and multiply-adds are those of the ImageNet
    classifier. GFLOPs are for one image of 224 x 224. Errors are in percent, single crop. Weights
    of others than the authors have lines of their own.

    \b
    Examples:
      ibn-seg models
      ibn-seg models ibn_a --pretrained
    """
    from ibn_seg.errors import UserError, unknown
    from ibn_seg.models.published_weights import addresses
    from ibn_seg.models.specs import MODELS
    from ibn_seg.terminal import plain_console

    specs = [spec for spec in MODELS.values() if (pattern or "") in spec.name]
    if not specs:
        raise unknown("model", pattern, MODELS)
    if pretrained:
        specs = [spec for spec in specs if addresses(spec.name)]
        if not specs:
            raise UserError(f"no weights were published for {pattern!r}", "leave --pretrained out")
    console = plain_console()
    console.print(_table(specs))
    for line in _FOOTNOTES:
        console.print(line, highlight=False, soft_wrap=True)


_FOOTNOTES = (
    "errors: authors, README of XingangPan/IBN-Net; gluoncv2, measured in PyTorch, README of "
    "osmr/imgclsmob; pytorchcv has the weights of gluoncv2",
    "ibn_seg.create_model(NAME, pretrained=True), or pretrained='gluoncv2'; in an mmseg config "
    "backbone=dict(type='IBNResNet', depth=50, ibn='a', "
    "init_cfg=dict(type='Pretrained', checkpoint='ibn://NAME')), or 'ibn://NAME.gluoncv2'",
)


def _table(specs: "Sequence[ModelSpec]") -> "Table":
    from rich import box
    from rich.table import Table

    from ibn_seg.models.osmr_weights import OSMR_FILES
    from ibn_seg.models.published_weights import AUTHORS

    table = Table(box=box.SIMPLE_HEAD)  # every figure is whole in 80 columns
    for title in ("name", "variant"):
        table.add_column(title, no_wrap=True)
    for title in ("parameters", "GFLOPs", "top-1", "top-5"):
        table.add_column(title, justify="right")
    table.add_column("weights")
    for spec in specs:
        weights = AUTHORS if spec.weights else "no"
        table.add_row(
            spec.name,
            f"IBN-{spec.ibn}" if spec.ibn else "BN",
            f"{spec.parameters:,}",
            f"{spec.gflops:.2f}",
            *map(_error, (spec.top1_error, spec.top5_error)),
            weights,
        )
        other = OSMR_FILES["gluoncv2"].get(spec.name)
        if other:
            errors = map(_error, (other.top1_error, other.top5_error))
            table.add_row("", "", "", "", *errors, "gluoncv2")
    return table


def _error(percent: float | None) -> str:
    return "" if percent is None else f"{percent:.2f}"
