"""Distances between query and gallery features, in blocks of queries."""

from collections.abc import Iterator

import numpy as np

from ibn_seg.errors import UserError, unknown

DISTANCES = ("euclidean", "cosine")
# Entries of a block: 64 MiB in float32.
_BLOCK_ENTRIES = 16 * 2**20


def normalised(features: np.ndarray) -> np.ndarray:
    """Return features of length 1, (N, D) float32; a feature of zeros stays zeros."""
    features = np.asarray(features, np.float32)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(lengths, 1e-12)


def distance_blocks(
    query: np.ndarray, gallery: np.ndarray, kind: str = "euclidean", entries: int = _BLOCK_ENTRIES
) -> Iterator[np.ndarray]:
    """Yield the rows of the distance matrix, some queries at a time.

    BoT normalises features and takes 'euclidean'; the order is then that of 'cosine'.

    Args:
        query: (Q, D) features.
        gallery: (G, D) features.
        kind: 'euclidean' for squared Euclidean distances, 'cosine' for 1 - cosine.
        entries: Largest number of distances of a block; a block has at least one row.

    Yields:
        (rows, G) float32.

    Raises:
        UserError: The kind is unknown, or features are not finite or do not fit each other.
    """
    if kind not in DISTANCES:
        raise unknown("distance", kind, DISTANCES)
    query, gallery = check_features(query, "query"), check_features(gallery, "gallery")
    if query.shape[1] != gallery.shape[1]:
        raise UserError(
            f"query features have {query.shape[1]} numbers, gallery features {gallery.shape[1]}",
            "take both from one network",
        )
    if kind == "cosine":
        query, gallery = normalised(query), normalised(gallery)
    squares = np.einsum("gd,gd->g", gallery, gallery)
    for rows in row_blocks(len(query), len(gallery), entries):
        block = query[rows] @ gallery.T
        if kind == "cosine":
            yield np.subtract(1, block, out=block)
            continue
        block *= -2
        block += squares
        block += np.einsum("qd,qd->q", query[rows], query[rows])[:, None]
        yield block


def row_blocks(rows: int, columns: int, entries: int = _BLOCK_ENTRIES) -> Iterator[slice]:
    """Yield slices of rows whose part of a matrix has at most so many entries."""
    step = max(1, entries // max(columns, 1))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def check_features(features: np.ndarray, name: str) -> np.ndarray:
    """Return features as (N, D) float32.

    Raises:
        UserError: They have another shape, there are none, or one is not finite.
    """
    features = np.asarray(features, np.float32)
    if features.ndim != 2 or not features.size:
        raise UserError(f"{name} features have the shape {features.shape}", "give (images, D)")
    wrong = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if wrong.size:
        raise UserError(
            f"{name} features: {wrong.size} of {len(features)} are not finite, first number "
            f"{wrong[0]}",
            "check the network's weights",
        )
    return features


def mean_of_views(views: np.ndarray, query_of_view: np.ndarray, queries: int) -> np.ndarray:
    """Return the features of a search with several pictures of each query (multi-query).

    Market-1501 has such pictures of the query's person in the query's camera. Their normalised
    features are averaged. Search with 'cosine', so that the length of the mean does not matter.

    Args:
        views: (V, D) features of the pictures.
        query_of_view: (V,) the query of each picture, from 0.
        queries: Number of queries.

    Returns:
        (queries, D) float32.

    Raises:
        UserError: A query has no picture.
    """
    counts = np.bincount(query_of_view, minlength=queries)
    if not counts.all():
        raise UserError(f"query number {int(np.argmin(counts))} has no picture of its person")
    sums = np.zeros((queries, views.shape[1]))
    np.add.at(sums, query_of_view, normalised(check_features(views, "views")))
    return (sums / counts[:, None]).astype(np.float32)
