"""Writes networks as ONNX files, and keeps a file only if onnxruntime agrees with PyTorch."""

import contextlib
import importlib
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibn_seg.errors import EnvError, UserError
from ibn_seg.export.compare_outputs import INPUT, compare, interface, noise_images
from ibn_seg.io import atomic_path
from ibn_seg.progress import progress_bar
from ibn_seg.provenance import record
from ibn_seg.run.setup import check_writable
from ibn_seg.trust.stored_temperature import read_temperature

if TYPE_CHECKING:
    from mmengine.config import Config

    from ibn_seg.export.compare_outputs import Axes
    from ibn_seg.export.exportable import Exportable, Subject

# PyTorch's exporter writes opset 18 and newer; 23 is the newest that it documents.
OPSETS = range(18, 24)
# The oldest of these, which most runtimes read.
DEFAULT_OPSET = 18
# Below this size, the last feature maps have one pixel or none.
MIN_SIDE = 64
_DEFAULT_SIDE = {"classifier": 224, "segmentor": 256}
_PACKAGES = ("onnx", "onnxruntime", "onnxscript")
# Since this version, the exporter used here is PyTorch's default.
_TORCH = (2, 9)


@dataclass(frozen=True)
class Exported:
    """An ONNX file and its measurements.

    Attributes:
        path: The file.
        megabytes: Its size, in 10^6 bytes.
        opset: The version of ONNX's operators.
        inputs: Name of each input, and its axes: numbers, or names where any size fits.
        outputs: The same for the outputs.
        takes: The input in words.
        differences: For each tested shape, the largest difference between onnxruntime and PyTorch,
            as `ibn_seg.export.compare_outputs.compare` measures it.
        notes: Further facts for the user.
    """

    path: Path
    megabytes: float
    opset: int
    inputs: "dict[str, Axes]"
    outputs: "dict[str, Axes]"
    takes: str
    differences: dict[tuple[int, int, int, int], float]
    notes: tuple[str, ...] = ()


def export(
    out: str | os.PathLike,
    *,
    model: str | None = None,
    pretrained: bool = False,
    config: "str | os.PathLike | Config | None" = None,
    checkpoint: str | os.PathLike | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    opset: int = DEFAULT_OPSET,
    size: tuple[int, int] | None = None,
    fixed_size: bool = False,
    normalise: bool = False,
    labels: bool = False,
    confidence: bool = False,
    temperature: str | None = None,
    fuse: bool = False,
) -> Exported:
    """Write a classifier or a segmentor as an ONNX file that takes any batch and any size.

    The file is run in onnxruntime, with other batches and sizes than it was made with. It is kept
    only if its results match PyTorch's. A segmentor sees whole images and returns logits of their
    size. Heads for training are left out. The file's metadata hold the preparation of images, the
    class names, and the file's origin.

    Args:
        out: The file, ending in .onnx.
        model: One of `ibn_seg.list_models()`, a classifier; with `pretrained` or `checkpoint`.
        pretrained: Use the authors' published weights.
        config: A segmentor, instead of `model`; with `checkpoint`. A path, an `ibn_seg::` name, or
            a config, which is not changed.
        checkpoint: A .pth file; every weight must fit.
        cfg_options: Values that override the config's, by dotted key.
        opset: The version of ONNX's operators, 18 to 23.
        size: Width and height of the example that traces the network. Default: 224x224, for a
            segmentor 256x256.
        fixed_size: Accept this size only, with any batch.
        normalise: Take RGB values from 0 to 255 and normalise them inside the file. Default: take
            normalised images, as the PyTorch network does.
        labels: For a segmentor, return the class of each pixel, uint8 of shape (N, H, W).
        confidence: Return the class of each pixel and its probability, a second output of float32
            in the same shape. It is what `predict` writes as confidence.
        temperature: 'global' or 'class': divide logits by the temperatures beside the checkpoint,
            for the confidence alone.
        fuse: Fold the network's norms into its convolutions first (`ibn_seg.fuse`).

    Returns:
        The file's path, its inputs and outputs, and the measured differences.

    Raises:
        UserError: An argument, the config or the weights are wrong. Or the network cannot be
            exported, or the file's results differ from PyTorch's.
        EnvError: A package is missing, or the file cannot be written.
    """
    out = Path(out)
    for_segmentors = {"cfg-options": cfg_options, "labels": labels, "confidence": confidence}
    _check_arguments(out, model, pretrained, config, checkpoint, for_segmentors)
    if temperature is not None and not confidence:
        raise UserError("--temperature without --confidence", "it changes the confidence alone")
    values = None if temperature is None else read_temperature(checkpoint, temperature).values
    _check_numbers(opset, size)
    _check_packages()
    check_writable(out.parent)
    from ibn_seg.export import exportable

    if model is not None:
        subject = exportable.classifier(model, checkpoint, fuse)
    else:
        subject = exportable.segmentor(config, checkpoint, cfg_options, fuse)
    if not fixed_size:
        _check_pooling(subject)
    network = exportable.Exportable(subject, normalise, labels, confidence, values)
    network = network.eval().requires_grad_(False)
    shapes = _shapes(*(size or (_DEFAULT_SIDE[subject.kind],) * 2), fixed_size)
    # Only now, because a download has its own progress bar.
    with progress_bar() as progress, _quiet():
        task = progress.add_task("export", total=1 + len(shapes), detail="following the network")
        with atomic_path(out) as temporary:
            _write(temporary, network, subject, shapes[0], opset, fixed_size)
            progress.advance(task)
            differences = compare(temporary, network, subject, shapes, progress)
            inputs, outputs = interface(temporary)
            megabytes = temporary.stat().st_size / 1e6
    return Exported(
        out,
        megabytes,
        opset,
        inputs,
        outputs,
        exportable.describe_input(subject.images, normalise),
        differences,
        subject.notes,
    )


def _check_arguments(
    out: Path,
    model: str | None,
    pretrained: bool,
    config: Any,
    checkpoint: str | os.PathLike | None,
    for_segmentors: Mapping[str, Any],
) -> None:
    """Check that the arguments name one network, one source of weights and a file."""
    if (model is None) == (config is None):
        given = "neither model nor config is" if model is None else "model and config are both"
        raise UserError(f"export: {given} given", "give --model for a classifier, or --config")
    if out.suffix != ".onnx" or out.is_dir():
        raise UserError(f"{out}: is not the name of an ONNX file", "end it in .onnx")
    if config is not None:
        if pretrained or checkpoint is None:
            raise UserError(
                "export: a config needs the weights of its segmentor", "give --checkpoint FILE"
            )
        return
    if pretrained == (checkpoint is not None):
        given = "both given" if pretrained else "neither given"
        raise UserError(
            f"export of {model}: published weights and a checkpoint are {given}",
            "give --pretrained or --checkpoint FILE",
        )
    for what, given in for_segmentors.items():
        if given:
            raise UserError(f"--{what} is given for a classifier", "it goes with --config")


def _check_numbers(opset: int, size: tuple[int, int] | None) -> None:
    if opset not in OPSETS:
        raise UserError(f"opset {opset} cannot be written", f"allowed: {OPSETS[0]} to {OPSETS[-1]}")
    if size is not None and min(size) < MIN_SIDE:
        width, height = size
        raise UserError(f"size {width}x{height} is too small", f"allowed: {MIN_SIDE} and up")


def _check_packages() -> None:
    for name in _PACKAGES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise EnvError(
                f"export needs {', '.join(_PACKAGES)} ({error})", "pip install 'ibn_seg[onnx]'"
            ) from error

    import torch

    if tuple(map(int, torch.__version__.split(".")[:2])) < _TORCH:
        raise EnvError(
            f"export needs PyTorch {_TORCH[0]}.{_TORCH[1]} or newer, here is {torch.__version__}",
            "upgrade PyTorch",
        )


def _check_pooling(subject: "Subject") -> None:
    """Refuse pooling into a grid, which exports silently for the example's size only."""
    from torch import nn

    for name, module in subject.network.named_modules():
        if isinstance(module, (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)):
            grid = module.output_size
            grid = (grid, grid) if isinstance(grid, int) else tuple(grid)
            if grid != (1, 1):
                raise UserError(
                    f"{subject.name}: {name} pools into {grid[0]}x{grid[1]} cells, which ONNX can "
                    "do for one size of images only",
                    "give --fixed-size, and the size with --size",
                )


def _shapes(width: int, height: int, fixed: bool) -> list[tuple[int, int, int, int]]:
    """Return the example's shape and the test shapes; the last side is odd unless fixed."""
    if fixed:
        return [(batch, 3, height, width) for batch in (2, 1, 3)]
    return [
        (2, 3, height, width),
        (1, 3, height + 64, max(width - 32, MIN_SIDE)),
        (3, 3, max(height // 2, MIN_SIDE) + 1, width // 2 + 67),
    ]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's developer reports off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _write(
    path: Path,
    network: "Exportable",
    subject: "Subject",
    shape: tuple[int, ...],
    opset: int,
    fixed_size: bool,
) -> None:
    """Trace the network with an example and write the result."""
    import torch

    axes = {0: "batch"} if fixed_size else {0: "batch", 2: "height", 3: "width"}
    try:
        program = torch.onnx.export(
            network,
            (noise_images(shape, network.normalise),),
            input_names=[INPUT],
            output_names=list(network.output_names),
            opset_version=opset,
            dynamic_shapes=(axes,),
            dynamo=True,
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        cause = str(error.__cause__ or error).strip().splitlines()[0]
        raise UserError(
            f"{subject.name}: PyTorch cannot export it ({cause})",
            "leave out the layer that is named, or try --fixed-size",
        ) from error
    written = program.model.opset_imports.get("")
    if written != opset:
        raise EnvError(
            f"PyTorch {torch.__version__} wrote opset {written} instead of {opset}",
            f"give --opset {written}",
        )
    about = record()
    program.model.metadata_props.update(
        subject.metadata(network.normalise),
        versions=" ".join(f"{name}={version}" for name, version in about["versions"].items()),
        git_commit=about["git_commit"] or "",
        date=about["date"],
    )
    program.save(path, external_data=False)
