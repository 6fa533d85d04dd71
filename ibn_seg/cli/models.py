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
    classifier. GFLOPs are for one image of 224 x 224. Errors are those that the authors published,
    in percent, single crop.

    \b
    Examples:
      ibn-seg models
      ibn-seg models ibn_a --pretrained
    """
    from rich.console import Console

    from ibn_seg.errors import UserError, unknown
    from ibn_seg.models.specs import MODELS

    specs = [spec for spec in MODELS.values() if (pattern or "") in spec.name]
    if not specs:
        raise unknown("model", pattern, MODELS)
    if pretrained:
        specs = [spec for spec in specs if spec.weights]
        if not specs:
            raise UserError(f"no weights were published for {pattern!r}", "leave --pretrained out")
    console = Console()
    console.print(_table(specs))
    console.print(
        "ibn_seg.create_model(NAME, pretrained=True); in an mmseg config "
        "backbone=dict(type='IBNResNet', depth=50, ibn='a', "
        "init_cfg=dict(type='Pretrained', checkpoint='ibn://NAME'))",
        highlight=False,
        soft_wrap=True,
    )


def _table(specs: "Sequence[ModelSpec]") -> "Table":
    from rich.table import Table

    table = Table()
    for title in ("name", "variant"):
        table.add_column(title, no_wrap=True)
    for title in ("parameters", "GFLOPs", "top-1", "top-5"):
        table.add_column(title, justify="right")
    table.add_column("weights")
    for spec in specs:
        table.add_row(
            spec.name,
            f"IBN-{spec.ibn}" if spec.ibn else "BN",
            f"{spec.parameters:,}",
            f"{spec.gflops:.2f}",
            *(
                "" if error is None else f"{error:.2f}"
                for error in (spec.top1_error, spec.top5_error)
            ),
            "yes" if spec.weights else "no",
        )
    return table
