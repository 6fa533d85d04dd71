"""Rank correlations agree with SciPy, and say how little few methods tell."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibn_seg.errors import UserError
from ibn_seg.statistics import rank_correlation
from ibn_seg.statistics.rank_agreement import kendall_tau

stats = pytest.importorskip("scipy.stats")


@given(st.integers(3, 8).flatmap(lambda n: st.tuples(*[st.lists(st.integers(0, 5), min_size=n,
                                                                max_size=n)] * 2)))  # fmt: skip
def test_tau_is_scipys(pair):
    expected = stats.kendalltau(*pair).statistic
    found = kendall_tau(*(np.array(row, float) for row in pair))
    assert found == pytest.approx(0.0 if math.isnan(expected) else expected)


def test_the_same_order_of_three_methods_is_chance_in_one_of_six():
    one = {"BN": [10.0, 11.0], "IBN-a": [20.0, 21.0], "IBN-b": [30.0, 31.0]}
    other = {"IBN-b": [3.0], "BN": [1.0], "IBN-a": [2.0], "other": [9.0]}
    found = rank_correlation(one, other)
    assert found.methods == ("BN", "IBN-a", "IBN-b")
    assert found.tau == 1
    assert found.chance == pytest.approx(1 / 6)
    assert (found.interval.low, found.interval.high) == (1, 1)


def test_seeds_that_change_the_order_widen_the_interval():
    one = {"a": [1.0, 5.0, 2.0], "b": [2.0, 1.0, 4.0], "c": [3.0, 2.0, 3.0]}
    found = rank_correlation(one, {"a": [1.0], "b": [2.0], "c": [3.0]})
    assert found.interval.low < 0 < found.interval.high


def test_two_methods_have_no_ranking():
    with pytest.raises(UserError, match="2 methods in common: a rank correlation needs 3"):
        rank_correlation({"a": [1.0], "b": [2.0]}, {"a": [1.0], "b": [2.0]})
