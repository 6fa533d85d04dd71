"""Counts the confidence of every pixel of a test, image by image."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ibn_seg.datasets.class_map import ClassMap
from ibn_seg.engine.pixel_confidence import check_gives_logits
from ibn_seg.errors import UserError
from ibn_seg.trust.confidence_bins import LOG_ODDS
from ibn_seg.trust.image_confidences import ImageHistogram, count_image

# The most logits of a block: 16 MiB in float32.
_BLOCK = 1 << 22


class ConfidenceHook(Hook):
    """Collect the histograms of confidence of a test's images, in their order.

    Args:
        map_of: Returns the map to a domain's classes; None if they are the network's.
        ignore_index: The label of pixels that do not count.
        domain: The name for samples without `target`.

    Attributes:
        histograms: Those of each domain's images.
    """

    needs_logits = True

    def __init__(
        self,
        map_of: Callable[[str], ClassMap | None],
        ignore_index: int = 255,
        domain: str | None = None,
    ) -> None:
        self._map_of, self._ignored, self._domain = map_of, ignore_index, domain
        self.histograms: dict[str, list[ImageHistogram]] = {}

    def before_test(self, runner: Runner) -> None:
        """Begin; the network must give logits."""
        self.histograms.clear()
        model = runner.model
        check_gives_logits(model.module if is_model_wrapper(model) else model)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence = ()
    ) -> None:
        """Count the pixels of a batch."""
        for sample in outputs:
            domain = str(sample.get("target", self._domain))
            found = image_histogram(
                sample.seg_logits.data, sample.gt_sem_seg.data.squeeze(0),
                self._map_of(domain), self._ignored,
            )  # fmt: skip
            self.histograms.setdefault(domain, []).append(found)


def image_histogram(
    logits: torch.Tensor, label: torch.Tensor, mapping: ClassMap | None, ignore_index: int = 255
) -> ImageHistogram:
    """Return the histogram of an image's confidence, with its NLL and Brier score.

    Args:
        logits: (C, H, W) at the label's size, C >= 2.
        label: (H, W) classes, or groups of them with `mapping`.
        mapping: The map to the groups of the labels. Then there is no NLL and no Brier score.
        ignore_index: The label of pixels that do not count.

    Raises:
        UserError: A logit is NaN or infinite, or there is one channel.
    """
    if len(logits) < 2:
        raise UserError("calibration: the network has one output", "two or more are needed")
    parts, classes = [], len(logits)
    step = max(1, _BLOCK // (classes * logits.shape[2]))
    for start in range(0, logits.shape[1], step):
        block = logits[:, start : start + step].float()
        parts.append(_measure(block, label[start : start + step].to(block.device), ignore_index))
    merged = {name: np.concatenate([one[name] for one in parts]) for name in parts[0]}
    truth = label.cpu().numpy().astype(np.int64)
    predicted = merged["prediction"]
    meant = predicted if mapping is None else mapping.lookup[predicted].astype(np.int64)
    counted = count_image(
        LOG_ODDS, predicted, merged["confidence"], truth, num_classes=classes,
        right=meant == truth, log_odds=merged["log_odds"], ignore_index=ignore_index,
    )  # fmt: skip
    if mapping is not None:
        return counted
    known = truth != ignore_index
    sums = (float(merged[name][known].sum(dtype=np.float64)) for name in ("nll", "brier"))
    return ImageHistogram(counted.counts, counted.diagrams, *sums)


def _measure(
    block: torch.Tensor, label: torch.Tensor, ignore_index: int
) -> Mapping[str, np.ndarray]:
    """Return prediction, confidence, log-odds, NLL and Brier score of some rows, each (h, W)."""
    if not block.isfinite().all():
        raise UserError("an output of the network is NaN or infinite", "check the weights")
    best, prediction = block.max(0)
    shifted = block - best
    powers = shifted.exp()
    # The other classes alone, so that nothing is lost where the largest probability is near 1.
    powers.scatter_(0, prediction[None], 0)
    others = powers.sum(0)
    known = label != ignore_index
    # Labels of other classes are beyond the network's; their NLL is not used.
    place = torch.where(known, label, 0).clamp(max=len(block) - 1).long()[None]
    of_label = shifted.gather(0, place)[0]
    total = others + 1
    squares = ((powers**2).sum(0) + 1) / total**2
    found = {
        "prediction": prediction,
        "confidence": 1 / total,
        "log_odds": -others.log(),
        "nll": others.log1p() - of_label,
        "brier": squares - 2 * of_label.exp() / total + 1,
    }
    return {name: values.cpu().numpy() for name, values in found.items()}
