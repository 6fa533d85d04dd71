"""Histograms of confidence of every image of a domain; any measure is computed from them.

They add over images, so the measures of any set of images, such as a bootstrap sample, need no
second run. ECE, MCE and RMS are exact. AUROC and FPR come with the bound of their error,
`ibn_seg.trust.detection.binning_bounds`. AUPR and the rest are those of the binned confidence.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ibn_seg.errors import UserError
from ibn_seg.trust.calibration_error import ECE_BINS, ConfidenceCounts, ece_bin
from ibn_seg.trust.confidence_bins import ConfidenceBins, check_confidence

# The rows of a histogram. Unknown pixels show something that is none of the classes.
WRONG, RIGHT, UNKNOWN = range(3)
# The row, not kept, of pixels that do not count.
_NOTHING = 3


@dataclass(frozen=True, eq=False)
class ImageConfidences:
    """The histograms of N images.

    Attributes:
        images: Names of the images, as in `ibn_seg.evaluation.stored.ImageConfusions`.
        bins: The bins of confidence, B of them.
        counts: (N, 3, B) int64 pixels that are wrong, right and unknown.
        diagrams: (N, K, 3, 15) float64, by predicted class and ECE bin: pixels, right pixels and
            the exact sum of confidence. Unknown pixels are not in it.
        nll: (N,) sums of -ln of the label's probability; None without probabilities.
        brier: (N,) sums of the squared error over classes; None without probabilities.
    """

    images: tuple[str, ...]
    bins: ConfidenceBins
    counts: np.ndarray
    diagrams: np.ndarray
    nll: np.ndarray | None = None
    brier: np.ndarray | None = None

    def pooled_counts(self) -> ConfidenceCounts:
        """Return the right and wrong pixels of all images by confidence."""
        return counts_of(self.bins, self.counts.sum(axis=0))


@dataclass(frozen=True, eq=False)
class ImageHistogram:
    """The histogram of one image; as `ImageConfidences`, without the first axis."""

    counts: np.ndarray
    diagrams: np.ndarray
    nll: float | None = None
    brier: float | None = None


def counts_of(bins: ConfidenceBins, counts: np.ndarray) -> ConfidenceCounts:
    """Return a (3, B) histogram as pixels by confidence, without the unknown ones."""
    return ConfidenceCounts(bins.values(), counts[WRONG], counts[RIGHT])


def count_image(
    bins: ConfidenceBins,
    prediction: np.ndarray,
    confidence: np.ndarray,
    label: np.ndarray,
    *,
    num_classes: int,
    right: np.ndarray | None = None,
    log_odds: np.ndarray | None = None,
    unknown: np.ndarray | None = None,
    ignore_index: int = 255,
) -> ImageHistogram:
    """Count the pixels of one image.

    Args:
        bins: The bins of confidence.
        prediction: (H, W) classes 0..num_classes-1.
        confidence: (H, W) 0..1.
        label: (H, W) classes or `ignore_index`.
        num_classes: The number of classes K.
        right: (H, W) bool, whether the prediction is right, where labels have other classes.
            Default: where both are the same.
        log_odds: (H, W) ln(c / (1 - c)), where they are known better than from a rounded
            confidence. Only for bins of the log-odds.
        unknown: (H, W) bool, pixels that show none of the classes, whatever their label. Default:
            none. In BRAVO these are the invalid pixels with a label other than 255.
        ignore_index: The label of pixels that do not count.

    Raises:
        UserError: Shapes differ, a prediction is no class, or a confidence is NaN or not in 0..1.
    """
    for name, array in (("confidence", confidence), ("label", label), ("unknown", unknown)):
        if array is not None and array.shape != prediction.shape:
            raise UserError(
                f"{name} of shape {array.shape} for a prediction of shape {prediction.shape}",
                "both must have the picture's size",
            )
    unknown = np.zeros(label.shape, bool) if unknown is None else unknown.astype(bool)
    known = (label != ignore_index) & ~unknown
    if num_classes <= np.max(prediction, where=known, initial=0):
        worst = prediction[known].max()
        raise UserError(f"prediction {worst} is not a class", f"allowed: 0..{num_classes - 1}")
    # Pixels that do not count may hold any value.
    confidence = np.where(known | unknown, confidence, 0)
    check_confidence(confidence)
    place = bins.of_confidence(confidence) if log_odds is None else bins.of_log_odds(log_odds)
    right = prediction == label if right is None else right
    # Small numbers, because this is done for every pixel of a test.
    row = np.where(unknown, np.uint8(UNKNOWN), np.uint8(_NOTHING))
    row = np.where(known, np.where(right, np.uint8(RIGHT), np.uint8(WRONG)), row)
    cell = place.astype(np.int32) * 4 + row
    counts = np.bincount(cell.ravel(), minlength=4 * bins.count).reshape(-1, 4)
    return ImageHistogram(
        np.ascontiguousarray(counts.T[:_NOTHING], np.int64),
        _diagrams(prediction, confidence, row, num_classes),
    )


def _diagrams(
    predicted: np.ndarray, confidence: np.ndarray, row: np.ndarray, num_classes: int
) -> np.ndarray:
    """Return (K, 3, 15): pixels, right pixels, sum of confidence, by predicted class and bin."""
    cell = (predicted.astype(np.int32) * ECE_BINS + ece_bin(confidence)) * 4 + row
    cell, size = cell.ravel(), 4 * ECE_BINS * max(num_classes, int(predicted.max(initial=0)) + 1)
    pixels, sums = (
        np.bincount(cell, weights=weights, minlength=size).reshape(-1, ECE_BINS, 4)[:num_classes]
        for weights in (None, confidence.ravel())
    )
    known = [WRONG, RIGHT]
    parts = (pixels[..., known].sum(axis=-1), pixels[..., RIGHT], sums[..., known].sum(axis=-1))
    return np.stack(parts, axis=1).astype(np.float64)


def add_histograms(parts: Sequence[ImageHistogram]) -> ImageHistogram:
    """Return the histogram of an image from those of its parts, at least one."""
    sums = [
        None if getattr(parts[0], name) is None else sum(getattr(one, name) for one in parts)
        for name in ("nll", "brier")
    ]
    counts, diagrams = (sum(getattr(one, name) for one in parts) for name in ("counts", "diagrams"))
    return ImageHistogram(counts, diagrams, *sums)


def some_images(domain: ImageConfidences, places: Sequence[int]) -> ImageConfidences:
    """Return a domain of some of its images.

    Args:
        domain: All images.
        places: Their places.
    """
    at = np.asarray(places, np.int64)
    return ImageConfidences(
        tuple(domain.images[place] for place in places),
        domain.bins,
        domain.counts[at],
        domain.diagrams[at],
        None if domain.nll is None else domain.nll[at],
        None if domain.brier is None else domain.brier[at],
    )


def stack_images(
    images: Sequence[str], bins: ConfidenceBins, histograms: Sequence[ImageHistogram]
) -> ImageConfidences:
    """Return the histograms of single images as those of a domain.

    Args:
        images: Their names.
        bins: The bins of all of them.
        histograms: At least one.
    """
    sums = [
        None if getattr(histograms[0], name) is None
        else np.array([getattr(one, name) for one in histograms], np.float64)
        for name in ("nll", "brier")
    ]  # fmt: skip
    return ImageConfidences(
        tuple(images),
        bins,
        np.stack([one.counts for one in histograms]),
        np.stack([one.diagrams for one in histograms]),
        *sums,
    )
