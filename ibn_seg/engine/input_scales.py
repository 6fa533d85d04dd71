"""Lets a segmentor see its input at other scales, one alone or the mean over several."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ibn_seg.errors import UserError

# Above float32's smallest positive normal number, so that no logarithm is infinite.
_TINY = 1e-37


@dataclass
class Spent:
    """The time of the network.

    Attributes:
        seconds: Seconds of all inputs together.
        inputs: Number of inputs.
    """

    seconds: float = 0.0
    inputs: int = 0


@contextlib.contextmanager
def at_scales(network: nn.Module, scales: Sequence[float]) -> Iterator[Spent]:
    """Let a segmentor of mmseg predict at scales in the block.

    The prepared input is resized bilinearly (corners not aligned, no antialiasing, as in mmcv's
    `Resize`). The head resizes logits back to the unscaled input, as mmseg does. With several
    scales the result is the logarithm of their mean probability, whose softmax is that mean.

    Args:
        network: It sees whole pictures.
        scales: Factors of both sides, above 0.

    Yields:
        The time that the network takes in the block.

    Raises:
        UserError: The network looks through sliding windows.
    """
    if (network.test_cfg or {}).get("mode", "whole") != "whole":
        raise UserError(
            "scales: the config tests in sliding windows", "test_cfg=dict(mode='whole')"
        )
    plain, spent = network.inference, Spent()

    def inference(inputs: Tensor, metas: list[dict[str, Any]]) -> Tensor:
        start = _now(inputs)
        chances = None
        for scale in scales:
            logits = plain(_scaled(inputs, scale), metas)
            if len(scales) > 1:
                one = logits.float().softmax(dim=1)
                chances = one if chances is None else chances.add_(one)
        if chances is not None:
            logits = chances.div_(len(scales)).clamp_(min=_TINY).log_()
        spent.seconds += _now(inputs) - start
        spent.inputs += len(inputs)
        return logits

    network.inference = inference
    try:
        yield spent
    finally:
        del network.inference


def _scaled(inputs: Tensor, scale: float) -> Tensor:
    """Return (N, 3, H, W) inputs at another scale, each side at least one pixel."""
    if scale == 1:
        return inputs
    size = [max(1, round(side * scale)) for side in inputs.shape[2:]]
    return functional.interpolate(inputs, size, mode="bilinear", align_corners=False)


def _now(inputs: Tensor) -> float:
    if inputs.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter()
