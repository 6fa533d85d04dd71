import itertools
import time
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from ibn_seg.statistics import gap_closed, mean_score, paired_difference
from ibn_seg.statistics.bootstrap import drawn_scores, full_scores, percentile_interval
from ibn_seg.statistics.differences import _aligned
from tests.statistics.made import label_counts, method, miou, predictions, stored

DOMAINS = ("cityscapes", "fog")


def experiment(images=(5, 4), seeds=(0, 1, 2), skills=(0.7, 0.5, 0.9)):
    """Return runs of a method, a baseline and an oracle on two domains."""
    rng = np.random.default_rng(0)
    labels = {name: label_counts(rng, n) for name, n in zip(DOMAINS, images, strict=True)}
    return [method(labels, skill, seeds, at) for at, skill in enumerate(skills)]


def score(run, picks):
    """Return the mean over domains of the mIoU over picked images, matrix by matrix."""
    values = []
    for name, chosen in picks.items():
        total = np.zeros((3, 3), int)
        for at in chosen:
            total = total + run.domains[name].counts[at]
        values.append(miou(total))
    return sum(values) / len(values)


def drawn_differences(ours, base, draws):
    """Return what the bootstrap computes from its draws, without the interval."""
    seeds = sorted(ours)
    values = drawn_scores(_aligned({"ours": ours, "base": base}, seeds, DOMAINS), draws, 1)
    return values[:, 0] - values[:, 1]


def slow_differences(ours, base, draws, rng):
    """The same by plain loops: draw seeds, draw images, add up, compare."""
    seeds, values = sorted(ours), []
    for _ in range(draws):
        drawn = rng.choice(seeds, len(seeds))
        picks = {}
        for name in DOMAINS:
            n = len(base[seeds[0]].domains[name].images)
            picks[name] = rng.choice(n, n)
        values.append(np.mean([score(ours[s], picks) - score(base[s], picks) for s in drawn]))
    return np.array(values)


def test_the_distribution_is_that_of_plain_loops():
    ours, base, _ = experiment()
    fast = drawn_differences(ours, base, 20_000)
    slow = slow_differences(ours, base, 2000, np.random.default_rng(2))
    assert stats.ks_2samp(fast, slow).pvalue > 0.01
    spread = fast.std()
    for at in (2.5, 25, 50, 75, 97.5):
        assert abs(np.percentile(fast, at) - np.percentile(slow, at)) < 0.12 * spread


def test_every_possible_draw_comes_as_often_as_it_should():
    """Two seeds and three images of each domain: all 4 * 27 * 27 draws, one by one.

    The last class is in one image only, so that it is absent in some of them.
    """
    ours, base, _ = experiment(images=(3, 3), seeds=(3, 8))
    chances = Counter()
    for first, second in itertools.product(itertools.product(range(3), repeat=3), repeat=2):
        picks = {"cityscapes": first, "fog": second}
        gains = {s: score(ours[s], picks) - score(base[s], picks) for s in ours}
        for drawn in itertools.product(ours, repeat=2):
            value = sum(gains[s] for s in drawn) / 2
            chances[round(value, 6)] += 1 / (4 * 27 * 27)
    draws = 40_000
    seen = Counter(np.round(drawn_differences(ours, base, draws), 6).tolist())
    assert set(seen) <= set(chances)
    # Values that come rarely are counted together, as the test of frequencies wants it.
    common = [value for value, chance in chances.items() if chance * draws >= 5]
    assert len(common) > 200
    counted = [seen[value] for value in common]
    expected = [chances[value] * draws for value in common]
    if len(common) < len(chances):
        counted.append(draws - sum(counted))
        expected.append(draws - sum(expected))
    assert stats.chisquare(counted, expected).pvalue > 0.01


def test_the_estimate_is_that_of_whole_data_sets():
    ours, base, _ = experiment()
    found = paired_difference(ours, base, DOMAINS, draws=50)
    whole = {"cityscapes": range(5), "fog": range(4)}
    expected = [score(ours[s], whole) - score(base[s], whole) for s in (0, 1, 2)]
    assert found.per_seed.values == pytest.approx(expected, abs=1e-9)
    assert found.method_score - found.baseline_score == pytest.approx(found.per_seed.mean)
    assert (found.seeds, found.domains) == ((0, 1, 2), DOMAINS)
    assert found.images == {"cityscapes": 5, "fog": 4}
    assert found.interval.low < found.per_seed.mean < found.interval.high
    assert (found.interval.draws, found.interval.confidence) == (50, 95.0)


def test_one_image_and_one_seed_leave_nothing_to_draw():
    ours, base, _ = experiment(images=(1, 1), seeds=(4,))
    found = paired_difference(ours, base, DOMAINS)
    (difference,) = found.per_seed.values
    assert found.interval.low == found.interval.high == pytest.approx(difference, abs=1e-9)
    assert found.interval.images_only
    assert found.per_seed.sd is None


def test_one_image_leaves_the_seeds():
    ours, base, _ = experiment(images=(1, 1), seeds=(0, 1))
    values = np.unique(drawn_differences(ours, base, 500).round(6))
    first, second = paired_difference(ours, base, DOMAINS).per_seed.values
    assert values == pytest.approx(sorted([first, (first + second) / 2, second]), abs=1e-5)


def test_one_seed_is_said_to_be_images_only():
    ours, base, oracle = experiment()
    alone = paired_difference({0: ours[0]}, base, DOMAINS)
    assert alone.seeds == (0,)
    assert alone.interval.images_only
    assert not paired_difference(ours, base, DOMAINS).interval.images_only
    assert mean_score({0: ours[0]}, DOMAINS).interval.images_only
    assert gap_closed({0: ours[0]}, base, oracle, "fog").interval.images_only


def test_the_same_call_gives_the_same_interval():
    ours, base, _ = experiment()
    first = paired_difference(ours, base, DOMAINS, draws=300)
    assert first == paired_difference(ours, base, DOMAINS, draws=300)
    assert first != paired_difference(ours, base, DOMAINS, draws=300, generator_seed=1)


def test_draws_without_a_pixel_are_left_out_and_counted():
    counts = np.zeros((2, 3, 3), int)
    counts[0] = [[5, 1, 0], [0, 4, 0], [0, 0, 0]]
    runs = {0: stored({"fog": counts})}
    found = mean_score(runs, ["fog"], draws=4000)
    assert found.interval.undefined_draws == pytest.approx(1000, abs=4 * np.sqrt(4000 * 3 / 16))
    # Whichever other images are drawn, the scores are those of the first.
    assert found.interval.low == found.interval.high == pytest.approx(miou(counts[0]))
    with pytest.raises(ValueError, match="no draw has a value"):
        percentile_interval(np.array([np.nan]), images_only=False)


def test_the_mean_of_a_method():
    ours, _, _ = experiment()
    found = mean_score(ours, ["fog"])
    assert found.per_seed.values == pytest.approx(
        [miou(ours[s].domains["fog"].counts.sum(axis=0)) for s in (0, 1, 2)], abs=1e-9
    )
    assert found.interval.low < found.per_seed.mean < found.interval.high
    assert found.interval.excludes_zero


def simulated(rng, seeds, images, spread):
    """Return (2, S, 2, N, 1) counts whose difference is 2 points plus normal effects.

    One class is scored and nothing else is taken for it: its IoU is a mean over images, so that
    the truth is known.
    """
    of_seeds, of_images, of_both = spread
    pixels = 1e6
    base = np.broadcast_to(rng.normal(50, 10, images), (seeds, images))
    gain = 2 + rng.normal(0, of_seeds, (seeds, 1)) + rng.normal(0, of_images, images)
    gain = gain + rng.normal(0, of_both, (seeds, images))
    hits = np.round(pixels / 100 * np.stack([base + gain, base]))
    return np.stack([hits, np.full(hits.shape, pixels)], axis=2)[..., None]


@pytest.mark.parametrize(
    ("seeds", "spread", "least", "most"),
    [
        (30, (0.5, 5, 2), 0.92, 0.98),
        (3, (0.05, 5, 1), 0.92, 0.98),
        # With few seeds that differ more than the images, the interval is known to be too narrow.
        (3, (1, 0, 0.5), 0.66, 0.80),
    ],
)
def test_how_often_the_interval_covers_the_truth(seeds, spread, least, most):
    rng = np.random.default_rng(5)
    covered = []
    for trial in range(500):
        counts = simulated(rng, seeds, 60, spread)
        values = drawn_scores([counts], 300, trial)
        found = percentile_interval(values[:, 0] - values[:, 1], images_only=False)
        covered.append(found.low <= 2 <= found.high)
    assert least <= np.mean(covered) <= most


def test_2000_draws_of_a_whole_benchmark_take_a_moment():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 1000, (2, 3, 2, 500, 19)).astype(float)
    counts[:, :, 1] += counts[:, :, 0]
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        drawn_scores([counts])
        best = min(best, time.perf_counter() - start)
    # 0.1 s on one idle core; the bound leaves room for busy machines.
    assert best < 2


def test_sums_are_exact_and_scores_are_those_of_the_metric():
    from ibn_seg.evaluation.confusion import scores

    rng = np.random.default_rng(3)
    labels = rng.integers(10**6, 2 * 10**6, (40, 3))
    runs = {0: stored({"fog": predictions(labels, 0.6, rng)}, [f"{i:03}" for i in range(40)])}
    counts = _aligned({"it": runs}, [0], ["fog"])
    total = runs[0].domains["fog"].counts.sum(axis=0)
    assert full_scores(counts)[0, 0] == scores(total, ("road", "car", "train")).mIoU
