"""Prepares a picture for a segmentor's network window by window."""

import copy

import torch
from mmseg.models.data_preprocessor import SegDataPreProcessor
from mmseg.utils import stack_batch
from torch.nn import functional as F

from ibn_seg.predict.windows.cutting import Span, Window


class PictureInput:
    """A picture whose parts are normalised and padded when they are read.

    Args:
        preprocessor: mmseg's preprocessor, which treats each pixel separately.
        image: The picture as the pipeline returned it, shape (C, H, W).

    Attributes:
        size: Height and width with padding.
        padding: The preprocessor's additions to the picture's meta information.
    """

    def __init__(self, preprocessor: SegDataPreProcessor, image: torch.Tensor) -> None:
        self._image = image
        # The copy shares all tensors, and does not pad.
        self._preprocessor = copy.copy(preprocessor)
        self._preprocessor.test_cfg = None
        self._value = preprocessor.pad_val
        self.size = tuple(image.shape[1:])
        self.padding = {}
        if preprocessor.test_cfg:
            kinds = {key: preprocessor.test_cfg.get(key) for key in ("size", "size_divisor")}
            padded, [self.padding] = stack_batch([image[:1]], **kinds)
            self.size = tuple(padded.shape[2:])

    def read(self, window: Window) -> torch.Tensor:
        """Return the network's input for a window, shape (1, C, h, w), float32."""
        (top, bottom), (left, right) = window.rows.outer, window.columns.outer
        crop = self._image[:, top:bottom, left:right]
        height, width = bottom - top, right - left
        below, beside = height - crop.shape[1], width - crop.shape[2]
        x = self._preprocessor({"inputs": [crop]}, False)["inputs"]
        return F.pad(x, (0, beside, 0, below), value=self._value) if below or beside else x

    def whole(self) -> torch.Tensor:
        """Return the whole picture, shape (1, C, H, W), float32."""
        rows, columns = (Span((0, n), (0, n)) for n in self.size)
        return self.read(Window(rows, columns))
