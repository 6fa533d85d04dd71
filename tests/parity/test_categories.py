"""The seven categories of Cityscapes: our groups against plain loops and the official code.

Networks here predict every id of Cityscapes, evaluated or not, as the official rule allows: such a
prediction misses its label and is no other category.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ibn_seg.datasets.class_map import parse_map
from ibn_seg.datasets.known_classes import CATEGORIES, known_map, space_of
from ibn_seg.datasets.labels import CLASSES, LABELS
from ibn_seg.evaluation.confusion import scores

IDS = tuple(label.name for label in LABELS)
# The category of each evaluated class: cityscapesScripts, helpers/labels.py.
CATEGORY = {
    "road": "flat", "sidewalk": "flat", "building": "construction", "wall": "construction",
    "fence": "construction", "pole": "object", "traffic light": "object", "traffic sign": "object",
    "vegetation": "nature", "terrain": "nature", "sky": "sky", "person": "human", "rider": "human",
    "car": "vehicle", "truck": "vehicle", "bus": "vehicle", "train": "vehicle",
    "motorcycle": "vehicle", "bicycle": "vehicle",
}  # fmt: skip


def drawn(seed: int, absent: tuple[str, ...] = ()) -> np.ndarray:
    """Return (34, 34) counts of raw ids; categories in `absent` are in no label or prediction."""
    counts = np.random.default_rng(seed).integers(0, 5000, (len(IDS), len(IDS)))
    gone = [at for at, name in enumerate(IDS) if CATEGORY.get(name) in absent]
    counts[gone] = 0
    counts[:, gone] = 0
    return counts


def plain_loops(counts: np.ndarray) -> dict[str, float]:
    """Return the IoU of each category in percent, pair by pair."""
    found = {}
    for category in CATEGORIES.classes:
        hits = missed = false = 0
        for row, label in enumerate(IDS):
            if label not in CATEGORY:
                continue  # an ignored label
            for column, predicted in enumerate(IDS):
                mine, theirs = CATEGORY[label], CATEGORY.get(predicted)
                pixels = int(counts[row, column])
                if mine == category and theirs == category:
                    hits += pixels
                elif mine == category:
                    missed += pixels
                elif theirs == category:
                    false += pixels
        if hits + missed + false:
            found[category] = 100 * hits / (hits + missed + false)
    return found


def ours(counts: np.ndarray):
    """Return our scores of (34, 34) counts of raw ids: a map of all 34, void rows left out."""
    groups = {
        name: [one for one in IDS if CATEGORY.get(one) == name] for name in CATEGORIES.classes
    }
    none = [name for name in IDS if name not in CATEGORY]
    mapping = parse_map({"groups": groups, "none": none}, IDS, CATEGORIES.classes, "map")
    merged = mapping.merge_columns(mapping.merge_labels(counts))
    return scores(merged[:-1], mapping.groups)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sets(st.sampled_from(CATEGORIES.classes), max_size=3))
def test_categories_are_those_of_plain_loops(seed, absent):
    counts = drawn(seed, tuple(absent))
    expected, found = plain_loops(counts), ours(counts)
    assert found.IoU.keys() == expected.keys()
    for name, value in expected.items():
        assert abs(found.IoU[name] - value) < 1e-9
    assert abs(found.mIoU - sum(expected.values()) / len(expected)) < 1e-9
    assert set(found.absent) == absent


@pytest.mark.parametrize("absent", [(), ("human",), ("sky", "nature")])
def test_categories_are_those_of_the_official_code(absent):
    pytest.importorskip("cityscapesscripts")
    from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as official  # noqa: N813

    counts = drawn(len(absent), absent)
    args = official.CArgs()
    vars(args).update(vars(official.args))
    args.evalLabels = list(range(len(IDS)))
    theirs = {
        name: official.getIouScoreForCategory(name, counts, args) for name in CATEGORIES.classes
    }
    found = ours(counts)
    for name, value in theirs.items():
        if math.isnan(value):
            assert name in found.absent
        else:
            assert abs(found.IoU[name] - 100 * value) < 1e-9
    present = [value for value in theirs.values() if not math.isnan(value)]
    assert abs(found.mIoU - 100 * sum(present) / len(present)) < 1e-9


def test_the_known_map_scores_a_matrix_of_19_classes_alike():
    counts = drawn(3)
    places = [IDS.index(name) for name in CLASSES]
    square = counts[np.ix_(places, places)]
    mapping = known_map(space_of("cityscapes").classes, CATEGORIES)
    merged = mapping.merge_columns(mapping.merge_labels(square))
    only = np.zeros_like(counts)
    only[np.ix_(places, places)] = square
    expected = plain_loops(only)
    found = scores(merged[:-1], CATEGORIES.classes)
    assert found.IoU == pytest.approx(expected, abs=1e-9)
