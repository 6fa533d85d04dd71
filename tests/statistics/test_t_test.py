import itertools
import math
import sys

import numpy as np
import pytest
from scipy import stats

from ibn_seg.errors import EnvError
from ibn_seg.statistics import paired_t_test, power, seeds_needed, t_interval


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_p_values_are_scipys(n):
    rng = np.random.default_rng(n)
    for shift in (0, 0.3, -2):
        a, b = rng.normal(60 + shift, 1, n), rng.normal(60, 1, n)
        expected = stats.ttest_rel(a, b)
        found = paired_t_test(list(a - b))
        assert found.t == pytest.approx(expected.statistic, rel=1e-9)
        assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
        assert found.degrees_of_freedom == expected.df == n - 1


def test_differences_without_spread():
    assert paired_t_test([1.0]) is None
    none = paired_t_test([0.0, 0.0, 0.0])
    assert (none.t, none.p_value) == (0.0, 1.0)
    same = paired_t_test([-1.0, -1.0])
    assert (same.t, same.p_value) == (-math.inf, 0.0)


# G*Power 3.1, "t tests - Means: Difference between two dependent means (matched pairs)", a priori,
# two tails, alpha 0.05, power 0.8.
@pytest.mark.parametrize(
    ("effect", "seeds"), [(0.2, 199), (0.3, 90), (0.5, 34), (0.8, 15), (1.0, 10)]
)
def test_seeds_needed_are_those_of_the_tables(effect, seeds):
    assert seeds_needed(effect, 1.0).seeds == seeds
    assert seeds_needed(-3 * effect, 3.0).seeds == seeds


@pytest.mark.parametrize(("effect", "n"), [(0.5, 34), (1.0, 5), (2.0, 3), (0.0, 4), (8.0, 2)])
def test_power_is_how_often_the_test_rejects(effect, n):
    trials = 40_000
    samples = np.random.default_rng(n).normal(effect, 1, (trials, n))
    rejected = stats.ttest_1samp(samples, 0, axis=1).pvalue < 0.05
    expected = power(effect, n)
    error = math.sqrt(expected * (1 - expected) / trials)
    assert abs(rejected.mean() - expected) < 4 * error


def test_the_number_is_the_first_that_suffices():
    for effect in (0.1, 0.25, 0.7, 1.3, 3, 11, 40, 1e4):
        needed = seeds_needed(effect, 1.0).seeds
        assert power(effect, needed) >= 0.8
        assert needed == 2 or power(effect, needed - 1) < 0.8


def test_power_grows_with_seeds_and_effect():
    values = [power(0.3, n) for n in range(2, 200)]
    assert all(a < b for a, b in itertools.pairwise(values))
    for n in (2, 3, 10, 1000):
        values = [power(effect, n) for effect in np.geomspace(0.001, 1e6, 80)]
        assert all(a <= b + 1e-9 for a, b in itertools.pairwise(values))
        assert values[-1] == pytest.approx(1)


def test_where_there_is_no_number():
    assert seeds_needed(0.01, 1.0).reason == "more than 1,000"
    assert seeds_needed(0.0, 1.0).reason == "no difference to be found"
    assert seeds_needed(1.0, None).reason == "one seed shows no spread"
    assert seeds_needed(1.0, 0.0).seeds == 2
    assert seeds_needed(0.5, 1.0, most=33).reason == "more than 33"
    assert all(seeds_needed(*given).seeds is None for given in ((0.01, 1), (0, 1), (1, None)))


def test_without_scipy(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(EnvError, match="scipy is missing"):
        seeds_needed(1.0, 1.0)
    with pytest.raises(EnvError, match="scipy is missing"):
        paired_t_test([1.0, 2.0])


def test_the_interval_excludes_zero_exactly_where_the_test_rejects():
    generator = np.random.default_rng(3)
    for _ in range(50):
        values = list(generator.normal(0.8, 1.0, size=5))
        low, high = t_interval(values)
        assert (low > 0 or high < 0) == (paired_t_test(values).p_value < 0.05)
        assert (low + high) / 2 == pytest.approx(np.mean(values))
    # Student's table: 2.776 for 4 degrees of freedom.
    low, high = t_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert high - 3 == pytest.approx(2.776 * np.sqrt(2.5 / 5), rel=1e-3)
    assert t_interval([1.0]) is None
