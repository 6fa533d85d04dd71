"""Compares an ONNX file in onnxruntime with its network in PyTorch."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ibn_seg.errors import UserError

if TYPE_CHECKING:
    import torch
    from rich.progress import Progress

    from ibn_seg.export.exportable import Exportable, Subject

    Axes = tuple[int | str, ...]

# Largest difference: of logits over the largest value, of probabilities as they are.
TOLERANCE = 1e-4
INPUT = "image"


def noise_images(shape: tuple[int, ...], raw: bool) -> "torch.Tensor":
    """Return noise like a network's input, the same for the same shape.

    Args:
        shape: (N, 3, H, W).
        raw: Whether values are 0..255; else normalised ones.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    if raw:
        return torch.rand(shape, generator=generator) * 255
    return torch.randn(shape, generator=generator)


def compare(
    path: Path,
    network: "Exportable",
    subject: "Subject",
    shapes: list[tuple[int, int, int, int]],
    progress: "Progress",
) -> dict[tuple[int, int, int, int], float]:
    """Return the difference between onnxruntime and PyTorch at each shape.

    For logits it is the largest difference over PyTorch's largest value. For labels it is the share
    of pixels that differ without a tie. In a tie, PyTorch's best two logits differ by at most 1e-4
    of the largest. With confidence it is the larger one of this share and of the largest difference
    in probability without a tie.

    Args:
        path: The file.
        network: The network in PyTorch.
        subject: What it is of.
        shapes: The shapes of the images.
        progress: Moved by one step for each shape.

    Raises:
        UserError: A difference is too large, or the file does not run.
    """
    import torch

    session = _session(path)
    (task,) = progress.task_ids
    found = {}
    for shape in shapes:
        title = "x".join(map(str, shape))
        progress.update(task, detail=f"checking {title}")
        images = noise_images(shape, network.normalise)
        with torch.inference_mode():
            logits = network.logits(images)
            outputs = network(images)
        with _explained(f"{subject.name} at {title}"):
            got = session.run(None, {INPUT: images.numpy()})
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        parts = [
            _difference(one, other.numpy(), logits.numpy())
            for one, other in zip(got, outputs, strict=True)
        ]
        limits = [0.0 if name == "labels" else TOLERANCE for name in network.output_names]
        for difference, limit in zip(parts, limits, strict=True):
            if difference <= limit:
                continue
            raise UserError(
                f"{subject.name}: onnxruntime differs from PyTorch by {difference:.1e} at {title},"
                f" allowed is {limit:.0e}",
                "not written; try --fixed-size",
            )
        found[shape] = max(parts)
        progress.advance(task)
    return found


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    with _explained(path.name):
        return onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn any error of onnxruntime into one line; its errors share no base class."""
    from onnxruntime.capi import onnxruntime_pybind11_state as raised

    problems = (
        raised.Fail, raised.InvalidArgument, raised.InvalidGraph, raised.NotImplemented,
        raised.RuntimeException,
    )  # fmt: skip
    try:
        yield
    except problems as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"{what}: onnxruntime does not run it ({reason})",
            "not written; try another --opset, or --fixed-size",
        ) from error


def _difference(got: np.ndarray, expected: np.ndarray, logits: np.ndarray) -> float:
    """Return the difference of one output, see `compare`."""
    if got.shape != expected.shape or got.dtype != expected.dtype:
        return float("inf")
    if got.shape == logits.shape:
        return float(np.abs(got - expected).max() / np.abs(expected).max())
    clear = _without_ties(logits)
    if got.dtype == np.uint8:
        return float((clear & (got != expected)).mean())
    # A class of its own may have a temperature of its own.
    return float(np.abs(got - expected).max(where=clear, initial=0.0))


def _without_ties(logits: np.ndarray) -> np.ndarray:
    """Return the pixels whose best two logits are clearly apart, (N, H, W)."""
    if logits.shape[1] == 1:
        return np.ones((len(logits), *logits.shape[2:]), bool)
    first, second = np.partition(logits, -2, axis=1)[:, -2:].transpose(1, 0, 2, 3)[::-1]
    return first - second > TOLERANCE * np.abs(logits).max()


def interface(path: Path) -> "tuple[dict[str, Axes], dict[str, Axes]]":
    """Return the axes of each input and output, as the file has them.

    Args:
        path: The file.
    """
    session = _session(path)
    return tuple(
        {value.name: tuple(value.shape) for value in values}
        for values in (session.get_inputs(), session.get_outputs())
    )
