"""Full-size labels from an mmseg segmentor, without full-size logits."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.hooks import Hook, IterTimerHook, LoggerHook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from mmengine.structures import PixelData
from torch import Tensor, nn
from torch.nn import functional

from ibn_seg.engine.pixel_stream import PixelStream, fill, mark_higher

# Labels are 8-bit numbers.
_MOST_CLASSES = 256
# Methods that a segmentor and its head must have from mmseg itself, and the modules with them.
_SEGMENTOR = ("forward", "predict", "inference", "whole_inference", "postprocess_result")
_SEGMENTOR_MODULES = tuple(
    f"mmseg.models.segmentors.{name}" for name in ("base", "encoder_decoder")
)
_ENCODE_MODULES = (
    "mmseg.models.segmentors.encoder_decoder",
    "mmseg.models.segmentors.cascade_encoder_decoder",
)
_PREDICT_MODULES = tuple(
    f"mmseg.models.decode_heads.{name}" for name in ("decode_head", "cascade_decode_head")
)
# Up to 3 channels and for outputs of height + width up to 128, PyTorch upsamples with other
# kernels. These round a single channel differently than several. The second bound here is well
# above theirs: smaller outputs need little memory, and their classes are upsampled together.
_FEW_CLASSES = 3
_SMALL_OUTPUT = 512
# Hooks of mmengine that look at every batch but not at the predictions.
_INDIFFERENT = (IterTimerHook, LoggerHook)


@HOOKS.register_module()
class LabelsOnlyHook(Hook):
    """Let validation and test predict only labels if nothing needs logits.

    mmseg keeps `seg_logits` of every image at full size, 152 MiB for 19 classes of 2048x1024, and
    takes their argmax. With this hook samples hold `pred_sem_seg` as uint8, with the same values,
    and no `seg_logits`.

    It does nothing if logits are needed or if labels are computed in another way. Examples:
    test-time augmentation, sliding windows, and heads with one channel or their own
    `predict_by_feat`. The same holds for metrics and hooks that do not say `needs_logits = False`,
    and for hooks that say `reads_logits = True`.

    A hook with `new_stream` gets the logits of each class, one after another: see `labels_only`.
    """

    def __init__(self) -> None:
        self._active = contextlib.ExitStack()

    def before_val_epoch(self, runner: Runner) -> None:
        """Begin, if only labels are needed."""
        self._begin(runner, "val", runner.val_evaluator)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Leave the network as it was."""
        self.close()

    def before_test_epoch(self, runner: Runner) -> None:
        """Begin, if only labels are needed."""
        self._begin(runner, "test", runner.test_evaluator)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Leave the network as it was."""
        self.close()

    def close(self) -> None:
        """Restore the network, also after an interrupted run."""
        self._active.close()

    def _begin(self, runner: Runner, stage: str, evaluator: Any) -> None:
        network = runner.model.module if is_model_wrapper(runner.model) else runner.model
        readers = [hook for hook in runner.hooks if _looks_at_outputs(hook, stage)]
        wanted = any(getattr(reader, "needs_logits", True) for reader in readers)
        wanted |= any(getattr(hook, "reads_logits", False) for hook in runner.hooks)
        wanted |= any(getattr(metric, "needs_logits", True) for metric in evaluator.metrics)
        streams = [hook.new_stream for hook in runner.hooks if hasattr(hook, "new_stream")]
        if not wanted and can_skip_logits(network) and len(streams) < 2:
            self._active.enter_context(labels_only(network, *streams))


def _looks_at_outputs(hook: Hook, stage: str) -> bool:
    """Tell whether a hook may read the predictions of a batch."""
    methods = (f"after_{stage}_iter", "_after_iter")
    own = any(getattr(type(hook), name) is not getattr(Hook, name) for name in methods)
    return own and type(hook) not in _INDIFFERENT


def can_skip_logits(network: nn.Module) -> bool:
    """Tell whether `labels_only` can reproduce how a network computes its labels."""
    # A segmentor of mmseg cannot exist before its module; importing it takes seconds.
    if "mmseg.models.segmentors" not in sys.modules:
        return False
    if getattr(network, "decode_head", None) is None:
        return False
    head = _last_head(network)
    return (
        _defined_in(network, _SEGMENTOR, _SEGMENTOR_MODULES)
        and _defined_in(network, ("encode_decode",), _ENCODE_MODULES)
        and _defined_in(head, ("predict",), _PREDICT_MODULES)
        and _defined_in(head, ("predict_by_feat",), _PREDICT_MODULES[:1])
        and (network.test_cfg or {}).get("mode", "whole") == "whole"
        and 1 < head.out_channels <= _MOST_CLASSES
    )


def _last_head(network: nn.Module) -> nn.Module:
    """Return the decode head that gives the prediction: the last one of a cascade."""
    head = network.decode_head
    return head[-1] if isinstance(head, nn.ModuleList) else head


def _defined_in(module: nn.Module, methods: Sequence[str], modules: Sequence[str]) -> bool:
    """Tell whether an object has all given methods, unchanged, from given modules."""
    found = [getattr(type(module), name, None) for name in methods]
    return not set(methods) & set(vars(module)) and all(
        getattr(method, "__module__", None) in modules for method in found
    )


@contextlib.contextmanager
def labels_only(
    network: nn.Module, new_stream: Callable[[Any, float], PixelStream] | None = None
) -> Iterator[None]:
    """Let a segmentor of mmseg predict only labels in the block.

    Args:
        network: One for which `can_skip_logits` holds. Samples of a prediction get `pred_sem_seg`,
            (1, H, W) uint8, with the usual values, and no `seg_logits`. Logits in channels_last are
            upsampled as contiguous ones, which rounds differently.
        new_stream: Takes a sample and the largest size of its logits. Returns what takes its logits
            class by class. The sample then has it as `pixel_stream`.
    """
    head = _last_head(network)
    upsample, postprocess = head.predict_by_feat, network.postprocess_result

    def keep(logits: Tensor, metas: Sequence[Mapping]) -> "_SmallLogits":
        return _SmallLogits(logits.contiguous(), metas, upsample)

    def to_labels(small: "_SmallLogits", samples: Sequence | None = None) -> Sequence:
        if samples is None:
            return postprocess(small.planes(), samples)
        for index, sample in enumerate(samples):
            one = slice(index, index + 1)
            stream = None if new_stream is None else new_stream(sample, small.largest(one))
            if small.by_class(one):
                labels = small.labels(one, sample.metainfo, network.align_corners, stream)
            else:
                postprocess(small.planes(one), [sample])
                labels = sample.pred_sem_seg.data.to(torch.uint8)
                if stream is not None:
                    fill(stream, sample.seg_logits.data)
                del sample.seg_logits
            if stream is not None:
                sample.pixel_stream = stream
            sample.set_data({"pred_sem_seg": PixelData(data=labels)})
        return samples

    head.predict_by_feat, network.postprocess_result = keep, to_labels
    try:
        yield
    finally:
        del head.predict_by_feat, network.postprocess_result


class _SmallLogits:
    """The logits of a batch from a decode head, and the way to resize them to the input's size.

    Args:
        logits: (N, C, h, w).
        metas: The metainfo of the N samples.
        upsample: The head's `predict_by_feat`, which treats every channel the same.
    """

    def __init__(self, logits: Tensor, metas: Sequence[Mapping], upsample: Any) -> None:
        self.logits, self.metas, self.upsample = logits, metas, upsample

    def planes(self, samples: slice = slice(None), classes: slice = slice(None)) -> Tensor:
        """Return logits at the size of the input, (N, C, H, W)."""
        return self.upsample(self.logits[samples, classes], self.metas)

    def largest(self, sample: slice) -> float:
        """Return the largest size of a sample's logits, which resizing does not exceed."""
        return float(self.logits[sample].abs().max())

    def by_class(self, sample: slice) -> bool:
        """Tell whether the labels of a sample can be found class by class, with the same result."""
        # A GPU has enough memory, and many small steps would slow it down.
        if self.logits.is_cuda or self.logits.shape[1] <= _FEW_CLASSES:
            return False
        # The argmax of NaN and infinity follows other rules.
        return bool(self.logits[sample].isfinite().all())

    def labels(
        self, sample: slice, meta: Mapping, align_corners: bool, stream: PixelStream | None = None
    ) -> Tensor:
        """Return the labels of a sample at its original size, (1, H, W) uint8."""
        planes = self._class_planes(sample, meta, align_corners)
        if stream is not None:
            for values in planes:
                stream.add(values[0, 0])
            if (later := stream.later()) is not None:
                for values in self._class_planes(sample, meta, align_corners):
                    later.add(values[0, 0])
            return stream.prediction[None]
        best = next(planes)
        labels = torch.zeros_like(best, dtype=torch.uint8)
        for label, values in enumerate(planes, start=1):
            # For equal logits the first class counts, as in argmax, which is slower over channels.
            mark_higher(labels, values > best, label)
            best = torch.maximum(best, values)
        return labels[0]

    def _class_planes(self, sample: slice, meta: Mapping, align_corners: bool) -> Iterator[Tensor]:
        """Yield the logits of each class at the original size, (1, 1, H, W)."""
        sizes = (meta.get("pad_shape", meta["img_shape"]), meta["ori_shape"])
        if min(sum(size[:2]) for size in sizes) <= _SMALL_OUTPUT:
            yield from to_original(self.planes(sample), meta, align_corners).split(1, dim=1)
            return
        for label in range(self.logits.shape[1]):
            plane = self.planes(sample, slice(label, label + 1))
            yield to_original(plane, meta, align_corners)


def to_original(logits: Tensor, meta: Mapping, align_corners: bool) -> Tensor:
    """Undo padding, flip and resizing of an image, as mmseg's `postprocess_result` does.

    Args:
        logits: (1, C, H, W) at the size of the network's input.
        meta: The sample's metainfo.
        align_corners: As for `torch.nn.functional.interpolate`.

    Returns:
        (1, C, H, W) at the sample's `ori_shape`.
    """
    left, right, top, bottom = meta.get("img_padding_size", meta.get("padding_size", [0] * 4))
    height, width = logits.shape[2:]
    logits = logits[:, :, top : height - bottom, left : width - right]
    if meta.get("flip"):
        logits = logits.flip(dims=(3 if meta.get("flip_direction") == "horizontal" else 2,))
    size = tuple(meta["ori_shape"][:2])
    # Resizing to the same size changes nothing and copies everything.
    if tuple(logits.shape[2:]) == size:
        return logits
    return functional.interpolate(logits, size, mode="bilinear", align_corners=align_corners)
