import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibn_seg.statistics import summarise


@given(st.lists(st.floats(0, 100), min_size=2, max_size=12))
def test_numpy_agrees(values):
    summary = summarise(np.array(values))
    assert summary.mean == pytest.approx(np.mean(values))
    assert summary.sd == pytest.approx(np.std(values, ddof=1), abs=1e-9)
    assert (summary.low, summary.high, summary.n) == (min(values), max(values), len(values))


def test_one_value_has_no_deviation_and_three_are_few():
    assert summarise([50.0]).sd is None
    assert [summarise(range(n)).few for n in (1, 2, 3, 4, 10)] == [True, True, True, False, False]
    with pytest.raises(ValueError, match="no values"):
        summarise([])
