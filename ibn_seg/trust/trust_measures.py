"""All measures of trust of a domain, from its histograms; what is undefined is null with a reason.

Pooled measures count all pixels of the domain together; they are the headline. The mean of the
images' own measures is another number, and has another name. Example: ECE 0.069 pooled and 0.091 as
the mean of images, of the same pixels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ibn_seg.trust.calibration_error import (
    ECE_BINS,
    class_eces,
    ece,
    equal_mass_ece,
    ks_error,
    mce,
    rms,
)
from ibn_seg.trust.confidence_bins import LEVELS
from ibn_seg.trust.detection import (
    auroc,
    average_precision,
    binning_bounds,
    false_positive_rate,
)
from ibn_seg.trust.image_confidences import (
    RIGHT,
    UNKNOWN,
    WRONG,
    ImageConfidences,
    counts_of,
    some_images,
)
from ibn_seg.trust.rejection import aurc, prr, risk_coverage

ECE_KIND = "top label, equal width, closed on the left"
NO_WRONG, NO_RIGHT = "no wrong pixel", "no right pixel"
NO_PIXEL, NO_UNKNOWN = "no labelled pixel", "no pixel of an unknown thing"
NO_PROBABILITIES = "no probabilities, only confidence"
# Measures that need both right and wrong pixels.
DETECTION = ("auroc", "fpr95", "aupr_success", "aupr_error")
# The points of risk over coverage.
_STEPS = 20
UNKNOWN_THINGS = ("unknown_auroc", "unknown_auprc", "unknown_fpr95")


def trust_measures(domain: ImageConfidences, levels: np.ndarray | None = None) -> dict[str, Any]:
    """Return the measures of a domain, ready for JSON.

    Args:
        domain: The histograms of its images.
        levels: (3, 65536) pixels of all images by 16-bit level. The pooled measures are then those
            of the levels, as BRAVO's are. Default: of the images' own bins.

    Returns:
        `bins`, `pooled_bins` and `ece`: what the numbers are of. `pooled` and `mean_of_images`:
        each measure by name, shares of 1, or None. `undefined`: for each None its reason, by
        `pooled.NAME` or `mean_of_images.NAME`. `images`: how many images each mean is over.
        `auroc_bound` and `fpr95_bound` say how far these can be from the values of unbinned
        confidences. `reliability`: pixels, right pixels and summed confidence of each ECE bin.
        `risk_coverage`: pairs of a share of the pixels, the most confident first, and its error
        rate. Pixels of equal confidence are kept together.
    """
    every = [_measures(some_images(domain, [at])) for at in range(len(domain.images))]
    pooled, reasons = _measures(domain, levels)
    used = domain.bins if levels is None else LEVELS
    undefined = {f"pooled.{name}": reason for name, reason in reasons.items()}
    means: dict[str, float | None] = {}
    counted: dict[str, int] = {}
    for name in pooled:
        values = [one[name] for one, _ in every if one[name] is not None]
        means[name] = float(np.mean(values)) if values else None
        counted[name] = len(values)
        if not values:
            causes = " or ".join(dict.fromkeys(missing[name] for _, missing in every))
            undefined[f"mean_of_images.{name}"] = f"in every image: {causes}"
    return {
        "bins": {"kind": domain.bins.kind, "count": domain.bins.count},
        "pooled_bins": {"kind": used.kind, "count": used.count},
        "ece": {"kind": ECE_KIND, "bins": ECE_BINS},
        "pooled": pooled,
        "mean_of_images": means,
        "images": counted,
        "undefined": undefined,
        "reliability": domain.diagrams.sum(axis=(0, 1)).tolist(),
        "risk_coverage": _risks(domain, levels),
    }


def class_measures(domain: ImageConfidences, classes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the calibration of the pixels of each predicted class, all images pooled.

    Args:
        domain: The histograms of its images.
        classes: The names of the classes.

    Returns:
        By class `pixels`, `accuracy`, `mean_confidence` and `ece`, shares of 1; None for a class
        that is never predicted.
    """
    found = {}
    for name, diagram in zip(classes, domain.diagrams.sum(axis=0), strict=True):
        pixels, right, confidence = (float(row.sum()) for row in diagram)
        found[name] = {
            "pixels": int(pixels),
            "accuracy": right / pixels if pixels else None,
            "mean_confidence": confidence / pixels if pixels else None,
            "ece": _plain(ece(diagram)),
        }
    return found


def _risks(domain: ImageConfidences, levels: np.ndarray | None) -> list[list[float]]:
    """Return coverage and risk at every twentieth of the pixels, or the next that is a border."""
    counts = domain.pooled_counts() if levels is None else counts_of(LEVELS, levels)
    coverage, risk = risk_coverage(counts)
    if not coverage.size:
        return []
    wanted = np.arange(1, _STEPS + 1) / _STEPS
    places = np.minimum(np.searchsorted(coverage, wanted - 1e-12), len(coverage) - 1)
    return [[step, float(risk[at])] for step, at in zip(wanted.tolist(), places, strict=True)]


def detection_measures(wrong: np.ndarray, right: np.ndarray) -> dict[str, float | None]:
    """Return how well confidence tells right pixels from wrong ones.

    Args:
        wrong: (B,) wrong pixels by rising confidence.
        right: (B,) right pixels by rising confidence.

    Returns:
        `auroc`, `fpr95` and `aupr_success`, where right pixels are positive. `aupr_error`, where
        wrong ones are; it depends on the error rate. All None if a kind has no pixel.
    """
    found = (
        auroc(wrong, right),
        false_positive_rate(wrong, right),
        average_precision(wrong, right),
        average_precision(right[::-1], wrong[::-1]),
    )
    return {name: _plain(value) for name, value in zip(DETECTION, found, strict=True)}


def unknown_measures(known: np.ndarray, unknown: np.ndarray) -> dict[str, float | None]:
    """Return how well low confidence finds pixels that are none of the classes, as in BRAVO.

    Args:
        known: (B,) labelled pixels of the classes by rising confidence, right or wrong.
        unknown: (B,) unknown pixels by rising confidence; they are positive.
    """
    low, high = known[::-1], unknown[::-1]
    found = (auroc(low, high), average_precision(low, high), false_positive_rate(low, high))
    return {name: _plain(value) for name, value in zip(UNKNOWN_THINGS, found, strict=True)}


def _measures(
    domain: ImageConfidences, levels: np.ndarray | None = None
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Return the pooled measures, and the reason of each that is None."""
    counts = domain.counts.sum(axis=0) if levels is None else levels
    diagrams = domain.diagrams.sum(axis=0)
    by_confidence = counts_of(domain.bins if levels is None else LEVELS, counts)
    wrong, right, unknown = (int(counts[row].sum()) for row in (WRONG, RIGHT, UNKNOWN))
    pixels, diagram = wrong + right, diagrams.sum(axis=0)
    classes, bounds = class_eces(diagrams), binning_bounds(counts[WRONG], counts[RIGHT])
    values = {
        "pixels": float(pixels),
        "error_rate": wrong / pixels if pixels else None,
        "mean_confidence": float(diagram[2].sum() / pixels) if pixels else None,
        "ece": _plain(ece(diagram)),
        "mce": _plain(mce(diagram)),
        "rms": _plain(rms(diagram)),
        "ece_predicted_class_by_pixels": _plain(classes["by_pixels"]),
        "ece_predicted_class_plain": _plain(classes["plain"]),
        "ece_equal_mass": _plain(equal_mass_ece(by_confidence)),
        "ks": _plain(ks_error(by_confidence)),
        **detection_measures(counts[WRONG], counts[RIGHT]),
        "auroc_bound": _plain(bounds[0]),
        "fpr95_bound": _plain(bounds[1]),
        "prr": _plain(prr(by_confidence)),
        "aurc": _plain(aurc(by_confidence)),
        "nll": _mean(domain.nll, pixels),
        "brier": _mean(domain.brier, pixels),
        **unknown_measures(counts[WRONG] + counts[RIGHT], counts[UNKNOWN]),
    }
    reasons = {
        name: _reason(name, wrong, right, unknown)
        for name, value in values.items()
        if value is None
    }
    return values, reasons


def _reason(name: str, wrong: int, right: int, unknown: int) -> str:
    """Return why a measure is undefined."""
    if not wrong + right:
        return NO_PIXEL
    if name in UNKNOWN_THINGS:
        return NO_UNKNOWN
    if name in ("nll", "brier"):
        return NO_PROBABILITIES
    return NO_RIGHT if wrong else NO_WRONG


def _mean(sums: np.ndarray | None, pixels: int) -> float | None:
    return None if sums is None or not pixels else float(sums.sum() / pixels)


def _plain(value: float | np.ndarray) -> float | None:
    return None if np.isnan(value) else float(value)
