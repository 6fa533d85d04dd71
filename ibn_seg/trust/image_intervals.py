"""Intervals of measures over images that are drawn anew, with replacement."""

from typing import Any

import numpy as np

from ibn_seg.trust.calibration_error import ece
from ibn_seg.trust.detection import auroc, average_precision, false_positive_rate
from ibn_seg.trust.image_confidences import RIGHT, WRONG, ImageConfidences

# The share of replicates that an interval holds, and their number.
LEVEL, REPLICATES = 0.95, 1000


def drawn_sums(values: np.ndarray, replicates: int = REPLICATES) -> np.ndarray:
    """Return sums over images that are drawn with replacement, by NumPy's seed 0.

    Args:
        values: (N, ...) of N images.
        replicates: R.

    Returns:
        (R, ...) float64.
    """
    size = len(values)
    drawn = np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), replicates)
    # Counts go beyond float32's whole numbers.
    sums = drawn.astype(np.float64) @ values.reshape(size, -1).astype(np.float64)
    return sums.reshape(replicates, *values.shape[1:])


def interval(values: np.ndarray) -> dict[str, Any]:
    """Return the 95 % percentile interval of (R,) replicates, ready for JSON.

    Returns:
        `interval`: its two ends, or None. `replicates`: those in which the measure is defined;
        others are NaN and left out. Example: AUROC without a wrong pixel.
    """
    defined = values[~np.isnan(values)]
    ends = None
    if len(defined):
        ends = np.percentile(defined, [50 * (1 - LEVEL), 50 * (1 + LEVEL)]).tolist()
    return {"interval": ends, "replicates": len(defined)}


def image_intervals(
    domain: ImageConfidences, replicates: int = REPLICATES
) -> dict[str, dict[str, Any]]:
    """Return intervals of the pooled measures of a domain, of the images' own bins.

    Args:
        domain: The histograms of its images.
        replicates: How many times they are drawn.

    Returns:
        For `error_rate`, `ece`, `auroc`, `fpr95`, `aupr_success` and `aupr_error` what `interval`
        returns.
    """
    counts = drawn_sums(domain.counts[:, [WRONG, RIGHT]], replicates)
    diagrams = drawn_sums(domain.diagrams.sum(axis=1), replicates)
    wrong, right = counts[:, 0], counts[:, 1]
    with np.errstate(invalid="ignore"):
        found = {
            "error_rate": wrong.sum(axis=-1) / counts.sum(axis=(1, 2)),
            "ece": ece(diagrams),
            "auroc": auroc(wrong, right),
            "fpr95": false_positive_rate(wrong, right),
            "aupr_success": average_precision(wrong, right),
            "aupr_error": average_precision(right[:, ::-1], wrong[:, ::-1]),
        }
    return {name: interval(values) for name, values in found.items()}
