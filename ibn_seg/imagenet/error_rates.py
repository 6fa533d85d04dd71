"""Top-1 and top-5 error."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS

from ibn_seg.transforms.pixel_shifts import APPEARANCES, BASELINE

_TOP = (1, 5)


@METRICS.register_module()
class ErrorRates(BaseMetric):
    """Top-1 and top-5 error in percent, for every tested appearance.

    The returned values are unrounded: `top1_error` and `top5_error` for unchanged pictures,
    `APPEARANCE/top1_error` and so on for changed ones. With fewer than five classes there is no
    top-5 error. Each picture counts once, even if a distributed sampler adds copies.
    """

    # Not None, so that mmengine neither warns of a missing prefix nor adds one.
    default_prefix = ""

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Append one entry per picture, so that mmengine can drop a sampler's copies."""
        self.results.extend(sample["ranks"] for sample in data_samples)

    def compute_metrics(self, results: list[dict[str, int]]) -> dict[str, float]:
        """Return the error rates."""
        classes = len(self.dataset_meta["classes"])
        metrics: dict[str, float] = {}
        for name in results[0]:
            ranks = [picture[name] for picture in results]
            for k in _TOP:
                if k <= classes:
                    wrong = sum(rank >= k for rank in ranks)
                    metrics[_key(name, k)] = 100.0 * wrong / len(ranks)
        return metrics


def errors_by_appearance(metrics: Mapping[str, float]) -> dict[str, dict[str, float | None]]:
    """Return the values of `ErrorRates` by appearance, with None for missing ones."""
    return {
        name: {f"top{k}_error": metrics.get(_key(name, k)) for k in _TOP}
        for name in APPEARANCES
        if _key(name, 1) in metrics
    }


def _key(appearance: str, k: int) -> str:
    return f"top{k}_error" if appearance == BASELINE else f"{appearance}/top{k}_error"
