"""The metric of unknown things: confidence of pixels that are none of the classes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS

from ibn_seg.datasets.unknown_things import KNOWN, UNKNOWN, read_unknown
from ibn_seg.engine.pixel_confidence import log_odds_blocks
from ibn_seg.evaluation.stored import image_names
from ibn_seg.trust.confidence_bins import LOG_ODDS
from ibn_seg.trust.unknown_summary import unknown_summary


@METRICS.register_module()
class UnknownThingsMetric(BaseMetric):
    """AUROC, AUPRC and FPR@95 of finding unknown things by low confidence, for each domain.

    Confidence is the largest probability of softmax. Samples are those of `UnknownThingsDataset`.

    Attributes:
        domains: After a test, by domain what `ibn_seg.trust.unknown_summary.unknown_summary`
            returns.
    """

    # Not None, so that mmengine neither warns of a missing prefix nor adds one.
    default_prefix = ""
    needs_logits = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.domains: dict[str, dict[str, Any]] = {}
        # The data roots, below which images are named; `RunRecordHook` knows them.
        self.roots: Sequence[str] = ()

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Append (domain, file of the image, counts) for each sample.

        Args:
            data_batch: Not used.
            data_samples: mmseg's samples, with `seg_logits` at the picture's size.
        """
        for sample in data_samples:
            logits = sample["seg_logits"]["data"]
            mask = read_unknown(
                sample["unknown_path"], sample["unknown_layout"], tuple(logits.shape[1:])
            )
            counted = unknown_counts(logits, mask)
            self.results.append((sample["target"], sample["img_path"], counted))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Return the pooled measures in percent, DOMAIN/NAME; undefined ones are left out."""
        self.domains = {}
        for domain in dict.fromkeys(name for name, _, _ in results):
            mine = [(file, counts) for name, file, counts in results if name == domain]
            names = image_names([file for file, _ in mine], list(self.roots))
            counts = np.stack([one for _, one in mine])
            self.domains[domain] = unknown_summary(names, counts)
        return {
            f"{domain}/{name}": 100 * value
            for domain, found in self.domains.items()
            for name, value in found["pooled"].items()
            if value is not None
        }


def unknown_counts(logits: torch.Tensor, mask: np.ndarray) -> np.ndarray:
    """Return pixels by confidence, (2, 2048): of the classes, and of unknown things.

    Args:
        logits: (C, H, W), C >= 2.
        mask: (H, W), as `read_unknown` returns it.

    Raises:
        UserError: A logit is NaN or infinite, or there is one channel.
    """
    counts = np.zeros((2, LOG_ODDS.count), np.int64)
    for rows, log_odds in log_odds_blocks(logits):
        place = LOG_ODDS.of_log_odds(log_odds)
        for row, value in enumerate((KNOWN, UNKNOWN)):
            mine = place[mask[rows] == value]
            counts[row] += np.bincount(mine, minlength=LOG_ODDS.count)
    return counts
