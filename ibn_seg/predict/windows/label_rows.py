"""Makes mmseg's labels from logits that arrive in blocks of rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ibn_seg.engine.pixel_confidence import confidence_levels
from ibn_seg.predict.windows.part_resize import AxisResize, resize_part, source_positions

# The most logits of a block: 64 MiB in float32.
_BLOCK = 1 << 24


@dataclass(frozen=True)
class Target:
    """The picture that the labels are for.

    Attributes:
        size: Height and width of the map of logits, with padding.
        padding: Columns left and right, and rows above and below, to be cut off.
        picture: Height and width of the picture.
        flip: 'horizontal' or 'vertical' if the pipeline mirrored the picture, else None.
        align_corners: As in the head's resize.
        threshold: Threshold of the one class, if the head has only one output.
    """

    size: tuple[int, int]
    padding: tuple[int, int, int, int]
    picture: tuple[int, int]
    flip: str | None
    align_corners: bool
    threshold: float | None


def read_target(
    meta: Mapping[str, Any], size: tuple[int, int], align_corners: bool, threshold: float | None
) -> Target:
    """Return the target described by a sample's meta information.

    Args:
        meta: The information that mmseg's `postprocess_result` reads.
        size: Height and width of the map of logits.
        align_corners: As in the head's resize.
        threshold: Threshold of the one class, if the head has only one output.
    """
    padding = meta.get("img_padding_size", meta.get("padding_size")) or (0, 0, 0, 0)
    flip = meta.get("flip_direction") if meta.get("flip") else None
    picture = tuple(meta["ori_shape"][:2])
    return Target(size, tuple(padding), picture, flip, align_corners, threshold)


class LabelRows:
    """The labels of a picture, filled from the top by blocks of logits.

    Args:
        target: The picture that the labels are for.
        confidence: Whether to keep the confidence, too.
        temperatures: For each predicted class the number by which a pixel's logits are divided.
    """

    def __init__(
        self,
        target: Target,
        confidence: bool = False,
        temperatures: Sequence[float] | None = None,
    ) -> None:
        self._temperatures = temperatures
        left, right, top, bottom = target.padding
        self._target = target
        self._top, self._left = top, left
        self._size = (target.size[0] - top - bottom, target.size[1] - left - right)
        self._labels = np.zeros(target.picture, dtype=np.uint8)
        self._levels = np.zeros(target.picture, dtype=np.uint16) if confidence else None
        self._row = 0  # next row of the map with padding
        self._first = 0  # row without padding where `_kept` begins
        self._kept: torch.Tensor | None = None
        self._done = 0  # rows of labels
        axis = AxisResize(self._size[0], target.picture[0], 0, 0, target.picture[0])
        low = source_positions(axis, target.align_corners).floor().long()
        self._low = low.clamp(max=self._size[0] - 1).tolist()

    def add(self, logits: torch.Tensor) -> None:
        """Take the next rows of the map of logits, shape (1, C, rows, width)."""
        start, self._row = self._row, self._row + logits.shape[2]
        begin = max(self._top - start, 0)
        end = min(self._top + self._size[0] - start, logits.shape[2])
        if begin >= end:
            return
        rows = logits[:, :, begin:end, self._left : self._left + self._size[1]]
        if self._target.flip == "horizontal":
            rows = rows.flip(3)
        if self._kept is not None:
            rows = torch.cat((self._kept, rows), dim=2)
        self._finish(rows)

    def labels(self) -> np.ndarray:
        """Return the labels, shape (H, W) uint8, when all rows have arrived."""
        return self._upright(self._labels)

    def levels(self) -> np.ndarray:
        """Return the levels of confidence, shape (H, W) uint16, when all rows have arrived."""
        return self._upright(self._levels)

    def _upright(self, values: np.ndarray) -> np.ndarray:
        # Mirror at the end, because the picture's first rows arrive last.
        vertical = self._target.flip == "vertical"
        return np.ascontiguousarray(values[::-1]) if vertical else values

    def _finish(self, rows: torch.Tensor) -> None:
        """Fill the rows of labels that `rows` decide, and keep the rows that later ones need."""
        (height, width), known = self._target.picture, self._first + rows.shape[2]
        step = max(1, _BLOCK // (rows.shape[1] * max(width, rows.shape[3])))
        while self._done < height:
            stop = self._done
            while stop < min(height, self._done + step) and self._is_decided(stop, known):
                stop += 1
            if stop == self._done:
                break
            vertical = AxisResize(self._size[0], height, self._first, self._done, stop - self._done)
            horizontal = AxisResize(self._size[1], width, 0, 0, width)
            part = resize_part(rows, vertical, horizontal, self._target.align_corners)
            self._labels[self._done : stop] = self._classes(part)
            if self._levels is not None:
                one = part[0].sigmoid() if part.shape[1] == 1 else part[0]
                self._levels[self._done : stop] = confidence_levels(one, self._temperatures)
            self._done = stop
        if self._done < height:
            first = min(self._low[self._done], known)
            self._kept, self._first = rows[:, :, first - self._first :].clone(), first

    def _is_decided(self, row: int, known: int) -> bool:
        """Return whether the rows before `known` decide a row of labels."""
        if self._size[0] == self._target.picture[0]:
            return row < known
        return min(self._low[row] + 1, self._size[0] - 1) < known

    def _classes(self, logits: torch.Tensor) -> np.ndarray:
        if logits.shape[1] > 1:
            classes = logits.argmax(1)
        else:
            classes = logits[:, 0].sigmoid() > self._target.threshold
        return classes[0].to(torch.uint8).cpu().numpy()


def resized_rows(
    logits: torch.Tensor, size: tuple[int, int], align_corners: bool
) -> Iterator[torch.Tensor]:
    """Yield the bilinear resize of a map in blocks of rows, from the top.

    Args:
        logits: Shape (1, C, h, w).
        size: Height and width after the resize.
        align_corners: As in `torch.nn.functional.interpolate`.
    """
    height, width = size
    step = max(1, _BLOCK // (logits.shape[1] * width))
    columns = AxisResize(logits.shape[3], width, 0, 0, width)
    for start in range(0, height, step):
        rows = AxisResize(logits.shape[2], height, 0, start, min(step, height - start))
        yield resize_part(logits, rows, columns, align_corners)
