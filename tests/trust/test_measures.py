"""Measures of trust against plain loops, closed forms and the full computation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ibn_seg.errors import UserError
from ibn_seg.trust import calibration_error as calibration
from ibn_seg.trust.calibration_error import count_pixels, reliability
from ibn_seg.trust.confidence_bins import LEVELS, LOG_ODDS, ConfidenceBins
from ibn_seg.trust.detection import (
    auroc,
    average_precision,
    binning_bounds,
    false_positive_rate,
)
from ibn_seg.trust.image_confidences import count_image, stack_images
from ibn_seg.trust.probabilities import from_logits, from_probabilities
from ibn_seg.trust.rejection import aurc, prr, risk_coverage
from ibn_seg.trust.trust_measures import DETECTION, detection_measures, trust_measures
from tests.trust.made_pixels import images, scores, softmax

counts = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=9
).map(lambda pairs: np.array(pairs).T)  # fmt: skip


def expand(pair):
    """Return score and kind of every pixel of two rows of counts."""
    low, high = pair
    score = np.concatenate([np.repeat(np.arange(len(low)), one) for one in (low, high)])
    return score, np.repeat([False, True], [low.sum(), high.sum()])


@given(counts)
@settings(max_examples=60, deadline=None)
def test_auroc_is_the_share_of_pairs_in_the_right_order(pair):
    score, positive = expand(pair)
    wins = np.sign(score[positive][:, None] - score[~positive][None]) / 2 + 0.5
    if wins.size:
        assert auroc(*pair) == pytest.approx(wins.mean(), abs=1e-12)
        assert auroc(*pair[::-1]) == pytest.approx(1 - auroc(*pair), abs=1e-12)
    else:
        assert np.isnan(auroc(*pair))


@given(counts)
@settings(max_examples=60, deadline=None)
def test_thresholds_are_those_of_a_plain_loop(pair):
    score, positive = expand(pair)
    if positive.all() or not positive.any():
        assert np.isnan(average_precision(*pair))
        assert np.isnan(false_positive_rate(*pair))
        return
    area, recall, rate = 0.0, 0.0, None
    for threshold in np.unique(score)[::-1]:
        kept = score >= threshold
        reached = (kept & positive).sum() / positive.sum()
        area += (reached - recall) * positive[kept].mean()
        recall = reached
        if rate is None and reached >= 0.95:
            rate = (kept & ~positive).sum() / (~positive).sum()
    assert average_precision(*pair) == pytest.approx(area, abs=1e-12)
    assert false_positive_rate(*pair) == pytest.approx(rate, abs=1e-12)


@given(counts)
@settings(max_examples=60, deadline=None)
def test_rejection_is_that_of_single_pixels(pair):
    score, right = expand(pair)
    found = count_pixels(score, right)
    if not len(score):
        assert np.isnan(aurc(found))
        return
    rates, kept, errors = [], 0, 0
    for at in np.unique(score)[::-1]:
        tied, wrong = (score == at).sum(), ((score == at) & ~right).sum()
        # The mean over orders of the tied pixels: errors come evenly.
        rates += [(errors + wrong * j / tied) / (kept + j) for j in range(1, tied + 1)]
        kept, errors = kept + tied, errors + wrong
    assert aurc(found) == pytest.approx(np.mean(rates), abs=1e-12)
    coverage, risk = risk_coverage(found)
    assert coverage[-1] == 1
    assert risk[-1] == pytest.approx((~right).mean())
    if 0 < right.sum() < len(right):
        best = count_pixels(right.astype(float), right)
        assert prr(best) == pytest.approx(1)
        assert prr(found) <= 1 + 1e-12


def pixels(seed=0, number=20_000, **changes):
    """Return confidence and rightness of made pixels."""
    logits, labels = scores(number, seed=seed, **changes)
    found = from_logits(logits[labels != 255])
    return found, labels[labels != 255]


@pytest.mark.parametrize(("sharpness", "most"), [(0.7, 2e-3), (2.2, 1e-3), (8.0, 2e-2)])
def test_histograms_are_within_their_bounds_of_the_full_computation(sharpness, most):
    """At sharpness 8 many log-odds are above 20, where all share the last bin."""
    found, labels = pixels(3, sharpness=sharpness)
    right = found.prediction == labels
    # The log-odds rank pixels whose confidence rounds to 1, so they are the full computation.
    full = count_pixels(found.log_odds, right)
    exact = detection_measures(full.wrong, full.right)
    image = count_image(
        LOG_ODDS, found.prediction, found.confidence, labels, num_classes=19,
        log_odds=found.log_odds,
    )  # fmt: skip
    result = trust_measures(stack_images(["a"], LOG_ODDS, [image]))["pooled"]
    assert abs(result["auroc"] - exact["auroc"]) <= result["auroc_bound"] + 1e-12
    assert 0 <= result["fpr95"] - exact["fpr95"] <= result["fpr95_bound"] + 1e-12
    assert result["auroc_bound"] < most
    bounds = {"auroc": most, "aupr_success": most, "aupr_error": 2 * most}
    for name, bound in bounds.items():
        assert result[name] == pytest.approx(exact[name], abs=bound), name
    diagram = reliability(count_pixels(found.confidence, right))
    assert result["ece"] == pytest.approx(float(calibration.ece(diagram)), abs=1e-12)
    assert result["mce"] == pytest.approx(calibration.mce(diagram), abs=1e-12)
    assert result["rms"] == pytest.approx(calibration.rms(diagram), abs=1e-12)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40),
    st.sampled_from([2, 7, 64]),
)
@settings(max_examples=80, deadline=None)
def test_no_binning_is_off_by_more_than_its_bounds(made, bins):
    confidence, right = np.array([c for c, _ in made]), np.array([r for _, r in made])
    full = count_pixels(confidence, right)
    place = ConfidenceBins("levels", bins).of_confidence(confidence)
    low, high = (np.bincount(place[kind], minlength=bins) for kind in (~right, right))
    by_auroc, by_rate = binning_bounds(low, high)
    if right.all() or not right.any():
        assert np.isnan(by_auroc)
        assert np.isnan(by_rate)
        return
    assert abs(auroc(low, high) - auroc(full.wrong, full.right)) <= by_auroc + 1e-12
    off = false_positive_rate(low, high) - false_positive_rate(full.wrong, full.right)
    assert -1e-12 <= off <= by_rate + 1e-12


def test_log_odds_do_not_saturate():
    """A logit gap of 40 is a confidence of 1 in float64, and still has its own log-odds."""
    found = from_logits(np.array([[40.0, 0, 0], [60.0, 0, 0], [80.0, 0, 0]]))
    assert (found.confidence == 1).sum() >= 2
    np.testing.assert_allclose(found.log_odds, np.array([40, 60, 80]) - np.log(2))
    assert LOG_ODDS.of_log_odds(found.log_odds).tolist() == [2047] * 3


@given(st.floats(0, 1), st.sampled_from([LEVELS, LOG_ODDS, ConfidenceBins("levels", 256)]))
@settings(max_examples=80, deadline=None)
def test_a_bin_stands_for_the_confidences_in_it(confidence, bins):
    (place,) = bins.of_confidence(np.array([confidence]))
    assert bins.of_confidence(bins.values()[[place]]) == [place]
    if bins.kind == "levels":
        assert abs(bins.values()[place] - confidence) <= 0.5 / bins.count + 1e-15


def test_pooled_and_mean_of_images_are_different_numbers():
    made = [
        count_image(LEVELS, prediction, (level + 0.5) / 65536, label, num_classes=19)
        for prediction, level, label in images(4, 2000)
    ]
    result = trust_measures(stack_images(list("abcd"), LEVELS, made))
    alone = [trust_measures(stack_images(["x"], LEVELS, [one]))["pooled"] for one in made]
    assert result["mean_of_images"]["ece"] == pytest.approx(np.mean([a["ece"] for a in alone]))
    assert result["mean_of_images"]["ece"] > result["pooled"]["ece"] + 0.01
    assert result["pooled"]["pixels"] == sum(a["pixels"] for a in alone)
    assert result["images"]["ece"] == 4
    assert result["undefined"]["pooled.nll"] == "no probabilities, only confidence"
    assert result["ece"] == {"kind": "top label, equal width, closed on the left", "bins": 15}


def test_reasons_of_all_images_are_given():
    confidence, nobody = np.full(5, 0.5), np.full(5, 255)
    images = [
        count_image(LEVELS, np.zeros(5, int), confidence, labels, num_classes=2)
        for labels in (np.zeros(5, int), nobody)
    ]
    found = trust_measures(stack_images(["a", "b"], LEVELS, images))
    reason = "in every image: no wrong pixel or no labelled pixel"
    assert found["undefined"]["mean_of_images.auroc"] == reason


@pytest.mark.parametrize(
    ("right", "label", "reason"),
    [(True, 0, "no wrong pixel"), (False, 0, "no right pixel"), (True, 255, "no labelled pixel")],
)
def test_what_is_undefined_is_null_with_the_reason(right, label, reason):
    labels = np.full(5, label)
    confidence = np.linspace(0.2, 0.9, 5)
    image = count_image(LEVELS, np.full(5, 0 if right else 1), confidence, labels, num_classes=2)
    result = trust_measures(stack_images(["a"], LEVELS, [image]))
    for name in (*DETECTION, "prr"):
        assert result["pooled"][name] is None
        assert result["undefined"][f"pooled.{name}"] == reason
        assert result["undefined"][f"mean_of_images.{name}"] == f"in every image: {reason}"
    assert (result["pooled"]["ece"] is None) == (label == 255)
    assert result["undefined"]["pooled.unknown_auroc"] in ("no pixel of an unknown thing", reason)


def test_unknown_things_are_found_by_low_confidence_and_not_scored_as_pixels():
    confidence = np.array([[0.9, 0.8, 0.1, 0.85, 0.2]])
    label = np.array([[0, 1, 255, 1, 1]])
    unknown = np.array([[False, False, True, True, False]])
    image = count_image(
        LEVELS, np.array([[0, 1, 0, 1, 0]]), confidence, label, num_classes=2, unknown=unknown
    )
    result = trust_measures(stack_images(["a"], LEVELS, [image]))["pooled"]
    assert result["pixels"] == 3
    assert result["error_rate"] == pytest.approx(1 / 3)
    # Unknown 0.1 is below all three known; unknown 0.85 is below one.
    assert result["unknown_auroc"] == pytest.approx((3 + 1) / 6)
    assert result["unknown_fpr95"] == pytest.approx(2 / 3)
    assert result["unknown_auprc"] == pytest.approx((1 + 2 / 4) / 2)


def test_nll_and_brier_are_those_of_plain_formulae():
    logits, labels = scores(300, classes=5, void=0)
    found, p = from_logits(logits, 1.7), softmax(logits, 1.7)
    np.testing.assert_allclose(found.nll(labels), -np.log(p[np.arange(300), labels]))
    np.testing.assert_allclose(found.brier(labels), ((p - np.eye(5)[labels]) ** 2).sum(axis=1))
    np.testing.assert_allclose(found.margin, np.sort(p)[:, -1] - np.sort(p)[:, -2])
    np.testing.assert_allclose(found.negative_entropy, (p * np.log(p)).sum(axis=1))
    again = from_probabilities(p)
    np.testing.assert_allclose(again.confidence, found.confidence, rtol=1e-9)


def test_class_errors_are_four_numbers_of_their_own():
    found, labels = pixels(number=5000)
    right = found.prediction == labels
    image = count_image(LEVELS, found.prediction, found.confidence, labels, num_classes=19)
    result = trust_measures(stack_images(["a"], LEVELS, [image]))["pooled"]
    of = {
        k: float(calibration.ece(reliability(count_pixels(found.confidence[s], right[s]))))
        for k in range(19)
        if (s := found.prediction == k).any()
    }
    weights = [(found.prediction == k).mean() for k in of]
    assert result["ece_predicted_class_plain"] == pytest.approx(np.mean(list(of.values())))
    by_pixels = np.dot(weights, list(of.values()))
    assert result["ece_predicted_class_by_pixels"] == pytest.approx(by_pixels)
    assert calibration.one_vs_rest_eces(np.exp(found.log_probability), labels).mean() < 0.03


@pytest.mark.parametrize(
    ("act", "line"),
    [
        (lambda: from_probabilities(np.array([[0.5, 0.2]])), "sum to 0.7, not to 1"),
        (lambda: from_probabilities(np.array([[np.nan, 0.2]])), "a probability is NaN"),
        (lambda: from_probabilities(np.array([[1.5, -0.5]])), "probability -0.5"),
        (lambda: from_logits(np.array([[np.nan, 0.0]])), "NaN or infinite"),
        (lambda: LEVELS.of_confidence(np.array([np.nan])), "a confidence is NaN"),
        (lambda: LEVELS.of_confidence(np.array([1.25])), "confidence 1.25: allowed: 0..1"),
        (lambda: LOG_ODDS.of_log_odds(np.array([np.nan])), "a confidence is NaN"),
        (
            lambda: count_image(LEVELS, np.zeros((2, 2)), np.zeros((2, 3)), np.zeros((2, 2)),
                                num_classes=2),
            r"confidence of shape \(2, 3\) for a prediction of shape \(2, 2\)",
        ),
        (
            lambda: count_image(LEVELS, np.full(2, 7), np.zeros(2), np.zeros(2), num_classes=2),
            "prediction 7 is not a class",
        ),
    ],
)  # fmt: skip
def test_bad_values_are_one_line(act, line):
    with pytest.raises(UserError, match=line) as error:
        act()
    assert "\n" not in error.value.line
