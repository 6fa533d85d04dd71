"""CMC, mAP and mINP from the ranks of matches.

With matches at ranks r_1 < ... < r_n:

- AP is the mean of i / r_i, as in BoT, torchreid, fast-reid and TransReID.
- The trapezoid AP of Market-1501's own code adds for each match the mean of the precision at it and
  of that one rank before, (i - 1) / (r_i - 1), which is 1 before rank 1. It is never above AP.
- INP is n / r_n (Ye et al., Deep Learning for Person Re-identification, TPAMI 2021).

A query without a match is dropped and counted. Market-1501's own code scores it 0 instead.
"""

from dataclasses import dataclass

import numpy as np

from ibn_seg.errors import UserError
from ibn_seg.reid.ranking import Matches

RANKS = 50


@dataclass(frozen=True)
class QueryMeasures:
    """The measures of each query, 0 to 1; NaN without a match.

    Attributes:
        first: (Q,) rank of the first match, infinity without one.
        precision: (Q,) AP.
        trapezoid: (Q,) AP of Market-1501's own code.
        inverse: (Q,) INP.
    """

    first: np.ndarray
    precision: np.ndarray
    trapezoid: np.ndarray
    inverse: np.ndarray

    @property
    def valid(self) -> np.ndarray:
        """(Q,) whether the query has a match."""
        return np.isfinite(self.first)


@dataclass(frozen=True)
class Scores:
    """The measures over all queries, in percent.

    Attributes:
        cmc: (ranks,) share of queries with a match up to rank 1, 2, ...; it never falls.
        mean_precision: mAP.
        trapezoid: mAP of Market-1501's own code.
        mean_inverse: mINP.
        queries: Number of queries that count.
        dropped: Number of queries without a match.
    """

    cmc: np.ndarray
    mean_precision: float
    trapezoid: float
    mean_inverse: float
    queries: int
    dropped: int


def query_measures(matches: Matches) -> QueryMeasures:
    """Return the measures of each query."""
    has = matches.counts > 0
    starts = np.cumsum(matches.counts) - matches.counts
    ranks, found = matches.ranks.astype(np.float64), matches.found.astype(np.float64)
    at = found / ranks
    before = np.where(ranks > 1, (found - 1) / np.maximum(ranks - 1, 1), 1.0)
    last = starts + matches.counts - 1

    def mean(values: np.ndarray) -> np.ndarray:
        means = np.full(len(has), np.nan)
        if has.any():
            means[has] = np.add.reduceat(values, starts[has]) / matches.counts[has]
        return means

    first, inverse = np.full(len(has), np.inf), np.full(len(has), np.nan)
    first[has] = ranks[starts[has]]
    inverse[has] = matches.counts[has] / ranks[last[has]]
    return QueryMeasures(first, mean(at), mean((at + before) / 2), inverse)


def scores(matches: Matches, ranks: int = RANKS, count_unmatched: bool = False) -> Scores:
    """Return the measures over all queries.

    Args:
        matches: The ranks.
        ranks: Length of the CMC; less if the gallery is smaller.
        count_unmatched: Score a query without a match 0, as Market-1501's own code does, instead
            of dropping it.

    Raises:
        UserError: No query has a match.
    """
    each = query_measures(matches)
    if not each.valid.any():
        raise UserError(
            f"none of the {len(each.valid)} queries has a match from another camera",
            "query and gallery need an identity in common, and two cameras",
        )
    chosen = np.ones(len(each.valid), bool) if count_unmatched else each.valid
    steps = np.arange(1, min(ranks, matches.gallery) + 1)
    return Scores(
        cmc=100 * (each.first[chosen, None] <= steps).mean(axis=0),
        mean_precision=_percent(each.precision[chosen]),
        trapezoid=_percent(each.trapezoid[chosen]),
        mean_inverse=_percent(each.inverse[chosen]),
        queries=int(chosen.sum()),
        dropped=int((~each.valid).sum()),
    )


def _percent(values: np.ndarray) -> float:
    """Return the mean in percent; NaN counts 0."""
    return float(100 * np.nan_to_num(values).mean())
