"""Counts the confidence of every pixel of a test, image by image."""

from collections.abc import Callable, Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ibn_seg.datasets.class_map import ClassMap
from ibn_seg.engine.pixel_confidence import check_gives_logits
from ibn_seg.engine.pixel_stream import PixelStream, fill
from ibn_seg.trust.image_confidences import ImageHistogram


class ConfidenceHook(Hook):
    """Collect the histograms of confidence of a test's images, in their order.

    `LabelsOnlyHook` feeds it class by class where it can, which needs no full-size logits.

    Args:
        map_of: Returns the map to a domain's classes; None if they are the network's.
        ignore_index: The label of pixels that do not count.
        domain: The name for samples without `target`.
        temperatures: For each predicted class the number by which a pixel's logits are divided, for
            second histograms.

    Attributes:
        histograms: Those of each domain's images.
        tempered: The second ones; none without temperatures.
    """

    needs_logits = False

    def __init__(
        self,
        map_of: Callable[[str], ClassMap | None],
        ignore_index: int = 255,
        domain: str | None = None,
        temperatures: Sequence[float] | None = None,
    ) -> None:
        self._temperatures = temperatures
        self.tempered: dict[str, list[ImageHistogram]] = {}
        self._map_of, self._ignored, self._domain = map_of, ignore_index, domain
        self.histograms: dict[str, list[ImageHistogram]] = {}

    def before_test(self, runner: Runner) -> None:
        """Begin; the network must give logits."""
        self.histograms.clear()
        self.tempered.clear()
        model = runner.model
        check_gives_logits(model.module if is_model_wrapper(model) else model)

    def new_stream(self, sample: Any, largest: float) -> PixelStream:
        """See `ibn_seg.engine.full_size_labels.labels_only`."""
        label = sample.gt_sem_seg.data.squeeze(0)
        return PixelStream(label, self._ignored, largest, self._temperatures)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence = ()
    ) -> None:
        """Count the pixels of a batch."""
        for sample in outputs:
            domain = str(sample.get("target", self._domain))
            stream = sample.get("pixel_stream")
            if stream is None:
                logits = sample.seg_logits.data
                stream = fill(self.new_stream(sample, float(logits.abs().max())), logits)
            mapping = self._map_of(domain)
            self.histograms.setdefault(domain, []).append(stream.histogram(mapping))
            if stream.tempered is not None:
                found = stream.tempered.histogram(mapping)
                self.tempered.setdefault(domain, []).append(found)
