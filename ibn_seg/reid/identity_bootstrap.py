"""Intervals of retrieval scores by a bootstrap over query identities and training seeds.

The queries of an identity share their right answers, so identities are drawn and not queries. Every
network of every seed answers the same queries. So seeds and identities are drawn separately, as in
`ibn_seg.statistics.bootstrap`, and the same ones for both networks of a difference.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ibn_seg.errors import UserError, unknown
from ibn_seg.reid.measures import QueryMeasures, query_measures
from ibn_seg.reid.ranking import Matches
from ibn_seg.statistics.bootstrap import (
    DRAWS,
    GENERATOR_SEED,
    Interval,
    percentile_interval,
    times_drawn,
)

# The value of each query, 0 to 1, by the name of the measure.
MEASURES: Mapping[str, Callable[[QueryMeasures], np.ndarray]] = {
    "rank-1": lambda each: (each.first <= 1).astype(float),
    "rank-5": lambda each: (each.first <= 5).astype(float),
    "rank-10": lambda each: (each.first <= 10).astype(float),
    "mAP": lambda each: each.precision,
    "mAP (trapezoid)": lambda each: each.trapezoid,
    "mINP": lambda each: each.inverse,
}


def score_interval(
    runs: Sequence[Matches],
    measure: str = "mAP",
    draws: int = DRAWS,
    generator_seed: int = GENERATOR_SEED,
) -> Interval:
    """Return the interval of a network's score, percent, of the mean over its seeds.

    Args:
        runs: The ranks of one network, one per seed, with the same queries.
        measure: A key of `MEASURES`.
        draws: Number of draws.
        generator_seed: The same seed and the same data give the same draws.

    Raises:
        UserError: The measure is unknown, or runs have different queries.
    """
    values = _drawn(runs, runs[0], measure, draws, generator_seed)
    return percentile_interval(values, images_only=len(runs) == 1)


def difference_interval(
    first: Sequence[Matches],
    second: Sequence[Matches],
    measure: str = "mAP",
    draws: int = DRAWS,
    generator_seed: int = GENERATOR_SEED,
) -> Interval:
    """Return the interval of the second network's score minus the first's, in points.

    Args:
        first: The ranks of one network, one per seed.
        second: The ranks of the other, of the same seeds in the same order.
        measure: A key of `MEASURES`.
        draws: Number of draws.
        generator_seed: The same seed and the same data give the same draws.

    Raises:
        UserError: The measure is unknown, or runs have different queries or numbers of seeds.
    """
    if len(first) != len(second):
        raise UserError(f"{len(first)} and {len(second)} seeds", "compare networks seed by seed")
    low, high = (_drawn(runs, first[0], measure, draws, generator_seed) for runs in (first, second))
    return percentile_interval(high - low, images_only=len(first) == 1)


def _drawn(
    runs: Sequence[Matches], reference: Matches, measure: str, draws: int, generator_seed: int
) -> np.ndarray:
    """Return the score of each draw, percent, (draws,); NaN if no drawn query has a match."""
    if measure not in MEASURES:
        raise unknown("measure", measure, MEASURES)
    each = [query_measures(run) for run in runs]
    for run in runs:
        _check_queries(reference, run)
    valid = each[0].valid
    identities, places = np.unique(reference.query_ids[valid], return_inverse=True)
    sums = np.array(
        [np.bincount(places, MEASURES[measure](one)[valid], len(identities)) for one in each]
    )
    generator = np.random.default_rng(generator_seed)
    seeds = times_drawn(generator, draws, len(runs))
    chosen = times_drawn(generator, draws, len(identities)) if len(identities) else None
    if chosen is None:
        return np.full(draws, np.nan)
    queries = chosen @ np.bincount(places, minlength=len(identities))
    values = (chosen @ sums.T) / queries[:, None]
    return 100 * (values * seeds).sum(axis=1) / len(runs)


def _check_queries(first: Matches, second: Matches) -> None:
    """Raise a `UserError` unless two runs have the same queries with the same matches."""
    for name in ("query_ids", "query_cameras", "counts"):
        if not np.array_equal(getattr(first, name), getattr(second, name)):
            raise UserError("two runs have different queries", "search in the same pictures")
