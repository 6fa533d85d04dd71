"""Confusion matrices made of random numbers: methods that agree on labels and differ in skill."""

from collections.abc import Mapping, Sequence

import numpy as np

from ibn_seg.evaluation.stored import ImageConfusions, StoredConfusions

CLASSES = ("road", "car", "train")


def predictions(labels: np.ndarray, skill: float, rng: np.random.Generator) -> np.ndarray:
    """Return (N, C, C) counts with the given (N, C) label counts, about `skill` of them right."""
    size = labels.shape[-1]
    counts = np.empty((*labels.shape, size), np.int64)
    for at in np.ndindex(labels.shape):
        chances = rng.dirichlet(np.ones(size)) * (1 - skill)
        chances[at[-1]] += skill
        counts[at] = rng.multinomial(labels[at], chances)
    return counts


def label_counts(rng: np.random.Generator, images: int, classes: int = 3) -> np.ndarray:
    """Return (N, C) pixels per class; the last class is in the first image alone."""
    labels = rng.integers(50, 500, (images, classes))
    labels[1:, -1] = 0
    return labels


def stored(domains: Mapping[str, np.ndarray], names: Sequence[str] | None = None, **more: object):
    """Return one run's matrices under image names 'a', 'b', ... unless `names` says otherwise."""
    return StoredConfusions(
        CLASSES[: next(iter(domains.values())).shape[-1]],
        {
            domain: ImageConfusions(tuple(names or map(chr, range(97, 97 + len(c)))), c, **more)
            for domain, c in domains.items()
        },
    )


def method(
    labels: Mapping[str, np.ndarray], skill: float, seeds: Sequence[int], entropy: int
) -> dict[int, StoredConfusions]:
    """Return the runs of a method by seed."""
    runs = {}
    for seed in seeds:
        rng = np.random.default_rng([entropy, seed])
        level = skill + rng.uniform(-0.1, 0.1)
        runs[seed] = stored({name: predictions(part, level, rng) for name, part in labels.items()})
    return runs


def miou(matrix: np.ndarray) -> float:
    """Return the mIoU of a (C, C) matrix, percent, class by class."""
    ious = []
    for c in range(len(matrix)):
        union = sum(matrix[c, :]) + sum(matrix[:, c]) - matrix[c, c]
        if union > 0:
            ious.append(100 * matrix[c, c] / union)
    return sum(ious) / len(ious)
