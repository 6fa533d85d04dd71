"""Ranks and measures against their plain form, and their bad input."""

import numpy as np
import pytest

from ibn_seg.errors import UserError
from ibn_seg.reid import ranking
from ibn_seg.reid.distances import distance_blocks, mean_of_views
from ibn_seg.reid.measures import query_measures, scores
from ibn_seg.reid.ranking import SearchLabels, rank_matches
from tests.reid.made_searches import plain_measures, search


@pytest.mark.parametrize("levels", [None, 1, 4])
@pytest.mark.parametrize("sort_from", [0, 10**6])
def test_measures_equal_the_plain_form(levels, sort_from, monkeypatch):
    """With many and few matches a query, and with equal distances."""
    monkeypatch.setattr(ranking, "_SORT_FROM", sort_from)
    distances, labels = search(3, levels=levels)
    # Identity 50 is in no gallery.
    labels.query_ids[:2] = 50
    matches = rank_matches([distances], labels)
    first, precision, inverse, without = plain_measures(distances, labels)
    each, found = query_measures(matches), scores(matches)
    assert np.array_equal(each.first[each.valid], first)
    np.testing.assert_allclose(each.precision[each.valid], precision, rtol=1e-12)
    np.testing.assert_allclose(each.inverse[each.valid], inverse, rtol=1e-12)
    assert (found.dropped, found.queries) == (without, len(first))
    assert without >= 2
    assert found.mean_precision == pytest.approx(100 * precision.mean())
    assert found.mean_inverse == pytest.approx(100 * inverse.mean())
    assert found.cmc[4] == pytest.approx(100 * np.mean(first <= 5))


def test_the_curve_never_falls_and_small_galleries_do_not_raise():
    distances, labels = search(5, queries=9, gallery=12, ids=3, cameras=3)
    found = scores(rank_matches([distances], labels))
    assert len(found.cmc) == np.sum(labels.gallery_ids != -1)
    assert (np.diff(found.cmc) >= 0).all()


def test_blocks_do_not_change_anything():
    rng = np.random.default_rng(0)
    query, gallery = rng.normal(size=(30, 8)), rng.normal(size=(120, 8))
    _, labels = search(0)
    whole = rank_matches(distance_blocks(query, gallery), labels)
    parts = list(distance_blocks(query, gallery, entries=500))
    assert [len(part) for part in parts] == [4] * 7 + [2]
    assert np.array_equal(rank_matches(parts, labels).ranks, whole.ranks)


def test_ties_bound_the_measures():
    distances, labels = search(2, levels=3)
    low, middle, high = (
        scores(rank_matches([distances], labels, ties)).mean_precision
        for ties in ("matches_last", "gallery", "matches_first")
    )
    assert low < middle < high


def test_a_query_without_a_match_counts_as_the_official_code_does():
    distances, labels = search(1)
    labels.query_ids[0] = 50
    matches = rank_matches([distances], labels)
    dropped, counted = scores(matches), scores(matches, count_unmatched=True)
    assert counted.queries == dropped.queries + dropped.dropped == 30
    share = dropped.queries / 30
    assert counted.trapezoid == pytest.approx(share * dropped.trapezoid)
    assert counted.cmc[9] == pytest.approx(share * dropped.cmc[9])


def test_the_distances_stay_as_they_were():
    distances, labels = search(4)
    before = distances.copy()
    rank_matches([distances], labels)
    assert np.array_equal(distances, before)


ONES = np.ones((2, 4), np.float32)


@pytest.mark.parametrize(
    ("query", "gallery", "message"),
    [
        (ONES, np.full((3, 4), np.nan), "gallery features: 3 of 3 are not finite, first number 0"),
        (ONES, np.ones((3, 5)), "query features have 4 numbers, gallery features 5"),
        (np.ones(4), ONES, "query features have the shape"),
        (np.ones((0, 4)), ONES, "query features have the shape"),
    ],
)
def test_bad_features_are_one_line(query, gallery, message):
    with pytest.raises(UserError, match=message):
        list(distance_blocks(query, gallery))


def test_bad_searches_are_one_line():
    distances, labels = search(0)
    with pytest.raises(UserError, match="distances are not finite"):
        rank_matches([np.where(distances == distances.max(), np.inf, distances)], labels)
    with pytest.raises(UserError, match="distances of 29 queries, labels of 30"):
        rank_matches([distances[:-1]], labels)
    with pytest.raises(UserError, match="do not fit labels of 30 queries"):
        rank_matches([distances[:, :-1]], labels)
    with pytest.raises(UserError, match="unknown order of ties 'first'"):
        rank_matches([distances], labels, "first")
    with pytest.raises(UserError, match="query: 1 identities and 2 cameras"):
        SearchLabels(np.ones(1), np.ones(2), np.ones(1), np.ones(1))
    labels.query_ids[:] = 50
    with pytest.raises(UserError, match="none of the 30 queries has a match"):
        scores(rank_matches([distances], labels))
    with pytest.raises(UserError, match="query number 1 has no picture"):
        mean_of_views(ONES, np.array([0, 2]), 3)
