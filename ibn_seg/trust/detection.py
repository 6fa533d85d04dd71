"""How well a score tells two kinds of pixels apart: AUROC, FPR at a TPR, average precision.

All take the counts of both kinds by rising score. Pixels of equal score move together: they are one
point of the curve, as in scikit-learn. Leading axes are separate problems, such as images.

The definitions are those of BRAVO (valeoai/bravo_challenge@d54005d). It raises an error where one
kind has no pixel; here the result is NaN.
"""

import numpy as np


def auroc(negatives: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """Return the share of pairs in which the positive scores higher; ties count one half.

    It equals the trapezoids under TPR over FPR.

    Args:
        negatives: (..., B) counts by rising score.
        positives: (..., B) counts by rising score.

    Returns:
        (...), 0..1; NaN where a kind has no pixel.
    """
    low, high = _floats(negatives, positives)
    below = np.cumsum(low, axis=-1) - low
    won = (high * (below + 0.5 * low)).sum(axis=-1)
    with np.errstate(invalid="ignore"):
        return won / (low.sum(axis=-1) * high.sum(axis=-1))


def false_positive_rate(
    negatives: np.ndarray, positives: np.ndarray, percent: int = 95
) -> np.ndarray:
    """Return the FPR at the first threshold from above with a TPR of at least so many percent.

    Equality counts, and nothing is interpolated.

    Args:
        negatives: (..., B) whole counts by rising score.
        positives: (..., B) whole counts by rising score.
        percent: The TPR.

    Returns:
        (...), 0..1; NaN where a kind has no pixel.
    """
    low, high = (_from_above(np.asarray(one, np.int64)) for one in (negatives, positives))
    # Whole numbers: 0.95 has no exact float.
    reached = 100 * high >= percent * high[..., -1:]
    first = reached.argmax(axis=-1)
    passed = np.take_along_axis(low, first[..., None], -1)[..., 0].astype(np.float64)
    total = low[..., -1]
    return np.where(
        (total > 0) & (high[..., -1] > 0), passed / np.maximum(total, 1), np.float64(np.nan)
    )


def binning_bounds(negatives: np.ndarray, positives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how far AUROC and FPR at 95 % TPR can be from those of the scores before binning.

    Only pairs within a bin can be in another order. AUROC counts them as one half, so it is off by
    at most half their share. The threshold lies within one bin, so the FPR is too high by at most
    the share of that bin's negatives.

    Args:
        negatives: (B,) whole counts by rising score.
        positives: (B,) whole counts by rising score.

    Returns:
        Two numbers, 0..1; NaN where a kind has no pixel.
    """
    low, high = _floats(negatives, positives)
    with np.errstate(invalid="ignore"):
        tied = (low * high).sum() / (low.sum() * high.sum())
        first = (100 * _from_above(positives) >= 95 * positives.sum()).argmax()
        within = low[::-1][first] / low.sum()
    return tied / 2, np.where(high.sum() > 0, within, np.nan)


def average_precision(negatives: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """Return the sum over thresholds from above of (rise of recall) x precision.

    This is the step function, not trapezoids.

    Args:
        negatives: (..., B) counts by rising score.
        positives: (..., B) counts by rising score.

    Returns:
        (...), 0..1; NaN where a kind has no pixel.
    """
    low, high = _floats(negatives, positives)
    above_low, above_high = _from_above(low), _from_above(high)
    precision = above_high / np.maximum(above_low + above_high, 1)
    gained = (high[..., ::-1] * precision).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = gained / above_high[..., -1]
    return np.where(above_low[..., -1] > 0, found, np.nan)


def _from_above(counts: np.ndarray) -> np.ndarray:
    """Return the counts at or above each threshold, the highest threshold first."""
    return np.cumsum(counts[..., ::-1], axis=-1)


def _floats(*counts: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(np.asarray(one, np.float64) for one in counts)
