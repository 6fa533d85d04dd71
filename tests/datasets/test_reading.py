"""The data sets on files in the official layouts, through real pipelines and dataloaders."""

import numpy as np
import pytest
from mmengine.registry import DefaultScope
from mmseg.datasets import CityscapesDataset
from mmseg.registry import DATASETS
from PIL import Image
from torch.utils.data import DataLoader

import ibn_seg.transforms.loading  # noqa: F401
from ibn_seg.datasets.cityscapes import RawCityscapesDataset
from ibn_seg.datasets.gta5 import DEFECTIVE_FRAMES, GTA5Dataset
from ibn_seg.datasets.labels import CLASSES
from ibn_seg.datasets.multi_domain import MultiDomainDataset
from ibn_seg.datasets.splits import is_held_out
from tests.helpers import RAW_IDS, write_cityscapes, write_gta5, write_image, write_palette

LOAD = [{"type": "LoadImageFromFile"}, {"type": "LoadUrbanLabels"}]


@pytest.fixture(scope="module")
def gta5(tmp_path_factory):
    return write_gta5(tmp_path_factory.mktemp("gta5"))


@pytest.fixture(scope="module")
def cityscapes(tmp_path_factory):
    return write_cityscapes(tmp_path_factory.mktemp("cityscapes"))


def expected_train_ids(path):
    """Map a label file of raw ids one value at a time, from the ids written out in the helpers."""
    raw = np.asarray(Image.open(path))
    train_ids = np.full(raw.shape, 255)
    for train_id, raw_id in enumerate(RAW_IDS):
        train_ids[raw == raw_id] = train_id
    return train_ids


def frames(dataset):
    return [int(dataset.get_data_info(i)["img_path"][-9:-4]) for i in range(len(dataset))]


@pytest.mark.parametrize(("split", "numbers"), [("train", [1, 2, 3, 4]), ("val", [201, 202])])
def test_gta5_samples(gta5, split, numbers):
    dataset = GTA5Dataset(gta5, split=split, pipeline=LOAD)
    assert frames(dataset) == numbers
    for sample in dataset:
        assert sample["target"] == "gta5"
        image = np.asarray(Image.open(sample["img_path"]))[..., ::-1]
        assert np.array_equal(sample["img"], image)
        assert np.array_equal(sample["gt_seg_map"], expected_train_ids(sample["seg_map_path"]))


def test_gta5_split_rule(tmp_path):
    numbers = [1, 50, 200, 201, 250, 251, 450, 451, 500, 501]
    root = write_gta5(tmp_path, numbers, size=(8, 8))
    assert frames(GTA5Dataset(root, split="val")) == [201, 250, 451, 500]
    assert frames(GTA5Dataset(root, split="train")) == [1, 50, 200, 251, 450, 501]
    assert frames(GTA5Dataset(root, split="all")) == numbers
    assert frames(GTA5Dataset(root, split="train", every=4)) == [1, 450]
    held_out = [is_held_out(n) for n in range(1, 24967)]
    assert sum(held_out) == 4966


def test_gta5_leaves_out_defective_frames_and_foreign_files(tmp_path):
    root = write_gta5(tmp_path, [1, 15188, 17705, 12160, 12205], size=(8, 8))
    # What converters of other code bases and archivers leave behind.
    write_image(root / "labels" / "00001_labelTrainIds.png", np.zeros((8, 8), np.uint8))
    (root / "images" / "._00001.png").write_bytes(b"junk")
    (root / "labels" / "15188.png").unlink()
    assert frames(GTA5Dataset(root, split="all")) == [1]
    assert len(DEFECTIVE_FRAMES) == 17


def test_gta5_ignores_ids_outside_the_table(tmp_path):
    root = write_gta5(tmp_path, [1], size=(4, 4))
    write_palette(root / "labels" / "00001.png", np.array([[7, 34, 200, 255]] * 4, np.uint8))
    sample = GTA5Dataset(root, pipeline=LOAD)[0]
    assert sample["gt_seg_map"][0].tolist() == [0, 255, 255, 255]


@pytest.mark.parametrize(("split", "count"), [("train", 4), ("val", 2)])
def test_cityscapes_samples(cityscapes, split, count):
    dataset = RawCityscapesDataset(cityscapes, split=split, pipeline=LOAD)
    assert len(dataset) == count
    for sample in dataset:
        assert sample["target"] == "cityscapes"
        assert sample["seg_map_path"].endswith("_gtFine_labelIds.png")
        assert np.array_equal(sample["gt_seg_map"], expected_train_ids(sample["seg_map_path"]))


def test_cityscapes_train_ids_give_the_same_labels(cityscapes, tmp_path):
    both = write_cityscapes(tmp_path, label_train_ids=True)
    for raw, train in zip(
        RawCityscapesDataset(cityscapes, pipeline=LOAD),
        RawCityscapesDataset(both, pipeline=LOAD),
        strict=True,
    ):
        assert train["seg_map_path"].endswith("_gtFine_labelTrainIds.png")
        assert np.array_equal(raw["gt_seg_map"], train["gt_seg_map"])


@pytest.mark.parametrize("kind", ["gta5", "cityscapes"])
def test_loading_by_mmseg_itself_gives_the_same_labels(kind, request):
    root = request.getfixturevalue(kind)
    build = GTA5Dataset if kind == "gta5" else RawCityscapesDataset
    theirs = build(root, pipeline=[{"type": "mmseg.LoadAnnotations"}])
    for ours, sample in zip(build(root, pipeline=LOAD), theirs, strict=True):
        assert np.array_equal(ours["gt_seg_map"], sample["gt_seg_map"])


def test_a_subset_of_classes_ignores_the_others(gta5):
    whole = GTA5Dataset(gta5, pipeline=LOAD)[0]["gt_seg_map"]
    part = GTA5Dataset(gta5, pipeline=LOAD, metainfo={"classes": ("car", "road")})
    expected = np.full_like(whole, 255)
    expected[whole == CLASSES.index("car")] = 0
    expected[whole == CLASSES.index("road")] = 1
    assert np.array_equal(part[0]["gt_seg_map"], expected)
    assert [tuple(c) for c in part.metainfo["palette"]] == [(0, 0, 142), (128, 64, 128)]


def test_names_survive_any_path(tmp_path):
    """The domain comes from the data-set object, not from what its path looks like."""
    root = write_gta5(tmp_path / "cityscapes" / "val")
    assert GTA5Dataset(root, pipeline=LOAD)[0]["target"] == "gta5"
    assert GTA5Dataset(root, pipeline=LOAD, target="game")[0]["target"] == "game"


def test_several_domains_in_one_dataloader(gta5, cityscapes):
    pack = {"type": "mmseg.PackSegInputs", "meta_keys": ("img_path", "ori_shape", "target")}
    # As in a run, whatever scope earlier tests left behind.
    with DefaultScope.overwrite_default_scope("mmseg"):
        dataset = DATASETS.build(
            {
                "type": "MultiDomainDataset",
                "pipeline": [*LOAD, pack],
                "datasets": [
                    {"type": "GTA5Dataset", "data_root": str(gta5), "split": "val"},
                    {"type": "RawCityscapesDataset", "data_root": str(cityscapes), "split": "val"},
                ],
            }
        )
    loader = DataLoader(dataset, batch_size=None, num_workers=1)
    samples = [item["data_samples"] for item in loader]
    assert [s.target for s in samples] == ["gta5"] * 2 + ["cityscapes"] * 2
    assert samples[0].gt_sem_seg.data.shape == (1, 48, 64)
    assert dataset.metainfo["classes"] == CLASSES


def test_domains_combine_with_data_sets_of_mmseg(gta5, tmp_path):
    root = write_cityscapes(tmp_path, label_train_ids=True)
    plain = CityscapesDataset(
        data_root=str(root),
        data_prefix={"img_path": "leftImg8bit/val", "seg_map_path": "gtFine/val"},
        pipeline=[],
    )
    assert len(MultiDomainDataset([GTA5Dataset(gta5), plain])) == 6


def test_indices_and_late_initialisation(gta5):
    assert frames(GTA5Dataset(gta5, indices=[2, 0])) == [3, 1]
    late = GTA5Dataset(gta5, lazy_init=True, pipeline=LOAD, serialize_data=False)
    assert late[0]["gt_seg_map"].shape == (48, 64)
