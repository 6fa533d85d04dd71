"""Computes mmseg's sliding windows, which average overlapping logits, in bands of rows."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from ibn_seg.predict.windows.cutting import Span, Window
from ibn_seg.predict.windows.picture_input import PictureInput


def slide_rows(
    model: nn.Module, canvas: PictureInput, meta: Mapping[str, Any]
) -> Iterator[torch.Tensor]:
    """Yield the result of `slide_inference` in blocks of rows, shape (1, classes, rows, W).

    A block ends where the next row of windows begins. Sums follow mmseg's order, so they are
    bit-identical.

    Args:
        model: A segmentor of mmseg.
        canvas: The picture.
        meta: Its meta information.
    """
    height, width = canvas.size
    (row_stride, column_stride), (rows, columns) = model.test_cfg.stride, model.test_cfg.crop_size
    tops, lefts = _starts(height, rows, row_stride), _starts(width, columns, column_stride)
    sums = counts = None
    for top, following in zip(tops, [*tops[1:], height], strict=True):
        end = min(top + rows, height)
        for left in lefts:
            right = min(left + columns, width)
            window = Window(Span((top, end), (top, end)), Span((left, right), (left, right)))
            logits = _logits(model, canvas.read(window), meta)
            if sums is None:
                sums = logits.new_zeros((1, logits.shape[1], end - top, width))
                counts = logits.new_zeros((1, 1, end - top, width))
            sums[..., left:right] += logits
            counts[..., left:right] += 1
        done = following - top
        yield sums[:, :, :done] / counts[:, :, :done]
        sums, counts = (_moved(values, done) for values in (sums, counts))


def covers(test_cfg: Mapping[str, Any]) -> bool:
    """Return whether sliding windows leave no gap between them."""
    return all(s <= c for s, c in zip(test_cfg["stride"], test_cfg["crop_size"], strict=True))


def _starts(length: int, crop: int, stride: int) -> list[int]:
    """Return the starts of windows: a stride apart, the last one moved back to fit."""
    count = max(length - crop + stride - 1, 0) // stride + 1
    return [max(min(i * stride, length - crop), 0) for i in range(count)]


def _logits(model: nn.Module, x: torch.Tensor, meta: Mapping[str, Any]) -> torch.Tensor:
    return model.encode_decode(x, [{**meta, "img_shape": x.shape[2:]}])


def _moved(values: torch.Tensor, count: int) -> torch.Tensor:
    """Drop the first rows of the values, and append as many rows of zeros."""
    moved = torch.zeros_like(values)
    moved[:, :, : values.shape[2] - count] = values[:, :, count:]
    return moved
