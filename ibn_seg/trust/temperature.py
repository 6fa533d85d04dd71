"""Temperature scaling: a number that divides a pixel's logits, fitted by NLL.

Guo et al. (ICML 2017) have one number for all pixels. Here there may also be one for the pixels of
each predicted class. Either way the prediction stays the same; confidence, and so AUROC, does not.
The smallest NLL is not the smallest ECE: it can raise ECE.
"""

from dataclasses import dataclass

import numpy as np

from ibn_seg.errors import UserError

# Beyond these bounds a fit has run away, such as where every pixel is right.
COLDEST, HOTTEST = 0.02, 50.0
# Fewer pixels do not give a temperature of their own.
FEWEST = 1000
_STEP, _ROUNDS, _ENOUGH = 0.3, 200, 1e-10
# Pixels that are looked at together: 40 MB of float64 for 19 classes.
_PIECE = 2**18


@dataclass(frozen=True)
class Temperature:
    """A fitted temperature.

    Attributes:
        value: T, above 0.
        pixels: Labelled pixels of the fit.
        nll_before: Mean NLL at T = 1.
        nll: Mean NLL at `value`.
        at_bound: Whether the fit ran to `COLDEST` or `HOTTEST`; then `value` means nothing.
    """

    value: float
    pixels: int
    nll_before: float
    nll: float
    at_bound: bool


def fit_temperature(logits: np.ndarray, labels: np.ndarray, ignore_index: int = 255) -> Temperature:
    """Return the temperature of the smallest mean NLL.

    Newton's method in ln T, from T = 1. The NLL is convex in 1/T, so there is one minimum.

    Args:
        logits: (P, K), of images of the source that no training and no reported score used.
        labels: (P,) classes or `ignore_index`.
        ignore_index: The label of pixels that do not count.

    Raises:
        UserError: No pixel is labelled, or a logit is NaN or infinite.
    """
    used = labels != ignore_index
    if not used.any():
        raise UserError("no labelled pixel to fit a temperature on", "give labelled images")
    kept, wanted = logits[used], labels[used].astype(np.int64)
    if not np.isfinite(kept).all():
        raise UserError("an output of the network is NaN or infinite", "check the weights")
    low, high, place = np.log(COLDEST), np.log(HOTTEST), 0.0
    for _ in range(_ROUNDS):
        _, slope, bend = nll_sums(kept, wanted, np.exp(place))
        # Far away the curve bends the other way; then only the slope's sign is of use.
        step = -slope / bend if bend > 0 else -np.sign(slope) * _STEP
        moved = float(np.clip(place + np.clip(step, -_STEP, _STEP), low, high))
        if abs(moved - place) < _ENOUGH:
            break
        place = moved
    count = len(wanted)
    return Temperature(
        value=float(np.exp(place)),
        pixels=count,
        nll_before=nll_sums(kept, wanted, 1.0)[0] / count,
        nll=nll_sums(kept, wanted, float(np.exp(place)))[0] / count,
        at_bound=bool(np.isclose(place, (low, high), rtol=0, atol=1e-6).any()),
    )


def fit_by_class(
    logits: np.ndarray, labels: np.ndarray, ignore_index: int = 255
) -> list[Temperature | None]:
    """Return the temperature of the pixels of each predicted class.

    Args:
        logits: (P, K), as for `fit_temperature`.
        labels: (P,) classes or `ignore_index`.
        ignore_index: The label of pixels that do not count.

    Returns:
        K fits; None for a class with fewer than 1000 labelled pixels, too few for a number of its
        own.
    """
    predicted, used = logits.argmax(axis=1), labels != ignore_index
    found: list[Temperature | None] = []
    for label in range(logits.shape[1]):
        mine = used & (predicted == label)
        enough = mine.sum() >= FEWEST
        found.append(fit_temperature(logits[mine], labels[mine]) if enough else None)
    return found


def nll_sums(
    logits: np.ndarray, labels: np.ndarray, temperature: float
) -> tuple[float, float, float]:
    """Return the sum of the NLL over pixels, and its first two derivatives by ln T.

    With s = z / T and its mean m and mean square q under p: the first derivative is the sum of
    s_y - m, the second of q - m^2 + m - s_y. All three add over images.

    Args:
        logits: (P, K) finite.
        labels: (P,) classes.
        temperature: T, above 0.
    """
    sums = np.zeros(3)
    for start in range(0, len(labels), _PIECE):
        part = slice(start, start + _PIECE)
        scaled = logits[part].astype(np.float64) / temperature
        scaled -= scaled.max(axis=-1, keepdims=True)
        powers = np.exp(scaled)
        total = powers.sum(axis=-1)
        mean = (powers * scaled).sum(axis=-1) / total
        square = (powers * scaled**2).sum(axis=-1) / total
        of_label = np.take_along_axis(scaled, labels[part, None], 1)[:, 0]
        sums += [
            (np.log(total) - of_label).sum(),
            (of_label - mean).sum(),
            (square - mean**2 + mean - of_label).sum(),
        ]
    return float(sums[0]), float(sums[1]), float(sums[2])
