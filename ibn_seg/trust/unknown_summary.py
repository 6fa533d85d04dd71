"""How well low confidence finds unknown things in the pictures of a data set, with intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ibn_seg.trust.detection import binning_bounds
from ibn_seg.trust.image_intervals import REPLICATES, drawn_sums, interval
from ibn_seg.trust.trust_measures import NO_PIXEL, NO_UNKNOWN, UNKNOWN_THINGS, unknown_measures


def unknown_summary(
    images: Sequence[str], counts: np.ndarray, replicates: int = REPLICATES
) -> dict[str, Any]:
    """Return the measures of a data set, ready for JSON.

    Args:
        images: The names of its N pictures.
        counts: (N, 2, B) pixels by rising confidence: of the classes, and of unknown things.
        replicates: How many times pictures are drawn with replacement, by NumPy's seed 0.

    Returns:
        `images`, `known_pixels`, `unknown_pixels` and `unknown_share`. `pooled`: `unknown_auroc`,
        `unknown_auprc` (which depends on the share) and `unknown_fpr95` of all pixels together,
        where unknown ones are positive. `interval`: of each the 95 % percentile interval over
        pictures, and `replicates`: those in which it is defined. `auroc_bound` and `fpr95_bound`
        say how far these can be from the values of unbinned confidences. `undefined`: the reason
        where they are None.
    """
    known, unknown = counts.sum(axis=0)
    pixels, odd = int(known.sum()), int(unknown.sum())
    pooled = unknown_measures(known, unknown)
    # Unknown pixels are positive for low confidence, so the order is reversed.
    bounds = binning_bounds(known[::-1], unknown[::-1])
    defined = bool(pixels and odd)
    return {
        "images": len(images),
        "known_pixels": pixels,
        "unknown_pixels": odd,
        "unknown_share": odd / (pixels + odd) if pixels + odd else None,
        "pooled": pooled,
        **_intervals(counts, replicates),
        "auroc_bound": float(bounds[0]) if defined else None,
        "fpr95_bound": float(bounds[1]) if defined else None,
        "undefined": None if defined else (NO_UNKNOWN if pixels else NO_PIXEL),
    }


def _intervals(counts: np.ndarray, replicates: int) -> dict[str, Any]:
    """Return the interval of each measure over pictures that are drawn with replacement."""
    drawn = [unknown_measures(*one) for one in drawn_sums(counts, replicates)]
    found = {
        name: interval(np.array([one[name] for one in drawn], np.float64))
        for name in UNKNOWN_THINGS
    }
    return {
        key: {name: one[key] for name, one in found.items()} for key in ("interval", "replicates")
    }
