"""`ibn-seg export`."""

from typing import TYPE_CHECKING

import click

from ibn_seg.command_options import (
    ConfigCommand,
    Size,
    config_options,
    fuse_option,
    temperature_option,
)

if TYPE_CHECKING:
    from ibn_seg.export.export_network import Exported


@click.command(cls=ConfigCommand)
@click.option("--model", metavar="NAME", help="A classifier; `ibn-seg models` lists the names.")
@click.option("--pretrained", is_flag=True, help="With the weights that its authors published.")
@click.option("--config", metavar="CONFIG", help="A segmentor: a file, or ibn_seg::FOLDER/NAME.")
@click.option("--checkpoint", metavar="FILE", help="The weights; every one must fit.")
@click.option("-o", "--out", metavar="OUT.onnx", required=True, help="The file to write.")
@click.option("--normalise", is_flag=True, help="Take RGB values 0..255, normalise them inside.")
@click.option("--labels", is_flag=True, help="A segmentor returns classes (uint8), not logits.")
@click.option(
    "--confidence", is_flag=True, help="A segmentor returns classes, and their probabilities."
)
@temperature_option
@click.option("--fixed-size", is_flag=True, help="Take one size of images alone, in any batch.")
@click.option(
    "--size", type=Size(), help="The example's size. Default: 224x224, segmentor 256x256."
)
@click.option("--opset", type=int, default=18, show_default=True, help="ONNX operators, 18 to 23.")
@fuse_option
@config_options
def export(
    model: str | None,
    pretrained: bool,
    config: str | None,
    checkpoint: str | None,
    out: str,
    normalise: bool,
    labels: bool,
    confidence: bool,
    temperature: str | None,
    fixed_size: bool,
    size: tuple[int, int] | None,
    opset: int,
    fuse: bool,
    cfg_options: tuple[str, ...],
) -> None:
    """Write a network as one ONNX file, for any batch and any size of images.

    The file takes what the PyTorch network takes: normalised float32 images, N x 3 x height x
    width. Its metadata say how to normalise (mean, std, channel_order), and name the classes. With
    --normalise it takes RGB values as they are.

    A classifier returns logits, N x classes. A segmentor returns logits of the image's size,
    N x classes x height x width. With --confidence it returns two maps of N x height x width: the
    classes (uint8), and the probability of each pixel's class (float32).

    The file is kept if onnxruntime agrees with PyTorch, within 1e-4 of the largest value. This is
    tried in three batches and sizes. It needs the packages of ibn_seg[onnx].

    \b
    Examples:
      ibn-seg export --model resnet50_ibn_a --pretrained -o resnet50_ibn_a.onnx
      ibn-seg export --model resnet50_ibn_b --checkpoint mine.pth -o mine.onnx --normalise
      ibn-seg export --config CONFIG --checkpoint iter_40000.pth -o segmentor.onnx
      ibn-seg export --config CONFIG --checkpoint FILE -o labels.onnx --labels --normalise
      ibn-seg export --config CONFIG --checkpoint FILE -o sure.onnx --confidence
    """
    from ibn_seg.export.export_network import export as run
    from ibn_seg.run.config_loading import read_options

    result = run(
        out,
        model=model,
        pretrained=pretrained,
        config=config,
        checkpoint=checkpoint,
        cfg_options=read_options(cfg_options),
        opset=opset,
        size=size,
        fixed_size=fixed_size,
        normalise=normalise,
        labels=labels,
        confidence=confidence,
        temperature=temperature,
        fuse=fuse,
    )
    for line in _lines(result):
        click.echo(line)


def _lines(result: "Exported") -> list[str]:
    """Return the report of an export."""
    lines = [f"{result.path}: {result.megabytes:.1f} MB, opset {result.opset}"]
    for kind, tensors in (("input", result.inputs), ("output", result.outputs)):
        for name, axes in tensors.items():
            takes = f"  {result.takes}" if kind == "input" else ""
            lines.append(f"{kind:<7}{name:<7} {' x '.join(map(str, axes))}{takes}")
    measure = "largest difference over largest value"
    if "confidence" in result.outputs:
        measure = "largest difference in probability, ties left out"
    elif "labels" in result.outputs:
        measure = "share of pixels with another class, ties left out"
    lines.append(f"onnxruntime against PyTorch, {measure}:")
    for shape, difference in result.differences.items():
        lines.append(f"  {' x '.join(map(str, shape)):<20} {difference:.1e}")
    return lines + [f"note: {note}" for note in result.notes]
