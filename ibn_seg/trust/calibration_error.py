"""Calibration errors: how far confidence is from the share of right pixels.

Top-label: c is the confidence of the predicted class, and t is 1 where the prediction is right.
Bins are closed on the left, and c = 1 is in the last one, as in BRAVO. ReliS, LTS and Guo et al.
(ICML 2017) close them on the right; this differs only for a confidence that is exactly a border.
"""

from dataclasses import dataclass

import numpy as np

# As in BRAVO and ReliS.
ECE_BINS = 15


@dataclass(frozen=True, eq=False)
class ConfidenceCounts:
    """Right and wrong pixels by confidence.

    Attributes:
        values: (B,) the confidences, rising.
        wrong: (B,) wrong pixels of each.
        right: (B,) right pixels of each.
    """

    values: np.ndarray
    wrong: np.ndarray
    right: np.ndarray

    @property
    def pixels(self) -> np.ndarray:
        """(B,) pixels of each confidence."""
        return self.wrong + self.right


def count_pixels(confidence: np.ndarray, right: np.ndarray) -> ConfidenceCounts:
    """Return the counts of single pixels, one entry for each distinct confidence.

    Args:
        confidence: (P,) any score, higher for more confident.
        right: (P,) whether the prediction is right.
    """
    values, place = np.unique(confidence, return_inverse=True)
    counts = [
        np.bincount(place.ravel(), weights=kind, minlength=len(values)).astype(np.int64)
        for kind in (~np.asarray(right, bool), np.asarray(right, bool))
    ]
    return ConfidenceCounts(values, *counts)


def reliability(counts: ConfidenceCounts, bins: int = ECE_BINS) -> np.ndarray:
    """Return what a reliability diagram shows.

    Args:
        counts: Pixels by confidence from 0 to 1.
        bins: Bins of equal width.

    Returns:
        (3, bins) float64: pixels, right pixels and the sum of confidence in each bin.
    """
    place = ece_bin(counts.values, bins)
    return np.stack(
        [
            np.bincount(place, weights=weights, minlength=bins)
            for weights in (counts.pixels, counts.right, counts.pixels * counts.values)
        ]
    )


def ece_bin(confidence: np.ndarray, bins: int = ECE_BINS) -> np.ndarray:
    """Return the bin of equal width of each confidence, int32; confidences are 0..1."""
    place = np.multiply(confidence, bins, dtype=np.float64)
    return np.minimum(place, bins - 1).astype(np.int32)


def ece(diagram: np.ndarray) -> np.ndarray:
    """Return the expected calibration error, the sum over bins of |sum of (c - t)| / N.

    Args:
        diagram: (..., 3, bins), as `reliability` returns it.

    Returns:
        (...), 0..1; NaN without a pixel.
    """
    pixels, right, confidence = np.moveaxis(diagram, -2, 0)
    with np.errstate(invalid="ignore"):
        return np.abs(confidence - right).sum(axis=-1) / pixels.sum(axis=-1)


def mce(diagram: np.ndarray) -> float:
    """Return the largest |mean confidence - share of right pixels| of a bin; NaN if empty."""
    return float(np.max(_gaps(diagram)[1], initial=-np.inf)) if diagram[0].any() else np.nan


def rms(diagram: np.ndarray) -> float:
    """Return the root of the mean over pixels of a bin's squared gap; NaN without a pixel."""
    if not diagram[0].any():
        return np.nan
    share, gaps = _gaps(diagram)
    return float(np.sqrt((share * gaps**2).sum()))


def _gaps(diagram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return share of the pixels and gap of the bins that have pixels."""
    pixels, right, confidence = diagram[:, diagram[0] > 0]
    return pixels / pixels.sum(), np.abs(confidence - right) / pixels


def class_eces(diagrams: np.ndarray) -> dict[str, float]:
    """Return two means over classes of the top-label ECE of each predicted class.

    Args:
        diagrams: (K, 3, bins), the pixels split by predicted class.

    Returns:
        `by_pixels` is weighted by pixels, which LTS calls SCE (2008.05105). `plain` is the mean of
        the classes that are predicted. NaN without a pixel.
    """
    errors, pixels = ece(diagrams), diagrams[:, 0].sum(axis=-1)
    there = pixels > 0
    if not there.any():
        return {"by_pixels": np.nan, "plain": np.nan}
    return {
        "by_pixels": float((errors[there] * pixels[there]).sum() / pixels.sum()),
        "plain": float(errors[there].mean()),
    }


def one_vs_rest_eces(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = ECE_BINS
) -> np.ndarray:
    """Return, by class k, the ECE of p_k against [label = k] over all pixels.

    ReliS calls their mean class-wise ECE (2303.11298). It is small, because most p_k are near 0.

    Args:
        probabilities: (P, K).
        labels: (P,) classes; none is ignored.
        bins: Bins of equal width.

    Returns:
        (K,), 0..1.
    """
    counts = [count_pixels(p, labels == k) for k, p in enumerate(probabilities.T)]
    return np.array([ece(reliability(one, bins)) for one in counts])


def equal_mass_ece(counts: ConfidenceCounts, bins: int = ECE_BINS) -> float:
    """Return the ECE of bins that hold equally many pixels, as in ReliS.

    Borders are interpolated in the sorted confidences. Bins are closed on the right, so the pixels
    of the lowest confidence fall out, as there.
    """
    total = np.cumsum(counts.pixels)
    size = int(total[-1]) if len(total) else 0
    if not size:
        return np.nan
    places = np.minimum(np.arange(bins + 1) * (size / bins), size - 1)
    lower = np.floor(places).astype(np.int64)
    first, second = (
        counts.values[np.searchsorted(total, np.minimum(at, size - 1), side="right")]
        for at in (lower, lower + 1)
    )
    borders = first + (second - first) * (places - lower)
    # Bin k holds border k < c <= border k + 1.
    place = np.searchsorted(borders, counts.values, side="left") - 1
    inside = (place >= 0) & (place < bins)
    gaps = counts.pixels * counts.values - counts.right
    return float(np.abs(np.bincount(place[inside], weights=gaps[inside])).sum() / size)


def ks_error(counts: ConfidenceCounts) -> float:
    """Return the largest |sum of (c - t)| / N of the pixels up to a confidence; no bins at all."""
    size = counts.pixels.sum()
    gaps = np.cumsum(counts.pixels * counts.values - counts.right)
    return float(np.abs(gaps).max() / size) if size else np.nan
