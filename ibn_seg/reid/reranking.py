"""k-reciprocal re-ranking (Zhong et al., CVPR 2017); its scores are transductive.

It uses distances among queries and among gallery images, so the score of one query depends on the
others. Never compare it with scores without it.

For the i-th of the n = Q + G images:

- D is the squared Euclidean distance of normalised features, each row divided by its largest.
- N(i, k) are the k + 1 nearest, i itself included; R(i, k) are those j of it with i in N(j, k).
- R*(i) is R(i, k1) and every R(j, h) of a j in R(i, k1) of which more than two thirds are in
  R(i, k1), with h = k1 / 2, rounded half to even.
- V_i is the softmax of -D_i over R*(i), else 0; then the mean of V over the k2 nearest of i.
- With m the sum of min(V_i, V_j), the result is (1 - weight) (1 - m / (2 - m)) + weight D.

The authors' code (https://github.com/zhunzhong07/person-re-ranking) holds n x n matrices. Here only
neighbours and the few entries of V that are not 0 are held, and rows of the result are yielded.
torchreid and others square D once more, and fast-reid takes one neighbour less: other numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ibn_seg.errors import UserError
from ibn_seg.reid.distances import check_features, normalised, row_blocks

NAME = "re-ranked (transductive)"
# An entry of V takes 12 bytes twice, by row and by column; an image has about 60 of them.
_BYTES_PER_IMAGE = 60 * 24
_BLOCK_ENTRIES = 4 * 2**20


@dataclass(frozen=True)
class Reranking:
    """The parameters, by default those of the paper.

    Attributes:
        k1: Neighbours of an image.
        k2: Neighbours over which V is averaged.
        weight: Weight of the plain distance, lambda in the paper.

    Raises:
        UserError: A value is out of range.
    """

    k1: int = 20
    k2: int = 6
    weight: float = 0.3

    def __post_init__(self) -> None:
        if self.k1 < 1 or self.k2 < 1 or not 0 <= self.weight <= 1:
            raise UserError(f"re-ranking with {self}", "allowed: k1, k2 >= 1 and weight in 0..1")


@dataclass(frozen=True)
class _Sparse:
    """Rows of V: the columns and values of row i are at `starts[i]` to `starts[i + 1]`."""

    starts: np.ndarray
    columns: np.ndarray
    values: np.ndarray

    def row(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return columns and values of a row."""
        part = slice(self.starts[index], self.starts[index + 1])
        return self.columns[part], self.values[part]


def needed_memory(queries: int, gallery: int, features: int, parameters: Reranking) -> int:
    """Return about how many bytes `reranked_blocks` will take, beside its arguments.

    Args:
        queries: Number of queries.
        gallery: Number of gallery images.
        features: Numbers of a feature.
        parameters: The parameters.
    """
    images = queries + gallery
    each = 4 * features + 8 * (parameters.k1 + 1) + _BYTES_PER_IMAGE
    return images * each + 3 * 8 * max(_BLOCK_ENTRIES, images)


def reranked_blocks(
    query: np.ndarray, gallery: np.ndarray, parameters: Reranking | None = None
) -> Iterator[np.ndarray]:
    """Yield the re-ranked distances, some queries at a time.

    Args:
        query: (Q, D) features.
        gallery: (G, D) features.
        parameters: The parameters. Default: those of the paper.

    Yields:
        (rows, G) float32, for `rank_matches`.

    Raises:
        UserError: Features are not finite.
    """
    parameters = parameters or Reranking()
    pair = check_features(query, "query"), check_features(gallery, "gallery")
    features = normalised(np.concatenate(pair))
    # An image without any neighbour does not exist: it is its own.
    nearest, largest = _neighbours(features, parameters.k1 + 1)
    weights = _encode(features, nearest, largest, parameters)
    yield from _jaccard_blocks(features, weights, largest, len(pair[0]), parameters.weight)


def _squared(features: np.ndarray, rows: slice) -> np.ndarray:
    """Return the squared distances of some images to all, 2 - 2 cos."""
    return np.maximum(2 - 2 * (features[rows] @ features.T), 0)


def _neighbours(features: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest images, (n, count) by distance, and the largest distance of each row."""
    images = len(features)
    count = min(count, images)
    nearest, largest = np.empty((images, count), np.int64), np.empty(images, np.float32)
    for rows in row_blocks(images, images, _BLOCK_ENTRIES):
        distances = _squared(features, rows)
        largest[rows] = distances.max(axis=1)
        # Rounding may put a copy of an image before itself.
        distances[np.arange(len(distances)), np.arange(rows.start, rows.stop)] = -1
        last = np.partition(distances, count - 1, axis=1)[:, count - 1]
        for image, row, limit in zip(range(rows.start, rows.stop), distances, last, strict=True):
            near = np.flatnonzero(row <= limit)
            nearest[image] = near[np.argsort(row[near], kind="stable")[:count]]
    return nearest, np.maximum(largest, np.finfo(np.float32).tiny)


def _reciprocal(nearest: np.ndarray, count: int) -> list[np.ndarray]:
    """Return R(i, count - 1) of each image."""
    near = nearest[:, :count]
    found: list[np.ndarray] = []
    for rows in row_blocks(len(near), near.shape[1] ** 2, _BLOCK_ENTRIES):
        images = np.arange(rows.start, rows.stop)
        back = (near[near[rows]] == images[:, None, None]).any(axis=2)
        found += [row[mask] for row, mask in zip(near[rows], back, strict=True)]
    return found


def _expanded(own: np.ndarray, halves: list[np.ndarray]) -> np.ndarray:
    """Return R* of an image from its R and the smaller R of all."""
    parts = [own]
    for image in own:
        half = halves[image]
        if 3 * np.isin(half, own).sum() > 2 * len(half):
            parts.append(half)
    return np.unique(np.concatenate(parts))


def _encode(
    features: np.ndarray, nearest: np.ndarray, largest: np.ndarray, parameters: Reranking
) -> _Sparse:
    """Return V, averaged over the k2 nearest."""
    full = _reciprocal(nearest, parameters.k1 + 1)
    # Python's round is half to even, as NumPy's in the authors' code.
    halves = _reciprocal(nearest, round(parameters.k1 / 2) + 1)
    rows = []
    for image, own in enumerate(full):
        columns = _expanded(own, halves)
        distances = np.maximum(2 - 2 * (features[columns] @ features[image]), 0)
        shares = np.exp(-distances / largest[image])
        rows.append((columns, shares / shares.sum()))
    if parameters.k2 > 1:
        rows = [_mean_row(rows, near[: parameters.k2]) for near in nearest]
    lengths = [len(columns) for columns, _ in rows]
    return _Sparse(
        np.concatenate([[0], np.cumsum(lengths)]),
        np.concatenate([columns for columns, _ in rows]),
        np.concatenate([values for _, values in rows]),
    )


def _mean_row(
    rows: list[tuple[np.ndarray, np.ndarray]], images: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return columns and values of the mean of some rows."""
    columns = np.concatenate([rows[image][0] for image in images])
    values = np.concatenate([rows[image][1] for image in images])
    columns, places = np.unique(columns, return_inverse=True)
    return columns, (np.bincount(places, values) / len(images)).astype(np.float32)


def _by_column(weights: _Sparse, images: int, first: int) -> _Sparse:
    """Return the columns of V without its first rows; 'columns' are then rows from `first`."""
    begin = weights.starts[first]
    lengths = np.diff(weights.starts[first:])
    rows = np.repeat(np.arange(len(lengths)), lengths)
    order = np.argsort(weights.columns[begin:], kind="stable")
    counts = np.bincount(weights.columns[begin:], minlength=images)
    return _Sparse(
        np.concatenate([[0], np.cumsum(counts)]), rows[order], weights.values[begin:][order]
    )


def _jaccard_blocks(
    features: np.ndarray, weights: _Sparse, largest: np.ndarray, queries: int, weight: float
) -> Iterator[np.ndarray]:
    """Yield the mixture of Jaccard and plain distances, some queries at a time."""
    gallery = _by_column(weights, len(features), queries)
    count = len(features) - queries
    for rows in row_blocks(queries, count, _BLOCK_ENTRIES):
        plain = np.maximum(2 - 2 * (features[rows] @ features[queries:].T), 0)
        plain *= weight / largest[rows, None]
        for line, image in zip(plain, range(rows.start, rows.stop), strict=True):
            overlap = np.zeros(count)
            for column, value in zip(*weights.row(image), strict=True):
                images, values = gallery.row(column)
                overlap[images] += np.minimum(values, value)
            line += (1 - weight) * (1 - overlap / (2 - overlap))
        yield plain
