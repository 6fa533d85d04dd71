"""A picture as a segmentor's network takes it, prepared window by window."""

import copy

import torch
from mmseg.models.data_preprocessor import SegDataPreProcessor
from mmseg.utils import stack_batch
from torch.nn import functional as F

from ibn_seg.predict.windows.cutting import Span, Window


class PictureInput:
    """A picture, normalised and padded where it is read.

    Args:
        preprocessor: mmseg's, which treats each pixel for itself.
        image: The picture as the pipeline returned it, shape (C, H, W).

    Attributes:
        size: Height and width with padding.
        padding: What the preprocessor adds to the meta information of the picture.
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
        """Return what the network sees of a window, shape (1, C, h, w), float32."""
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
