"""The confidence of a segmentor's pixels as 16-bit levels, in blocks that bound the memory."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from ibn_seg.errors import UserError
from ibn_seg.trust.confidence_files import LEVEL_COUNT

# The most logits of a block: 16 MiB in float64.
_BLOCK = 1 << 21


def confidence_levels(
    logits: torch.Tensor, temperatures: Sequence[float] | None = None
) -> np.ndarray:
    """Return the level of the largest probability of each pixel.

    The probability is softmax's, of logits at the picture's size, in float64.

    Args:
        logits: (C, H, W), any float type. With one channel, mmseg's probability of the second of
            two classes.
        temperatures: For each predicted class the number by which a pixel's logits are divided.

    Returns:
        (H, W) uint16: min(floor(65536 c), 65535), BRAVO's levels.

    Raises:
        UserError: A value is NaN or infinite, or temperatures are of other classes.
    """
    channels, height, width = logits.shape
    if temperatures is not None and len(temperatures) != channels:
        raise UserError(
            f"temperature: for {len(temperatures)} classes, the network gives {channels}",
            "fit it for this network",
        )
    levels = np.empty((height, width), np.uint16)
    step = max(1, _BLOCK // (channels * width))
    for start in range(0, height, step):
        block = logits[:, start : start + step].double()
        if not block.isfinite().all():
            raise UserError("an output of the network is NaN or infinite", "check the weights")
        if channels == 1:
            confidence = torch.maximum(block[0], 1 - block[0])
        else:
            if temperatures is not None:
                block = block / block.new_tensor(temperatures)[block.argmax(0)]
            confidence = 1 / (block - block.amax(0)).exp_().sum(0)
        level = (confidence * LEVEL_COUNT).floor_().clamp_(max=LEVEL_COUNT - 1)
        levels[start : start + step] = level.cpu().numpy().astype(np.uint16)
    return levels


def log_odds_blocks(logits: torch.Tensor) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield rows, and ln(c / (1 - c)) of the largest probability c of their pixels.

    Args:
        logits: (C, H, W), C >= 2.

    Yields:
        Rows, and (rows, W) float32; nothing is lost where c rounds to 1.

    Raises:
        UserError: A logit is NaN or infinite, or there is one channel.
    """
    channels, height, width = logits.shape
    if channels < 2:
        raise UserError("confidence: the network has one output", "two or more are needed")
    step = max(1, _BLOCK // (channels * width))
    for start in range(0, height, step):
        rows = slice(start, start + step)
        block = logits[:, rows].float()
        if not block.isfinite().all():
            raise UserError("an output of the network is NaN or infinite", "check the weights")
        best, predicted = block.max(0)
        others = (block - best).exp_().scatter_(0, predicted[None], 0).sum(0)
        yield rows, others.log_().neg_().cpu().numpy()


def check_gives_logits(network: Any) -> None:
    """Raise if a softmax of a network's outputs is not its confidence.

    Heads like Mask2Former's give sums of products. Their softmax is nearly uniform.

    Raises:
        UserError: The decode head is not one of mmseg's that give logits.
    """
    from mmseg.models.decode_heads.decode_head import BaseDecodeHead

    head = getattr(network, "decode_head", None)
    head = head[-1] if isinstance(head, nn.ModuleList) else head
    plain = isinstance(head, BaseDecodeHead)
    if not plain or type(head).predict_by_feat is not BaseDecodeHead.predict_by_feat:
        raise UserError(
            f"--confidence: the outputs of {type(head).__name__} are not logits",
            "it works for decode heads that give a logit for each class",
        )
