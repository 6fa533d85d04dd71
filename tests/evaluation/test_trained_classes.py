"""Classes that a checkpoint names; whatever else stands there counts as nothing."""

import numpy as np
import pytest

from ibn_seg.evaluation.network_classes import trained_classes


@pytest.mark.parametrize("palette", [[[1, 2, 3], (4, 5, 255)], np.array([[1, 2, 3], [4, 5, 255]])])
def test_names_and_colours_are_read(palette):
    checkpoint = {"meta": {"dataset_meta": {"classes": ("road", "sky"), "palette": palette}}}
    assert trained_classes(checkpoint) == (["road", "sky"], [[1, 2, 3], [4, 5, 255]])


@pytest.mark.parametrize(
    "checkpoint",
    [
        *(None, {}, {"meta": None}, {"meta": [1]}, {"meta": {"dataset_meta": 7}}),
        {"meta": {"dataset_meta": {"classes": "road", "palette": 3}}},
        {"meta": {"dataset_meta": {"classes": [1], "palette": [[1, 2, 3], [1]]}}},
        {"meta": {"dataset_meta": {"classes": (), "palette": [[1, 2, 256]]}}},
        {"meta": {"dataset_meta": {"palette": ["red"]}}},
        {"meta": {"dataset_meta": {"palette": [[0.5, 0.5, 0.5]]}}},
    ],
)
def test_anything_else_is_nothing(checkpoint):
    assert trained_classes(checkpoint) == (None, None)


def test_those_of_mmseg_before_its_version_1():
    checkpoint = {"meta": {"CLASSES": ("road", "sky"), "PALETTE": [[1, 2, 3], [4, 5, 255]]}}
    assert trained_classes(checkpoint) == (["road", "sky"], [[1, 2, 3], [4, 5, 255]])
