"""Random searches, and the plain form of the measures: sort each row, then count."""

import numpy as np

from ibn_seg.reid.ranking import SearchLabels


def search(seed, queries=30, gallery=120, ids=12, cameras=4, levels=None):
    """Return distances and labels with junk, distractors and, by `levels`, equal distances."""
    rng = np.random.default_rng(seed)
    labels = SearchLabels(
        rng.integers(1, ids + 1, queries),
        rng.integers(0, cameras, queries),
        rng.integers(-1, ids + 1, gallery),
        rng.integers(0, cameras, gallery),
    )
    distances = rng.random((queries, gallery)).astype(np.float32)
    if levels:
        distances = np.floor(distances * levels) / np.float32(levels)
    return distances, labels


def plain_measures(distances, labels):
    """Return first ranks, AP and INP of the queries with a match, and how many have none."""
    first, precision, inverse, without = [], [], [], 0
    order = np.argsort(distances, axis=1, kind="stable")
    for query, places in enumerate(order):
        ids, cameras = labels.gallery_ids[places], labels.gallery_cameras[places]
        own = labels.query_ids[query]
        kept = (ids != -1) & ~((ids == own) & (cameras == labels.query_cameras[query]))
        ranks = np.flatnonzero(ids[kept] == own) + 1
        if not len(ranks):
            without += 1
            continue
        first.append(ranks[0])
        precision.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
        inverse.append(len(ranks) / ranks[-1])
    return np.array(first), np.array(precision), np.array(inverse), without
