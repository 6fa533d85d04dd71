"""A temperature is the minimum of the NLL, and a fit that ran away says so."""

import numpy as np
import pytest

from ibn_seg.errors import UserError
from ibn_seg.trust.temperature import HOTTEST, fit_temperature, nll_sums
from tests.trust.made_pixels import scores


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 6.0])
def test_the_temperature_is_the_minimum_of_the_nll(sharpness):
    logits, labels = scores(2000, sharpness=sharpness)
    found = fit_temperature(logits, labels)
    used = labels != 255
    kept, wanted = logits[used], labels[used].astype(int)
    around = [nll_sums(kept, wanted, found.value * f)[0] / used.sum() for f in (0.99, 1, 1.01)]
    assert around[1] == pytest.approx(found.nll, abs=1e-12)
    assert around[1] < min(around[0], around[2])
    assert found.pixels == used.sum()
    assert not found.at_bound
    # Logits that are three times as sharp need three times the temperature.
    assert fit_temperature(3 * logits, labels).value == pytest.approx(3 * found.value, rel=1e-7)


def test_derivatives_are_those_of_differences():
    logits, labels = scores(500, void=0)
    wanted = labels.astype(int)
    _, slope, bend = nll_sums(logits, wanted, 1.3)
    step = 1e-4
    low, middle, high = (
        np.array(nll_sums(logits, wanted, 1.3 * np.exp(d))) for d in (-step, 0, step)
    )
    assert slope == pytest.approx((high - low)[0] / (2 * step), rel=1e-6)
    assert bend == pytest.approx((high - low)[1] / (2 * step), rel=1e-6)
    assert middle[1] == slope


def test_a_fit_that_runs_away_says_so():
    logits, _ = scores(300, void=0)
    never_right = (logits.argmax(axis=1) + 1) % 19
    assert fit_temperature(logits, never_right).at_bound
    assert fit_temperature(logits, never_right).value == pytest.approx(HOTTEST)
    assert fit_temperature(logits, logits.argmax(axis=1)).at_bound


def test_bad_values_are_one_line():
    logits, labels = scores(50)
    with pytest.raises(UserError, match="no labelled pixel to fit a temperature on"):
        fit_temperature(logits, np.full(50, 255))
    with pytest.raises(UserError, match="NaN or infinite"):
        fit_temperature(np.full_like(logits, np.nan), labels)
