"""Unknown things found by low confidence: measures of all pixels, intervals over pictures."""

import numpy as np
import pytest

from ibn_seg.trust.unknown_summary import unknown_summary


def made(pictures=6, bins=40, seed=0):
    rng = np.random.default_rng(seed)
    known = rng.multinomial(500, np.linspace(1, 3, bins) / np.linspace(1, 3, bins).sum(), pictures)
    unknown = rng.multinomial(40, np.linspace(3, 1, bins) / np.linspace(3, 1, bins).sum(), pictures)
    return np.stack([known, unknown], axis=1)


def test_the_measures_are_those_of_pairs_of_pixels():
    counts = made()
    found = unknown_summary(["a"] * 6, counts, replicates=200)
    known, unknown = counts.sum(axis=0)
    at = np.arange(40)
    # AUROC is the share of pairs in which the unknown pixel is less sure; ties count half.
    pairs = unknown[:, None] * known[None]
    wins = pairs[at[:, None] < at[None]].sum() + pairs[at[:, None] == at[None]].sum() / 2
    assert found["pooled"]["unknown_auroc"] == pytest.approx(wins / pairs.sum())
    # FPR@95: the first threshold from below that finds 95 % of the unknown pixels.
    first = int(np.argmax(np.cumsum(unknown) >= 0.95 * unknown.sum()))
    assert found["pooled"]["unknown_fpr95"] == pytest.approx(known[: first + 1].sum() / known.sum())
    recall = np.cumsum(unknown) / unknown.sum()
    precision = np.cumsum(unknown) / np.cumsum(known + unknown)
    auprc = (np.diff(recall, prepend=0) * precision).sum()
    assert found["pooled"]["unknown_auprc"] == pytest.approx(auprc)
    assert found["unknown_share"] == pytest.approx(40 / 540)
    assert found["fpr95_bound"] == pytest.approx(known[first] / known.sum())
    for name, value in found["pooled"].items():
        low, high = found["interval"][name]
        assert low < value < high
        assert found["replicates"][name] == 200


def test_pictures_that_are_alike_have_no_interval_to_speak_of():
    counts = np.repeat(made(1), 5, axis=0)
    low, high = unknown_summary(["a"] * 5, counts, replicates=50)["interval"]["unknown_auroc"]
    assert low == pytest.approx(high)


@pytest.mark.parametrize(
    ("row", "reason"), [(0, "no labelled pixel"), (1, "no pixel of an unknown thing")]
)
def test_what_is_undefined_is_null_with_the_reason(row, reason):
    counts = made()
    counts[:, row] = 0
    found = unknown_summary(["a"] * 6, counts, replicates=20)
    assert set(found["pooled"].values()) == {None}
    assert set(found["interval"].values()) == {None}
    assert found["undefined"] == reason
