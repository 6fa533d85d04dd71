"""Optimal k-means of numbers, which ISW and SAN use."""

import numpy as np


def cluster_numbers(values: np.ndarray, clusters: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the clusters of numbers with the least sum of squared distances.

    Sorted numbers form intervals, so the best borders follow from dynamic programming. Each row of
    its table is filled by halving (Grønlund et al., arXiv:1701.07204, section 2).

    Args:
        values: The numbers, of any shape.
        clusters: At most so many clusters; fewer if there are fewer different numbers.

    Returns:
        The cluster of each number, from 0 in the order of the centroids, in the shape of `values`;
        and the centroids, rising.

    Raises:
        ValueError: There are no numbers, or `clusters` is below 1.
    """
    if values.size == 0 or clusters < 1:
        raise ValueError(f"{values.size} numbers in {clusters} clusters")
    points, inverse, counts = np.unique(
        np.asarray(values, np.float64), return_inverse=True, return_counts=True
    )
    cost = _Cost(points, counts)
    starts = _borders(cost, min(clusters, len(points)))
    label = np.searchsorted(starts, np.arange(len(points)), side="right") - 1
    totals = np.bincount(label, points * counts) / np.bincount(label, counts)
    return label[inverse.reshape(-1)].reshape(values.shape), totals


class _Cost:
    """Squared distances of intervals of sorted points from their means, by sums of prefixes."""

    def __init__(self, points: np.ndarray, counts: np.ndarray) -> None:
        # Around the mean, sums of squares lose no digits to a common offset.
        centred = points - np.average(points, weights=counts)
        sums = (counts, counts * centred, counts * centred * centred)
        self.count, self.first, self.second = (np.concatenate(([0], np.cumsum(x))) for x in sums)

    def __len__(self) -> int:
        return len(self.count) - 1

    def __call__(self, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Return the cost of points begin..end-1 as one cluster; begin < end."""
        first = self.first[end] - self.first[begin]
        count = self.count[end] - self.count[begin]
        return np.maximum(self.second[end] - self.second[begin] - first * first / count, 0.0)


def _borders(cost: _Cost, clusters: int) -> np.ndarray:
    """Return where each cluster begins."""
    ends = np.arange(len(cost) + 1)
    best = np.full(len(cost) + 1, np.inf)
    best[1:] = cost(np.zeros(len(cost), int), ends[1:])
    table = []
    for number in range(1, clusters):
        best, chosen = _next_row(cost, best, number)
        table.append(chosen)
    starts, end = [], len(cost)
    for chosen in reversed(table):
        end = chosen[end]
        starts.append(end)
    return np.array([0, *reversed(starts)])


def _next_row(cost: _Cost, before: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the cost of the first points in one cluster more, and where the last one begins.

    The best beginning rises with the end. So the ends of a level lie between those of the levels
    before, and a level looks at each beginning about once.

    Args:
        cost: The costs of intervals.
        before: The cost of the first n points in `number` clusters, by n.
        number: How many clusters came before.
    """
    size = len(cost)
    best, chosen = np.full(size + 1, np.inf), np.zeros(size + 1, int)
    low = np.array([number + 1])
    high, first, last = np.array([size]), np.array([number]), np.array([size - 1])
    while len(low):
        middle = (low + high) // 2
        stop = np.minimum(last, middle - 1)
        lengths = stop - first + 1
        owner = np.repeat(np.arange(len(middle)), lengths)
        offsets = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        begins = np.arange(len(owner)) - offsets[owner] + first[owner]
        costs = before[begins] + cost(begins, middle[owner])
        least = np.minimum.reduceat(costs, offsets)
        where = np.flatnonzero(costs == least[owner])
        _, place = np.unique(owner[where], return_index=True)
        best[middle], chosen[middle] = least, begins[where[place]]
        at = chosen[middle]
        halves = ((low, middle - 1, first, at), (middle + 1, high, at, last))
        low, high, first, last = (np.concatenate(pair) for pair in zip(*halves, strict=True))
        keep = low <= high
        low, high, first, last = low[keep], high[keep], first[keep], last[keep]
    return best, chosen
