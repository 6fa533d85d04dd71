"""What a search finds without learning."""

import numpy as np
import pytest

from ibn_seg.reid.measures import scores
from ibn_seg.reid.sets.all_sets import picture_set
from ibn_seg.retrieval.colour_histogram import chance, colour_features, histogram_search
from tests.retrieval.people import write_people


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    return picture_set("market1501", write_people(tmp_path_factory.mktemp("market")))


def test_people_in_one_colour_are_found_by_it(market):
    found = scores(histogram_search(market))
    assert (found.cmc[0], found.queries, found.dropped) == (100.0, 3, 1)


def test_features_have_length_1_and_know_where_a_colour_is(market):
    features = colour_features([one.path for one in market.pictures("query")])
    assert features.shape == (4, 6 * 64)
    np.testing.assert_allclose((features**2).sum(axis=1), 1, rtol=1e-6)
    # Each stripe holds a sixth of the pixels.
    shares = (features.reshape(4, 6, 64) ** 2).sum(axis=2)
    np.testing.assert_allclose(shares, 1 / 6, atol=0.01)


def test_chance_is_the_share_of_right_answers(market):
    # Two of eleven pictures are right, and one of the own camera does not count.
    assert chance(market) == pytest.approx(100 * 2 / 10)
