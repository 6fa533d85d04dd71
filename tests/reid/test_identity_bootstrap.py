"""Intervals over identities and seeds, and the small file of ranks."""

import dataclasses

import numpy as np
import pytest

from ibn_seg.errors import UserError
from ibn_seg.reid.identity_bootstrap import MEASURES, difference_interval, score_interval
from ibn_seg.reid.kept_ranks import read_ranks, write_ranks
from ibn_seg.reid.measures import query_measures, scores
from ibn_seg.reid.ranking import rank_matches
from tests.reid.made_searches import search


def runs(seeds, better=0.0):
    """Return the ranks of some seeds; matches are `better` nearer."""
    found = []
    for seed in seeds:
        distances, labels = search(0)
        noise = np.random.default_rng(seed).random(distances.shape)
        right = labels.query_ids[:, None] == labels.gallery_ids
        found.append(rank_matches([noise - better * right], labels))
    return found


def test_an_interval_is_that_of_drawn_identities():
    """With one seed, and as many draws as make the ends stable."""
    (run,) = runs([1])
    found = score_interval([run], draws=4000)
    assert found.images_only
    each = query_measures(run)
    ids = np.unique(run.query_ids[each.valid])
    generator = np.random.default_rng(5)
    means = []
    for _ in range(4000):
        drawn = generator.choice(ids, len(ids))
        values = [each.precision[each.valid & (run.query_ids == one)] for one in drawn]
        means.append(100 * np.concatenate(values).mean())
    low, high = np.percentile(means, [2.5, 97.5])
    assert found.low == pytest.approx(low, abs=0.3)
    assert found.high == pytest.approx(high, abs=0.3)


@pytest.mark.parametrize("measure", MEASURES)
def test_the_score_lies_in_its_interval_and_a_gain_is_seen(measure):
    plain, better = runs([1, 2, 3]), runs([1, 2, 3], 0.5)
    found = score_interval(plain, measure, draws=400)
    mean = np.mean([100 * np.nanmean(MEASURES[measure](query_measures(run))[run.counts > 0])
                    for run in plain])  # fmt: skip
    assert found.low < mean < found.high
    gain = difference_interval(plain, better, measure, draws=400)
    assert gain.low > 0
    assert gain.low < score_interval(better, measure, draws=400).high - found.low


def test_bad_comparisons_are_one_line():
    (run,) = runs([1])
    other = dataclasses.replace(run, query_ids=run.query_ids + 1)
    with pytest.raises(UserError, match="two runs have different queries"):
        difference_interval([run], [other])
    with pytest.raises(UserError, match="1 and 2 seeds"):
        difference_interval([run], [run, run])
    with pytest.raises(UserError, match="unknown measure 'map'"):
        score_interval([run], "map")


def test_kept_ranks_give_every_measure_again(tmp_path):
    (run,) = runs([1])
    write_ranks(tmp_path / "ranks.npz", run)
    again = read_ranks(tmp_path / "ranks.npz")
    for name in ("query_ids", "query_cameras", "counts", "ranks", "found"):
        assert np.array_equal(getattr(again, name), getattr(run, name)), name
    before, after = scores(run), scores(again)
    assert before.mean_precision == after.mean_precision
    assert np.array_equal(before.cmc, after.cmc)
    # Two bytes a match and a few a query, compressed.
    assert (tmp_path / "ranks.npz").stat().st_size < 2000


def test_another_file_is_one_line(tmp_path):
    file = tmp_path / "other.npz"
    with pytest.raises(UserError, match="no such file"):
        read_ranks(file)
    file.write_bytes(b"text")
    with pytest.raises(UserError, match="holds no ranks"):
        read_ranks(file)
    np.savez(file, counts=np.ones(3))
    with pytest.raises(UserError, match="holds no ranks"):
        read_ranks(file)
    distances, labels = search(0, levels=2)
    with pytest.raises(UserError, match="are not kept"):
        write_ranks(file, rank_matches([distances], labels, "together"))
