"""The divergence against integration and closed forms, and its invariants."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ibn_seg.analyses.divergence.measure import (
    VARIANCE_FLOOR,
    ChannelStatistics,
    layer_divergence,
    symmetric_kl,
)
from ibn_seg.errors import UserError

VALUES = st.floats(-1e3, 1e3, allow_nan=False).map(lambda value: round(value, 3))


def statistics(values, sizes=None):
    """Return the statistics of (pictures, channels) that came in batches of the given sizes."""
    found = ChannelStatistics()
    for part in np.split(values, np.cumsum(sizes)[:-1]) if sizes else [values]:
        found.add(part)
    return found


@st.composite
def samples(draw, least=2):
    shape = draw(st.tuples(st.integers(least, 12), st.integers(1, 4)))
    return draw(hnp.arrays(np.float64, shape, elements=VALUES))


@pytest.mark.parametrize(
    ("mean_a", "deviation_a", "mean_b", "deviation_b"),
    [(0.0, 1.0, 0.0, 1.0), (0.3, 0.5, -0.2, 0.8), (5.0, 2.0, 4.0, 0.7), (0.0, 0.1, 0.05, 0.3)],
)
def test_the_formula_equals_the_integral(mean_a, deviation_a, mean_b, deviation_b):
    stats = pytest.importorskip("scipy.stats")
    integrate = pytest.importorskip("scipy.integrate")
    a, b = stats.norm(mean_a, deviation_a), stats.norm(mean_b, deviation_b)

    def kl(p, q):
        ends = p.mean() - 12 * p.std(), p.mean() + 12 * p.std()
        return integrate.quad(
            lambda x: p.pdf(x) * (p.logpdf(x) - q.logpdf(x)), *ends, epsabs=1e-12, limit=200
        )[0]

    expected = kl(a, b) + kl(b, a)
    ours = symmetric_kl(*(np.array(v) for v in (mean_a, deviation_a**2, mean_b, deviation_b**2)))
    assert float(ours) == pytest.approx(expected, rel=1e-8, abs=1e-10)


def test_statistics_are_those_of_numpy():
    values = np.random.default_rng(0).normal(50, 0.01, (1000, 7))
    ours = statistics(values, [1, 3, 96, 400, 500])
    np.testing.assert_allclose(ours.mean, values.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(ours.variance, values.var(axis=0), rtol=1e-9)
    assert ours.count == 1000


@settings(deadline=None)
@given(samples(), st.data())
def test_neither_batches_nor_order_matter(values, data):
    cuts = data.draw(st.lists(st.integers(0, len(values)), max_size=4).map(sorted))
    sizes = np.diff([0, *cuts, len(values)]).tolist()
    order = data.draw(st.permutations(range(len(values))))
    one, other = statistics(values), statistics(values[order], sizes)
    scale = np.abs(values).max() + 1e-30
    np.testing.assert_allclose(other.mean, one.mean, rtol=1e-10, atol=1e-10 * scale)
    np.testing.assert_allclose(other.variance, one.variance, rtol=1e-10, atol=1e-10 * scale**2)


@given(samples())
def test_identical_sets_are_not_apart(values):
    found = layer_divergence(statistics(values), statistics(values))
    assert found.divergence == found.median == 0.0


@given(samples(), st.data())
def test_it_is_symmetric_and_never_negative(values, data):
    other = data.draw(hnp.arrays(np.float64, (5, values.shape[1]), elements=VALUES))
    a, b = statistics(values), statistics(other)
    assert layer_divergence(a, b) == layer_divergence(b, a)
    assert layer_divergence(a, b).divergence >= 0.0


@given(
    st.integers(0, 2**32 - 1),
    st.floats(0.01, 100).flatmap(lambda x: st.sampled_from([x, -x])),
    st.floats(-10, 10),
)
def test_rescaling_a_channel_of_both_domains_changes_nothing(seed, factor, offset):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(0, 1, (50, 3)), rng.normal(0.5, 2, (40, 3))
    before = layer_divergence(statistics(a), statistics(b))
    for values in (a, b):
        values[:, 1] = factor * values[:, 1] + offset
    after = layer_divergence(statistics(a), statistics(b))
    assert after.divergence == pytest.approx(before.divergence, rel=1e-6)


def test_channels_without_variance_are_floored_and_counted():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(30, 4)), rng.normal(size=(30, 4))
    a[:, 0] = b[:, 0] = 3.0
    a[:, 1] = 3.0
    found = layer_divergence(statistics(a), statistics(b))
    assert (found.floored, found.channels) == (2, 4)
    alone = layer_divergence(statistics(a[:, :1]), statistics(b[:, :1]))
    assert (alone.divergence, alone.floored) == (0.0, 1)
    mean, variance = b[:, 1].mean(), b[:, 1].var()
    apart = (3.0 - mean) ** 2
    expected = (
        (VARIANCE_FLOOR + apart) / (2 * variance) + (variance + apart) / (2 * VARIANCE_FLOOR) - 1
    )
    one = layer_divergence(statistics(a[:, 1:2]), statistics(b[:, 1:2]))
    assert one.divergence == pytest.approx(expected, rel=1e-9)


def test_a_feature_that_is_not_finite_is_refused():
    with pytest.raises(UserError, match="not finite"):
        statistics(np.array([[1.0], [np.nan]]))
