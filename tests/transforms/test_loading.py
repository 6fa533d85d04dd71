import numpy as np
import pytest

from ibn_seg.datasets.formats import map_ids, read_values
from ibn_seg.datasets.labels import CITYSCAPES_RAW_IDS, TRAIN_IDS
from ibn_seg.errors import UserError
from ibn_seg.transforms.loading import LoadUrbanLabels
from tests.helpers import raw_from_train_ids, write_image, write_palette


def sample(path, **changes):
    info = {"seg_map_path": str(path), "label_table": TRAIN_IDS, "ori_shape": (6, 10)}
    return {**info, **changes}


@pytest.fixture
def train_ids(rng):
    return rng.choice(np.array([*range(19), 255], np.uint8), size=(6, 10))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("write", [write_image, write_palette])
def test_indices_and_grey_values_are_read_as_they_are(write, tmp_path, train_ids):
    assert np.array_equal(read_values(write(tmp_path / "a.png", train_ids)), train_ids)


def test_labels_keep_their_size_when_the_image_was_resized_before(tmp_path, train_ids):
    path = write_image(tmp_path / "a.png", train_ids)
    results = LoadUrbanLabels()(sample(path, img_shape=(3, 5), seg_fields=[]))
    assert np.array_equal(results["gt_seg_map"], train_ids)
    assert results["seg_fields"] == ["gt_seg_map"]


def test_pictures_without_labels_pass():
    results = {"img_path": "a.png", "ori_shape": (6, 10)}
    assert LoadUrbanLabels()(dict(results)) == results


@pytest.mark.parametrize("missing", ["label_table", "ori_shape"])
def test_missing_keys_are_named(missing, tmp_path, train_ids):
    info = sample(write_image(tmp_path / "a.png", train_ids))
    del info[missing]
    with pytest.raises(UserError, match=f"'{missing}' is missing"):
        LoadUrbanLabels()(info)


@pytest.mark.parametrize("array", [np.zeros((6, 10), np.uint16), np.zeros((6, 10, 3), np.uint8)])
def test_other_kinds_of_pictures_are_refused(array, tmp_path):
    path = write_image(tmp_path / "a.png", array)
    with pytest.raises(UserError, match=r"a\.png: not a label file"):
        read_values(path)


def test_unknown_values_are_named_and_counted(train_ids):
    train_ids[0, 0], train_ids[1, 1] = 20, 77
    with pytest.raises(UserError, match=r"x: value 20 is not a trainId \(2 such values\): allowed"):
        map_ids(train_ids, TRAIN_IDS, "x")


def test_raw_ids_become_train_ids(train_ids, rng):
    raw = raw_from_train_ids(train_ids, rng)
    assert np.array_equal(map_ids(raw, CITYSCAPES_RAW_IDS, "x"), train_ids)
