import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ibn_seg.datasets.labels import CLASSES
from ibn_seg.errors import UserError
from ibn_seg.evaluation.confusion import confusion_matrix, scores

CLASS_IDS = st.integers(0, 18)
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=8)


@st.composite
def pairs(draw):
    shape = draw(SHAPES)
    label = draw(hnp.arrays(np.uint8, shape, elements=CLASS_IDS | st.just(255)))
    prediction = draw(hnp.arrays(np.uint8, shape, elements=CLASS_IDS))
    return prediction, label


def counted_one_by_one(prediction, label):
    confusion = np.zeros((19, 19), int)
    for p, t in zip(prediction.ravel(), label.ravel(), strict=True):
        if t != 255:
            confusion[t, p] += 1
    return confusion


@settings(deadline=None, max_examples=50)
@given(pairs())
def test_equals_counting_one_by_one(pair):
    expected = counted_one_by_one(*pair)
    for kind in (np.uint8, np.int64, np.int32):
        arrays = [a.astype(kind) for a in pair]
        assert np.array_equal(confusion_matrix(*arrays, 19), expected)
        tensors = [torch.from_numpy(a) for a in arrays]
        assert np.array_equal(confusion_matrix(*tensors, 19), expected)


@settings(deadline=None, max_examples=50)
@given(pairs(), pairs(), st.randoms(use_true_random=False))
def test_sum_and_order(first, second, random):
    parts = confusion_matrix(*first, 19) + confusion_matrix(*second, 19)
    whole = [np.concatenate([a.ravel(), b.ravel()]) for a, b in zip(first, second, strict=True)]
    assert np.array_equal(confusion_matrix(*whole, 19), parts)
    order = list(range(whole[0].size))
    random.shuffle(order)
    assert np.array_equal(confusion_matrix(*(a[order] for a in whole), 19), parts)


@settings(deadline=None, max_examples=50)
@given(pairs(), hnp.arrays(np.uint8, (8, 8)))
def test_predictions_under_ignored_labels_never_matter(pair, junk):
    prediction, label = pair
    changed = np.where(label == 255, junk[: label.shape[0], : label.shape[1]], prediction)
    assert np.array_equal(
        confusion_matrix(changed, label, 19), confusion_matrix(prediction, label, 19)
    )


@settings(deadline=None, max_examples=50)
@given(
    hnp.arrays(np.uint8, (5, 7)), hnp.arrays(np.uint8, (5, 7)),
    st.sampled_from([127, 128, 129, 255]),
)  # fmt: skip
def test_any_8_bits_are_counted(prediction, label, classes):
    """Up to 255 classes; few or many bits of a pair are used."""
    prediction, label = np.minimum(prediction, classes - 1), np.minimum(label, classes - 1)
    expected = np.zeros((classes, classes), int)
    np.add.at(expected, (label, prediction), 1)
    if classes == 255:
        expected[7] = 0
    ignored = 7 if classes == 255 else 255
    for convert in (np.asarray, torch.from_numpy):
        pair = convert(prediction), convert(label)
        assert np.array_equal(confusion_matrix(*pair, classes, ignored), expected)


def test_nothing_is_counted_in_empty_pictures():
    for empty in (np.zeros((0, 3), int), torch.zeros(0, 3, dtype=torch.uint8)):
        assert not confusion_matrix(empty, empty, 19).any()


@settings(deadline=None, max_examples=50)
@given(pairs())
def test_scores_lie_in_range_and_a_perfect_prediction_gives_100(pair):
    _, label = pair
    if (label == 255).all():
        return
    result = scores(confusion_matrix(*pair, 19), CLASSES)
    values = [result.mIoU, result.mAcc, result.aAcc, *result.IoU.values(), *result.Acc.values()]
    assert all(0 <= value <= 100 for value in values)
    perfect = scores(confusion_matrix(label, label, 19), CLASSES)
    assert perfect.mIoU == perfect.mAcc == perfect.aAcc == 100
    present = {CLASSES[i] for i in np.unique(label[label != 255])}
    assert set(perfect.IoU) == present
    assert set(perfect.absent) == set(CLASSES) - present


def test_scores_by_hand():
    confusion = np.array([[3, 1, 0, 0], [2, 2, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    result = scores(confusion, ["a", "b", "c", "d"], images=2)
    assert result.IoU == pytest.approx({"a": 50.0, "b": 100 * 2 / 6, "c": 0.0})
    assert result.Acc == pytest.approx({"a": 75.0, "b": 40.0})
    assert result.mIoU == pytest.approx((50 + 100 / 3 + 0) / 3)
    assert result.mAcc == pytest.approx(57.5)
    assert result.aAcc == pytest.approx(100 * 5 / 9)
    assert (result.absent, result.unlabelled, result.images) == (["d"], ["c"], 2)
    assert result.to_dict()["confusion"] == confusion.tolist()


@pytest.mark.parametrize("kind", [np.uint8, np.int64])
@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_values_out_of_range_are_named(kind, convert):
    good, bad = np.zeros((2, 2), kind), np.full((2, 2), 19, kind)
    with pytest.raises(UserError, match="label value 19 is neither a class nor ignored"):
        confusion_matrix(convert(good), convert(bad), 19)
    with pytest.raises(UserError, match="prediction 19 is not a class"):
        confusion_matrix(convert(bad), convert(good), 19)


@pytest.mark.parametrize("value", [-1, 256, 261])
def test_values_beyond_8_bits_are_never_another_pair(value):
    wide, good = np.full((2, 2), value), np.zeros((2, 2), int)
    with pytest.raises(UserError, match=f"prediction value {value}"):
        confusion_matrix(wide, good, 19)
    with pytest.raises(UserError, match=f"label value {value}"):
        confusion_matrix(good, wide, 19)


def test_shapes_must_agree():
    with pytest.raises(UserError, match="shape"):
        confusion_matrix(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), 19)


def test_nothing_to_score():
    with pytest.raises(UserError, match="all are ignored"):
        scores(np.zeros((19, 19), int), CLASSES, 3)


def test_full_size_takes_milliseconds():
    rng = np.random.default_rng(0)
    label = torch.from_numpy(rng.integers(0, 19, (1024, 2048)).astype(np.uint8))
    best = min(_seconds(label) for _ in range(5))
    # 4 ms on one core; the bound leaves room for busy machines.
    assert best < 0.1


def _seconds(label: torch.Tensor) -> float:
    start = time.perf_counter()
    confusion_matrix(label, label, 19)
    return time.perf_counter() - start
