"""Which share of the pixels can be kept at which error: risk over coverage, AURC and PRR."""

import numpy as np

from ibn_seg.trust.calibration_error import ConfidenceCounts

_EULER = 0.5772156649015329
# Harmonic numbers up to here are sums; beyond, the series is exact in float64.
_SUMMED = 256


def risk_coverage(counts: ConfidenceCounts) -> tuple[np.ndarray, np.ndarray]:
    """Return the error rate of the most confident pixels, for every share of them.

    Returns:
        Coverage and risk, 0..1, one point for each confidence that occurs, from the highest.
    """
    wrong, pixels = counts.wrong[::-1], counts.pixels[::-1]
    kept = np.cumsum(pixels)
    there = pixels > 0
    return (kept / max(int(kept[-1]), 1))[there], (np.cumsum(wrong)[there] / kept[there])


def aurc(counts: ConfidenceCounts) -> float:
    """Return the mean over k of the error rate of the k most confident pixels; NaN without one.

    Pixels of equal confidence are in random order, and this is the mean over such orders.
    """
    there = counts.pixels[::-1] > 0
    wrong = counts.wrong[::-1][there].astype(np.float64)
    pixels = counts.pixels[::-1][there].astype(np.float64)
    if not pixels.size:
        return np.nan
    errors, kept = np.cumsum(wrong) - wrong, np.cumsum(pixels) - pixels
    # The sum over j = 1..n of (E + w j/n) / (K + j), for n tied pixels behind K with E errors.
    slopes = wrong / pixels
    sums = wrong + (errors - slopes * kept) * (_harmonic(kept + pixels) - _harmonic(kept))
    return float(sums.sum() / pixels.sum())


def prr(counts: ConfidenceCounts) -> float:
    """Return the prediction rejection ratio, 1 for the best order and 0 for a random one.

    (A_random - A) / (A_random - A_best): A is the area under "errors left / N" when the least
    confident are rejected first, r the error rate, A_random = r / 2 and A_best = r^2 / 2. ReliS's
    released function divides r by 100 once too often, so its values are lower.

    Returns:
        NaN if no pixel, or every pixel, is wrong.
    """
    wrong, pixels = counts.wrong.astype(np.float64), counts.pixels.astype(np.float64)
    size, errors = pixels.sum(), wrong.sum()
    if not 0 < errors < size:
        return np.nan
    left = errors - np.cumsum(wrong)
    # Trapezoids: errors fall evenly within pixels of equal confidence.
    area = (pixels * (left + wrong / 2)).sum() / size**2
    rate = errors / size
    return float((rate / 2 - area) / (rate / 2 - rate**2 / 2))


def _harmonic(n: np.ndarray) -> np.ndarray:
    """Return 1 + 1/2 + .. + 1/n of whole numbers, 0 for 0."""
    summed = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, _SUMMED + 1))])
    large = np.maximum(n, _SUMMED)
    series = np.log(large) + _EULER + 1 / (2 * large) - 1 / (12 * large**2) + 1 / (120 * large**4)
    return np.where(n <= _SUMMED, summed[np.minimum(n, _SUMMED).astype(np.int64)], series)
