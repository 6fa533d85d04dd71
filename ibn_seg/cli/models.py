"""`ibn-seg models`."""

import click


@click.command()
@click.argument("pattern", required=False)
def models(pattern: str | None) -> None:
    """List the backbones: names, variants, parameters of the ImageNet classifier.

    PATTERN keeps the names that contain it.

    \b
    Examples:
      ibn-seg models
      ibn-seg models ibn_a
    """
    from rich.console import Console
    from rich.table import Table

    from ibn_seg.errors import unknown
    from ibn_seg.models.specs import MODELS

    specs = [spec for spec in MODELS.values() if (pattern or "") in spec.name]
    if not specs:
        raise unknown("model", pattern, MODELS)
    table = Table()
    table.add_column("name")
    table.add_column("network")
    table.add_column("variant")
    table.add_column("parameters", justify="right")
    for spec in specs:
        variant = f"IBN-{spec.ibn}" if spec.ibn else "BN"
        table.add_row(spec.name, f"ResNet-{spec.depth}", variant, f"{spec.parameters:,}")
    console = Console()
    console.print(table)
    console.print(
        "In an mmseg config: backbone=dict(type='IBNResNet', depth=50, ibn='a')", highlight=False
    )
