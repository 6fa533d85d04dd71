"""Which images methods disagree on, compared with plain loops over pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibn_seg.errors import UserError
from ibn_seg.evaluation.confusion import confusion_matrix
from ibn_seg.evaluation.stored import ImageConfusions, StoredConfusions
from ibn_seg.panels.disagreement import most_disagreed

CLASSES = ("road", "sky", "car")


def stored(matrices, names=None, domain="night"):
    counts = np.array(matrices, np.int64).reshape(-1, 3, 3)
    images = tuple(names or (f"{k}.png" for k in range(len(counts))))
    return StoredConfusions(CLASSES, {domain: ImageConfusions(images, counts)})


def matrix(right, wrong):
    return [[right, wrong, 0], [0, 0, 0], [0, 0, 0]]


def test_the_largest_spread_of_pixel_accuracy_comes_first():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (6, 4, 5)).astype(np.uint8)
    labels[labels == 2] = 255
    predictions = {name: rng.integers(0, 3, labels.shape).astype(np.uint8) for name in "ab"}
    found = most_disagreed(
        {
            name: stored([confusion_matrix(p, t, 3) for p, t in zip(maps, labels, strict=True)])
            for name, maps in predictions.items()
        },
        "night",
        4,
    )
    spreads = {}
    for k, label in enumerate(labels):
        shares = [100 * np.mean(maps[k][label != 255] == label[label != 255])
                  for maps in predictions.values()]  # fmt: skip
        spreads[f"{k}.png"] = abs(shares[0] - shares[1])
    assert [one.image for one in found] == sorted(spreads, key=spreads.get, reverse=True)[:4]
    for one in found:
        assert one.spread == pytest.approx(spreads[one.image])
        assert (one.domain, set(one.accuracies)) == ("night", {"a", "b"})


@given(st.permutations(range(5)), st.permutations(["BN", "IBN-a", "IBN-b"]))
def test_neither_the_order_of_images_nor_of_methods_matters(order, methods):
    right = {"BN": (1, 2, 3, 3, 9), "IBN-a": (3, 2, 1, 5, 9), "IBN-b": (1, 4, 3, 3, 1)}
    given_ = {}
    for name in methods:
        matrices = [matrix(right[name][k], 9 - right[name][k]) for k in order]
        given_[name] = stored(matrices, [f"{k}.png" for k in order])
        # The next method saw them in another order.
        order = order[1:] + order[:1]
    found = most_disagreed(given_, "night", 9)
    # Four spreads of two ninths are equal: by name.
    assert [one.image for one in found] == ["4.png", "0.png", "1.png", "2.png", "3.png"]


def test_images_without_a_labelled_pixel_are_left_out():
    both = {name: stored([matrix(0, 0), matrix(r, 4 - r)]) for name, r in (("a", 1), ("b", 3))}
    assert [one.image for one in most_disagreed(both, "night", 5)] == ["1.png"]


def test_what_cannot_be_compared_is_refused():
    one = stored([matrix(1, 3)])
    for match, others in (
        ("b: was not evaluated on night.*fog", stored([matrix(1, 3)], domain="fog")),
        ("b and a were evaluated on other images of night", stored([matrix(1, 3)], ["x.png"])),
        ("b and a were evaluated on other labels of night", stored([matrix(1, 4)])),
    ):
        with pytest.raises(UserError, match=match):
            most_disagreed({"a": one, "b": others}, "night", 1)
    with pytest.raises(UserError, match="no method"):
        most_disagreed({}, "night", 1)
