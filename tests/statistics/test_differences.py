import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ibn_seg.errors import UserError
from ibn_seg.evaluation.confusion import scores
from ibn_seg.evaluation.stored import ImageConfusions, StoredConfusions
from ibn_seg.statistics import OVER_SEEDS, gap_closed, mean_score, paired_difference, t_interval
from tests.statistics.made import CLASSES, label_counts, method, miou, predictions, stored

DOMAINS = ("cityscapes", "fog")


def build(entropy, images=4, seeds=(0, 1, 2), skills=(0.7, 0.5)):
    rng = np.random.default_rng(entropy)
    labels = {name: label_counts(rng, images) for name in DOMAINS}
    return [method(labels, skill, seeds, 10 * entropy + at) for at, skill in enumerate(skills)]


def shuffled(runs, random):
    """Return the same runs with images and seeds in another order."""
    mixed = {}
    for seed in random.sample(sorted(runs), len(runs)):
        domains = {}
        for name, part in runs[seed].domains.items():
            order = random.sample(range(len(part.images)), len(part.images))
            names = tuple(part.images[at] for at in order)
            domains[name] = ImageConfusions(names, part.counts[order], part.scored)
        mixed[seed] = StoredConfusions(runs[seed].classes, domains)
    return mixed


ENTROPY = st.integers(0, 10**6)
FEW = settings(deadline=None, max_examples=15)


@FEW
@given(ENTROPY, st.randoms(use_true_random=False))
def test_order_of_images_and_seeds_never_matters(entropy, random):
    ours, base = build(entropy)
    first = paired_difference(ours, base, DOMAINS, draws=200)
    second = paired_difference(shuffled(ours, random), shuffled(base, random), DOMAINS, draws=200)
    assert first == second
    assert mean_score(ours, DOMAINS, draws=50) == mean_score(
        shuffled(ours, random), DOMAINS, draws=50
    )


@FEW
@given(ENTROPY)
def test_swapping_the_methods_changes_the_sign(entropy):
    ours, base = build(entropy)
    one = paired_difference(ours, base, DOMAINS, draws=200)
    other = paired_difference(base, ours, DOMAINS, draws=200)
    assert one.per_seed.values == tuple(-value for value in other.per_seed.values)
    assert one.interval.low == pytest.approx(-other.interval.high, abs=1e-9)
    assert one.interval.high == pytest.approx(-other.interval.low, abs=1e-9)
    assert one.method_score == other.baseline_score


@FEW
@given(ENTROPY)
def test_a_method_never_differs_from_itself(entropy):
    ours, _ = build(entropy)
    found = paired_difference(ours, ours, DOMAINS, draws=200)
    assert found.per_seed.values == (0.0, 0.0, 0.0)
    assert (found.interval.low, found.interval.high) == (0.0, 0.0)
    assert not found.interval.excludes_zero


@FEW
@given(ENTROPY)
def test_a_repeated_target_changes_no_estimate(entropy):
    ours, base = build(entropy)
    once = paired_difference(ours, base, ["fog"], draws=50)
    twice = paired_difference(ours, base, ["fog", "fog"], draws=50)
    assert twice.per_seed.values == pytest.approx(once.per_seed.values, abs=1e-9)


def test_several_targets_count_the_same_whatever_their_size():
    rng = np.random.default_rng(0)
    labels = {"small": label_counts(rng, 2), "large": label_counts(rng, 30)}
    runs = method(labels, 0.6, [0], 1)
    found = mean_score(runs, ["small", "large"], draws=20)
    each = [miou(runs[0].domains[name].counts.sum(axis=0)) for name in ("small", "large")]
    assert found.per_seed.mean == pytest.approx(sum(each) / 2, abs=1e-9)
    assert found.images == {"small": 2, "large": 30}


def test_only_the_seeds_that_both_have_are_compared():
    ours, base = build(1)
    del base[1]
    found = paired_difference(ours, base, DOMAINS, draws=100)
    assert found.seeds == (0, 2)
    del ours[1]
    assert found == paired_difference(ours, base, DOMAINS, draws=100)


def test_an_interval_over_seeds_is_students_and_draws_no_image():
    ours, base = build(1)
    found = paired_difference(ours, base, DOMAINS, over=OVER_SEEDS)
    assert (found.interval.low, found.interval.high) == t_interval(found.per_seed.values)
    assert not found.interval.images_only
    # One seed has none.
    single = paired_difference({0: ours[0]}, {0: base[0]}, DOMAINS, over=OVER_SEEDS, draws=50)
    assert single.interval.images_only
    # Equal seeds on other images: nothing varies that is drawn.
    same = {seed: ours[0] for seed in (0, 1, 2)}
    constant = paired_difference(same, {s: base[0] for s in same}, DOMAINS, over=OVER_SEEDS)
    assert constant.interval.low == pytest.approx(constant.per_seed.mean)
    assert constant.interval.high == pytest.approx(constant.per_seed.mean)


def test_no_seed_in_common():
    ours, base = build(1)
    with pytest.raises(UserError, match="no seed in common: 1 and 0, 2: train both"):
        paired_difference({1: ours[1]}, {0: base[0], 2: base[2]}, DOMAINS)
    assert "no seed in common" in gap_closed({1: ours[1]}, base, {0: base[0]}, "fog").reason


def test_scored_classes_are_those_of_the_evaluation():
    rng = np.random.default_rng(4)
    labels = rng.integers(50, 100, (5, 3))
    few = ("road", "car")
    runs = [
        {0: stored({"fog": predictions(labels, skill, rng)}, scored=few)} for skill in (0.8, 0.5)
    ]
    found = paired_difference(*runs, ["fog"], draws=50)
    one, other = (
        scores(run[0].domains["fog"].counts.sum(axis=0), CLASSES, 5, few).mIoU for run in runs
    )
    assert found.per_seed.values == (one - other,)


def changed(runs, seed, **changes):
    """Return runs in which one seed's part of 'fog' is changed."""
    part = dataclasses.replace(runs[seed].domains["fog"], **changes)
    domains = {**runs[seed].domains, "fog": part}
    return {**runs, seed: dataclasses.replace(runs[seed], domains=domains)}


def test_what_is_not_comparable_is_named():
    ours, base = build(2)
    fog = base[1].domains["fog"]
    names = ("a", "b", "c", "z")
    with pytest.raises(UserError, match=r"the baseline, seed 1: its images of 'fog' differ .* 'd'"):
        paired_difference(ours, changed(base, 1, images=names), DOMAINS)
    with pytest.raises(UserError, match="the baseline, seed 1: its classes of 'fog' differ"):
        paired_difference(ours, changed(base, 1, scored=("road",)), DOMAINS)
    counts = fog.counts.copy()
    counts[2, 0, 0] += 1
    with pytest.raises(UserError, match="the baseline, seed 1: its labels of 'c' in 'fog' differ"):
        paired_difference(ours, changed(base, 1, counts=counts), DOMAINS)
    with pytest.raises(UserError, match="the method, seed 2: its labels of 'c' in 'fog' differ"):
        mean_score(changed(base, 2, counts=counts), DOMAINS)
    with pytest.raises(UserError, match=r"not evaluated on 'night': it was on cityscapes, fog"):
        paired_difference(ours, base, ["night"])
    other = {0: dataclasses.replace(base[0], domains={"fog": base[0].domains["fog"]})}
    with pytest.raises(UserError, match="the baseline, seed 0: was not evaluated on 'cityscapes'"):
        paired_difference(ours, other, DOMAINS)
    for nothing in ((ours, []), ({}, DOMAINS)):
        with pytest.raises(UserError, match="nothing to compare"):
            mean_score(*nothing)


def test_gap_closed_is_the_share_of_the_oracles_gain():
    ours, base, oracle = build(3, images=20, skills=(0.6, 0.4, 0.9))
    found = gap_closed(ours, base, oracle, "fog")
    means = [
        np.mean([miou(runs[s].domains["fog"].counts.sum(axis=0)) for s in (0, 1, 2)])
        for runs in (ours, base, oracle)
    ]
    share = 100 * (means[0] - means[1]) / (means[2] - means[1])
    assert found.percent == pytest.approx(share, abs=1e-9)
    assert found.oracle_gain == pytest.approx(means[2] - means[1], abs=1e-9)
    assert found.interval.low < found.percent < found.interval.high
    assert found.reason is None
    assert gap_closed(base, base, oracle, "fog").percent == 0
    whole = gap_closed(oracle, base, oracle, "fog")
    assert whole.percent == pytest.approx(100)
    assert (whole.interval.low, whole.interval.high) == pytest.approx((100, 100))


def test_gap_closed_is_undefined_where_the_oracle_gains_little():
    ours, base = build(3)
    found = gap_closed(ours, base, base, "fog")
    assert (found.percent, found.interval, found.oracle_gain) == (None, None, 0.0)
    assert found.reason == "the oracle gains 0.00 points, under 1"


def test_gap_closed_has_no_interval_where_the_oracle_may_gain_little():
    """The oracle gains by one image of four, which some draws do not hold."""
    counts = np.zeros((4, 3, 3), int)
    counts[:, 0, 0], counts[:, 1, 1], counts[:, 1, 0] = 100, 80, 20
    better = counts.copy()
    better[0, 1] = [0, 100, 0]
    base, oracle = {0: stored({"fog": counts})}, {0: stored({"fog": better})}
    found = gap_closed(oracle, base, oracle, "fog", draws=1000)
    assert found.percent == pytest.approx(100)
    assert found.interval is None
    # (3/4)**4 of the draws are without that image.
    number = int(found.reason.split(" in ")[1].split()[0])
    assert number == pytest.approx(1000 * 0.75**4, abs=60)
    assert found.reason.startswith("the oracle gains under 1 point in ")
