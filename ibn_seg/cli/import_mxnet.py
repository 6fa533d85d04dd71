"""`ibn-seg import-mxnet`."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ibn_seg.models.mxnet_import import Imported


@click.command("import-mxnet")
@click.argument("source", metavar="IN")
@click.option(
    "--symbol", metavar="JSON", help="The -symbol.json file, to compare with the network."
)
@click.option("-o", "--out", required=True, metavar="OUT.pth", help="The new checkpoint.")
@click.option("--overwrite", is_flag=True, help="Replace OUT.pth if it exists.")
def import_mxnet(source: str, symbol: str | None, out: str, overwrite: bool) -> None:
    """Turn a checkpoint of MXNet into one of ours.

    IN is a .params file of IBN-Net.mxnet or of gluoncv2, or a .pth file of pytorchcv. Every command
    takes such files as they are too. This one says what it found: the network, what was renamed or
    dropped, and how the network wants its images. A network of IBN-Net.mxnet has a batch norm of
    the image, bn_data. It becomes the mean and std of a preprocessor.

    With --symbol the file beside the checkpoint is compared with the network: eps, strides,
    kernels, groups and what is connected with what.

    \b
    Examples:
      ibn-seg import-mxnet resnet-ibn-a-imagenet-50-0-0125.params \\
        --symbol resnet-ibn-a-imagenet-50-0-symbol.json -o mx_resnet50_ibn_a.pth
      ibn-seg import-mxnet ibn_resnet50-0559-0f75710a.params -o resnet50_ibn_a.pth
    """
    from pathlib import Path

    from ibn_seg.errors import UserError
    from ibn_seg.models.mxnet_import import import_mxnet as read
    from ibn_seg.models.mxnet_import import write_imported

    if Path(out).exists() and not overwrite:
        raise UserError(f"{out}: exists already", "choose another name, or give --overwrite")
    imported = read(source, symbol)
    write_imported(imported, out)
    _print(imported, symbol, out)


def _print(imported: "Imported", symbol: str | None, out: str) -> None:
    from rich.table import Table

    from ibn_seg.terminal import plain_console

    found, data = imported.form, imported.preprocessing
    network = imported.name or "no named network"
    if found is not None:
        given = ", ".join(f"{key}={value!r}" for key, value in found.settings().items())
        network = f"{network}: {found.family}, {given}"
    rows = {
        "network": network,
        "mapped": f"{imported.mapped} arrays",
        "dropped": ", ".join(imported.dropped),
        "symbol": f"{symbol}: the same network" if symbol else "",
        "preprocessing": data and f"{data}: data_preprocessor=dict({data.config()})",
        "note": imported.note,
        "written": out,
    }
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in rows.items():
        if value:
            table.add_row(name, value)
    plain_console().print(table)
