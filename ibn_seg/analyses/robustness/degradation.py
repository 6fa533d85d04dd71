"""Scores of corruption benchmarks beside retention: mPC, rPC, degradation.

mPC and rPC are Michaelis et al.'s (1907.07484): the mean score over corruptions and severities,
and its share of the clean score. Degradation is Kamann and Rother's (1908.05005): D = 100 - mIoU,
beside that of a reference network. They count noises at severities 1 to 3 alone, as the protocol
`segformer` does.
"""

from collections.abc import Mapping, Sequence
from typing import Any

# mIoU in percent by corruption, one for each of its severities.
Scores = Mapping[str, Sequence[float]]


def scores_of(corrupted: Sequence[Mapping[str, Any]], domain: str) -> dict[str, list[float]]:
    """Return the mIoU on a domain by corruption, from the entries `corrupted` of a result."""
    found: dict[str, list[float]] = {}
    for one in corrupted:
        found.setdefault(one["corruption"], []).append(float(one["domains"][domain]["mIoU"]))
    return found


def performance(clean: float, scores: Scores) -> dict[str, Any]:
    """Return the scores of one network on one domain, percent.

    Each corruption's mean is over its own severities; the mean over corruptions is of these.

    Args:
        clean: mIoU on clean pictures, percent.
        scores: mIoU on corrupted ones.

    Returns:
        `clean`, `mPC`, `rPC` (None if the clean score is 0), `degradation` (the mean of
        100 - mIoU) and `corruptions`, the mean mIoU of each.
    """
    means = {name: sum(values) / len(values) for name, values in scores.items()}
    mpc = sum(means.values()) / len(means)
    return {
        "clean": clean,
        "mPC": mpc,
        "rPC": 100 * mpc / clean if clean > 0 else None,
        "degradation": 100 - mpc,
        "corruptions": means,
    }


def corruption_degradation(
    clean: float, scores: Scores, reference_clean: float, reference: Scores
) -> dict[str, float | None]:
    """Return how a network degrades beside a reference, percent; below 100 is better than it.

    `mCD` is the mean over corruptions of (sum over severities of D) / (the reference's sum).
    `relative mCD` subtracts the clean D from each D first.

    Args:
        clean: mIoU on clean pictures, percent.
        scores: mIoU on corrupted ones.
        reference_clean: The reference's mIoU on clean pictures.
        reference: The reference's scores of the same corruptions and severities.

    Returns:
        None where a reference's sum is 0.
    """
    return {
        "mCD": _mean_ratio(scores, reference, 100.0, 100.0),
        "relative mCD": _mean_ratio(scores, reference, clean, reference_clean),
    }


def _mean_ratio(
    scores: Scores, reference: Scores, start: float, reference_start: float
) -> float | None:
    """Return the mean over corruptions of the ratio of lost points, percent."""
    ratios = []
    for name, values in scores.items():
        lost = sum(start - value for value in values)
        of_reference = sum(reference_start - value for value in reference[name])
        if of_reference == 0:
            return None
        ratios.append(100 * lost / of_reference)
    return sum(ratios) / len(ratios)
