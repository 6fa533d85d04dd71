"""Predicts large pictures with a segmentor of mmseg; windows bound the memory."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmseg.models.data_preprocessor import SegDataPreProcessor
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors import EncoderDecoder
from torch import nn

from ibn_seg.errors import UserError
from ibn_seg.heap import return_freed_memory
from ibn_seg.predict.windows.cutting import PERIOD, Span, Window, cheapest
from ibn_seg.predict.windows.label_rows import LabelRows, read_target, resized_rows
from ibn_seg.predict.windows.picture_input import PictureInput
from ibn_seg.predict.windows.sliding import covers, slide_rows
from ibn_seg.predict.windows.window_plan import make_plan
from ibn_seg.predict.windows.window_run import CannotCutError, Network, Plan, run_windows

# A picture of up to this many pixels goes through the network at once: 4096 x 2048, enough for
# frames of 3840 x 2160. No window of a larger picture has more.
MOST_PIXELS = 4096 * 2048
# Methods that this module replaces. A class with its own version of one is not handled here.
_SEGMENTOR = ("forward", "predict", "inference", "whole_inference", "slide_inference",
              "postprocess_result")  # fmt: skip
# The same for the head.
_HEAD = ("predict_by_feat",)
_log = logging.getLogger(__name__)


class LargeImages:
    """Labels for pictures that are too large for one run of a network.

    Args:
        model: A network in evaluation mode.
        most_pixels: The most pixels that the network sees at once, if it can be cut into windows.
            Sliding windows of a `test_cfg` keep their own size.
    """

    def __init__(self, model: nn.Module, most_pixels: int = MOST_PIXELS) -> None:
        self._model = model
        self._most = most_pixels
        # By height and width modulo `PERIOD`.
        self._plans: dict[tuple[int, int], Plan | CannotCutError] = {}
        self._said: set[str] = set()

    def takes(self, data: Mapping[str, Any]) -> bool:
        """Return whether a picture is large and this module can make the network's labels.

        Args:
            data: The test pipeline's output.
        """
        if not _is_known(self._model):
            return False
        height, width = data["data_samples"].metainfo["ori_shape"][:2]
        return max(data["inputs"][0].numel(), height * width) > self._most

    def labels(self, data: Mapping[str, Any]) -> np.ndarray:
        """Return the labels of a picture, shape (H, W) uint8.

        They equal the labels of mmseg's `test_step`, except for the rounding of logits.

        Args:
            data: The test pipeline's output.
        """
        return self._rows(data, confidence=False).labels()

    def labels_and_levels(
        self, data: Mapping[str, Any], temperatures: Sequence[float] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the labels, and the levels of confidence, shape (H, W) uint16.

        Args:
            data: The test pipeline's output.
            temperatures: For each predicted class the number by which a pixel's logits are divided.
        """
        rows = self._rows(data, True, temperatures)
        return rows.labels(), rows.levels()

    def _rows(
        self,
        data: Mapping[str, Any],
        confidence: bool,
        temperatures: Sequence[float] | None = None,
    ) -> LabelRows:
        """Return the finished rows of a picture."""
        model, head = self._model, _last_head(self._model)
        canvas = PictureInput(model.data_preprocessor, data["inputs"])
        meta = {**data["data_samples"].metainfo, **canvas.padding}
        if _slides(model):
            size, blocks = canvas.size, slide_rows(model, canvas, meta)
        else:
            size = tuple(meta.get("pad_shape", meta["img_shape"])[:2])
            blocks = resized_rows(self._logits(canvas, meta), size, model.align_corners)
        threshold = head.threshold if model.out_channels == 1 else None
        target = read_target(meta, size, model.align_corners, threshold)
        rows = LabelRows(target, confidence, temperatures)
        return_freed_memory()
        for block in blocks:
            rows.add(block)
        return rows

    def _logits(self, canvas: PictureInput, meta: Mapping[str, Any]) -> torch.Tensor:
        """Return the head's own logits of the whole picture, shape (1, classes, h, w)."""

        def network(x: torch.Tensor) -> torch.Tensor:
            return _raw_logits(self._model, x, meta)

        height, width = canvas.size
        if height * width > self._most:
            try:
                plan = self._plan(network, canvas)
                return run_windows(network, canvas.read, canvas.size, plan, self._cut(canvas.size))
            except CannotCutError as error:
                self._explain(error)
        return network(canvas.whole())

    def _plan(self, network: Network, canvas: PictureInput) -> Plan:
        """Return how the network is cut for pictures of this size."""
        rest = tuple(n % PERIOD for n in canvas.size)
        if rest not in self._plans:
            try:
                _refuse_deformable(self._model)
                self._plans[rest] = make_plan(network, _noise_like(canvas), rest)
            except CannotCutError as error:
                self._plans[rest] = error
            except UserError:
                raise
            except (RuntimeError, ValueError) as error:  # from PyTorch: the picture is too small
                self._plans[rest] = CannotCutError(str(error).strip().partition("\n")[0])
        plan = self._plans[rest]
        if isinstance(plan, CannotCutError):
            raise plan
        return plan

    def _cut(self, size: tuple[int, int]) -> Callable[[int], list[Window]]:
        """Return a function that cuts a picture into windows that are small enough.

        Raises:
            CannotCutError: (by the returned function) The margins alone are too large.
        """

        def cut(margin: int) -> list[Window]:
            found = cheapest(size, margin, self._most)
            if found is None:
                raise CannotCutError(f"a window needs {margin} more pixels on each side")
            return found

        return cut

    def _explain(self, error: CannotCutError) -> None:
        reason = str(error)
        if reason not in self._said:
            self._said.add(reason)
            _log.warning(
                "large pictures go through this network as a whole, which takes more memory: %s",
                reason,
            )


def _is_known(model: nn.Module) -> bool:
    """Return whether a model turns logits into labels as mmseg's `EncoderDecoder` does."""
    if not isinstance(model, EncoderDecoder) or _is_changed(model, EncoderDecoder, _SEGMENTOR):
        return False
    head = _last_head(model)
    if not isinstance(head, BaseDecodeHead) or _is_changed(head, BaseDecodeHead, _HEAD):
        return False
    known = isinstance(model.data_preprocessor, SegDataPreProcessor)
    return known and (not _slides(model) or covers(model.test_cfg))


def _is_changed(thing: nn.Module, base: type, names: Iterable[str]) -> bool:
    return any(getattr(type(thing), name) is not getattr(base, name) for name in names)


def _last_head(model: nn.Module) -> nn.Module:
    heads = model.decode_head
    return heads[-1] if isinstance(heads, nn.ModuleList) else heads


def _slides(model: nn.Module) -> bool:
    return model.test_cfg.get("mode", "whole") == "slide"


def _raw_logits(model: nn.Module, x: torch.Tensor, meta: Mapping[str, Any]) -> torch.Tensor:
    """Return the head's output for a picture, before the resize to the picture's size."""
    head = _last_head(model)
    found = []

    def keep(logits: torch.Tensor, *others: Any) -> torch.Tensor:
        found.append(logits)
        return logits

    head.predict_by_feat = keep
    try:
        model.encode_decode(x, [{**meta, "img_shape": tuple(x.shape[2:])}])
    finally:
        del head.predict_by_feat
    return found[-1]


def _noise_like(canvas: PictureInput) -> Callable[[int, int], torch.Tensor]:
    """Return a maker of noise pictures whose noise grows towards the bottom and the right."""
    rows = columns = Span((0, 1), (0, 1))
    like = canvas.read(Window(rows, columns))

    def noise(height: int, width: int) -> torch.Tensor:
        random = torch.Generator().manual_seed(0)
        x = torch.randn((1, like.shape[1], height, width), generator=random)
        x *= torch.linspace(0.5, 1.5, height)[:, None] * torch.linspace(0.5, 1.5, width)
        return x.to(like)

    return noise


def _refuse_deformable(model: nn.Module) -> None:
    for module in model.modules():
        if "DeformConv" in type(module).__name__:
            raise CannotCutError("its deformable convolutions have no fixed reach")
