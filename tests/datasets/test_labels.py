import numpy as np
import pytest
from mmseg.datasets import CityscapesDataset

from ibn_seg.datasets import labels
from tests.helpers import IGNORED_RAW_IDS, RAW_IDS


def test_classes_and_palette_are_those_of_mmseg():
    assert CityscapesDataset.METAINFO["classes"] == labels.CLASSES
    assert [tuple(c) for c in CityscapesDataset.METAINFO["palette"]] == list(labels.PALETTE)


@pytest.mark.parametrize("table", [labels.CITYSCAPES_RAW_IDS, labels.GTA5_RAW_IDS])
def test_raw_ids_map_to_train_ids(table):
    assert table.train_ids[list(RAW_IDS)].tolist() == list(range(19))
    others = np.setdiff1d(np.arange(256), RAW_IDS)
    assert set(table.train_ids[others]) == {255}


def test_known_values():
    raw = {*RAW_IDS, *IGNORED_RAW_IDS}
    assert set(np.flatnonzero(labels.CITYSCAPES_RAW_IDS.known)) == raw
    assert labels.GTA5_RAW_IDS.known.all()
    assert set(np.flatnonzero(labels.TRAIN_IDS.known)) == {*range(19), 255}
    assert (labels.TRAIN_IDS.train_ids[:19] == np.arange(19)).all()


def test_tables_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        labels.TRAIN_IDS.train_ids[3] = 4


def test_raw_ids_of_train_ids_and_back():
    train_ids = np.array([[*range(19), 255]], np.uint8)
    raw = labels.train_to_raw_ids(train_ids)
    assert raw.dtype == np.uint8
    assert raw[0, -1] == 0
    assert (labels.CITYSCAPES_RAW_IDS.train_ids[raw] == train_ids).all()


def test_colors():
    assert [labels.PALETTE[at] for at in (0, 13)] == [(128, 64, 128), (0, 0, 142)]
    palette = labels.raw_id_palette()
    assert palette.dtype == np.uint8
    assert (palette[list(RAW_IDS)] == labels.PALETTE).all()
    assert palette[5].tolist() == [111, 74, 0]
