"""Kendall's rank correlation of methods between two benchmarks, with its uncertainty."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ibn_seg.errors import UserError
from ibn_seg.statistics.bootstrap import DRAWS, GENERATOR_SEED, Interval, percentile_interval

LEAST_METHODS = 3
# The number of orders of eight methods; more are drawn at random.
_MOST_ORDERS = 40_320


@dataclass(frozen=True)
class RankCorrelation:
    """Whether two benchmarks order methods alike.

    Args:
        methods: The methods that both have.
        tau: Kendall's tau-b of the mean scores: 1 for the same order, -1 for the opposite.
        interval: Percentile interval of tau over drawn seeds. It says how sure the two orders are,
            given these methods.
        chance: Share of all orders whose tau is at least as high. It says how often unrelated
            benchmarks would agree so well.
    """

    methods: tuple[str, ...]
    tau: float
    interval: Interval
    chance: float


def rank_correlation(
    one: Mapping[str, Sequence[float]],
    other: Mapping[str, Sequence[float]],
    *,
    draws: int = DRAWS,
    generator_seed: int = GENERATOR_SEED,
) -> RankCorrelation:
    """Return the rank correlation of the methods that two benchmarks have in common.

    Args:
        one: For each method its score with each training seed.
        other: The same of the other benchmark; its seeds are other trainings.
        draws: Number of draws of seeds, with replacement, for each method of each benchmark.
        generator_seed: Seed of the draws.

    Raises:
        UserError: Fewer than three methods are in both, so there is hardly an order.
    """
    methods = tuple(name for name in one if name in other)
    if len(methods) < LEAST_METHODS:
        raise UserError(
            f"{len(methods)} methods in common", f"a rank correlation needs {LEAST_METHODS}"
        )
    sides = [[np.asarray(side[name], float) for name in methods] for side in (one, other)]
    means = [np.array([scores.mean() for scores in side]) for side in sides]
    tau = kendall_tau(*means)
    generator = np.random.default_rng(generator_seed)
    drawn = np.array([kendall_tau(*(_drawn(side, generator) for side in sides))
                      for _ in range(draws)])  # fmt: skip
    few = all(len(scores) == 1 for side in sides for scores in side)
    return RankCorrelation(
        methods, tau, percentile_interval(drawn, images_only=few), _chance(*means, tau, generator)
    )


def kendall_tau(one: np.ndarray, other: np.ndarray) -> float:
    """Return Kendall's tau-b of two rows of scores (Kendall, Biometrika 33, 1945).

    Args:
        one: (M,) scores.
        other: (M,) scores of the same methods.

    Returns:
        -1 to 1; 0 if all scores of a row are equal.
    """
    first, second = np.triu_indices(len(one), 1)
    signs = np.sign(one[first] - one[second]), np.sign(other[first] - other[second])
    pairs = np.sqrt(np.prod([np.count_nonzero(sign) for sign in signs], dtype=float))
    return float((signs[0] * signs[1]).sum() / pairs) if pairs else 0.0


def _drawn(side: Sequence[np.ndarray], generator: np.random.Generator) -> np.ndarray:
    """Return each method's mean over seeds that are drawn with replacement."""
    return np.array([generator.choice(scores, len(scores)).mean() for scores in side])


def _chance(
    one: np.ndarray, other: np.ndarray, tau: float, generator: np.random.Generator
) -> float:
    """Return the share of orders of one side whose tau is at least the given one."""
    if np.prod(np.arange(1, len(one) + 1, dtype=float)) <= _MOST_ORDERS:
        orders = [np.array(order) for order in itertools.permutations(range(len(one)))]
    else:
        orders = [generator.permutation(len(one)) for _ in range(DRAWS)]
    taus = np.array([kendall_tau(one[order], other) for order in orders])
    return float((taus >= tau - 1e-12).mean())
