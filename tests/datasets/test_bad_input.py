"""Each fault of a data set is one clear line that names the file and says what to do."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader

import ibn_seg.transforms.loading  # noqa: F401
from ibn_seg.datasets.cityscapes import RawCityscapesDataset
from ibn_seg.datasets.gta5 import GTA5Dataset
from ibn_seg.datasets.idd import IDDDataset
from ibn_seg.datasets.idd_lite import IDDLiteDataset
from ibn_seg.datasets.multi_domain import MultiDomainDataset
from ibn_seg.errors import UserError
from tests.helpers import truncate, write_cityscapes, write_gta5, write_image

BLACK = np.zeros((4, 6, 3), np.uint8)
LOAD = [{"type": "LoadImageFromFile"}, {"type": "LoadUrbanLabels"}]


def line_of(action) -> str:
    """Return the one line of the UserError that `action` raises."""
    with pytest.raises(UserError) as caught:
        action()
    assert "\n" not in caught.value.line
    return caught.value.line


@pytest.mark.parametrize(
    ("build", "variable"),
    [(GTA5Dataset, "IBN_SEG_GTA5"), (RawCityscapesDataset, "IBN_SEG_CITYSCAPES")],
)
def test_missing_root(build, variable, tmp_path):
    line = line_of(lambda: build(tmp_path / "nowhere"))
    assert str(tmp_path / "nowhere") in line
    assert variable in line


@pytest.mark.parametrize("build", [GTA5Dataset, RawCityscapesDataset])
def test_root_without_the_layout(build, tmp_path):
    line = line_of(lambda: build(tmp_path))
    assert "does not exist" in line
    assert "data/README.md" in line


def test_empty_folders(tmp_path):
    for folder in ("images", "labels", "leftImg8bit/train", "gtFine/train"):
        (tmp_path / folder).mkdir(parents=True)
    assert "no NNNNN.png" in line_of(lambda: GTA5Dataset(tmp_path))
    assert "leftImg8bit_trainvaltest.zip" in line_of(lambda: RawCityscapesDataset(tmp_path))


def test_files_with_another_ending_are_named(tmp_path):
    """Both endings: the one that is wanted, and that of the files that lie there."""
    for name in ("a/1_image.png", "a/2_image.png", "b/3_image.png", "b/notes.txt"):
        write_image(tmp_path / "leftImg8bit" / "val" / Path(name).with_suffix(".png"), BLACK)
    (tmp_path / "gtFine" / "val").mkdir(parents=True)
    line = line_of(lambda: IDDLiteDataset(tmp_path))
    assert "no */*_image.jpg in" in line
    assert "(4 .png files lie there, such as 'a/1_image.png')" in line
    assert "unpack idd-lite.tar.gz there" in line
    line = line_of(lambda: IDDDataset(tmp_path))
    assert "no */*_leftimg8bit.png or .jpg in" in line
    assert "such as 'a/1_image.png'" in line


def test_a_folder_that_is_empty_has_no_such_remark(tmp_path):
    for place in ("leftImg8bit", "gtFine"):
        (tmp_path / place / "val" / "a").mkdir(parents=True)
    assert "lie there" not in line_of(lambda: IDDLiteDataset(tmp_path))


@pytest.mark.parametrize(("gone", "left"), [("images", "labels"), ("labels", "images")])
def test_gta5_without_partner(gone, left, tmp_path):
    root = write_gta5(tmp_path, range(1, 6), size=(8, 8))
    (root / gone / "00002.png").unlink()
    (root / gone / "00004.png").unlink()
    line = line_of(lambda: GTA5Dataset(root))
    assert f"{root / left / '00002.png'} and 1 more: {left[:-1]} without {gone[:-1]}" in line


@pytest.mark.parametrize(
    ("gone", "text"),
    [("_leftImg8bit.png", "label without image"), ("_labelIds.png", "image without label")],
)
def test_cityscapes_without_partner(gone, text, tmp_path):
    root = write_cityscapes(tmp_path, size=(8, 8))
    next(root.glob(f"*/val/frankfurt/*{gone}")).unlink()
    RawCityscapesDataset(root, split="train")
    line = line_of(lambda: RawCityscapesDataset(root, split="val"))
    assert "frankfurt_000000_000019" in line
    assert text in line


def test_unfinished_conversion_to_train_ids(tmp_path):
    root = write_cityscapes(tmp_path, size=(8, 8), label_train_ids=True)
    next(root.glob("gtFine/train/*/*_labelTrainIds.png")).unlink()
    line = line_of(lambda: RawCityscapesDataset(root))
    assert "has 3 *_gtFine_labelTrainIds.png for 4 *_gtFine_labelIds.png" in line


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("kind", ["images", "labels"])
def test_truncated_file(kind, keep, tmp_path, capfd):
    root = write_gta5(tmp_path, [1])
    path = truncate(root / kind / "00001.png", keep)
    dataset = GTA5Dataset(root, pipeline=LOAD)
    capfd.readouterr()
    line = line_of(lambda: dataset[0])
    assert str(path) in line
    assert "truncated or damaged" in line
    # The decoders' own remarks would come on top of the one line.
    assert capfd.readouterr() == ("", "")


def test_damaged_bytes(tmp_path):
    root = write_gta5(tmp_path, [1])
    path = root / "images" / "00001.png"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    assert str(path) in line_of(lambda: GTA5Dataset(root, pipeline=LOAD)[0])


def test_file_that_vanished(tmp_path):
    dataset = GTA5Dataset(write_gta5(tmp_path, [1]), pipeline=LOAD)
    (tmp_path / "labels" / "00001.png").unlink()
    line = line_of(lambda: dataset[0])
    assert "labels/00001.png: cannot be read (No such file" in line


def test_label_of_another_size(tmp_path):
    root = write_cityscapes(tmp_path, {"val": 1})
    path = next(root.glob("gtFine/val/*/*_labelIds.png"))
    write_image(path, np.zeros((47, 64), np.uint8))
    line = line_of(lambda: RawCityscapesDataset(root, split="val", pipeline=LOAD)[0])
    assert f"{path}: label of 64x47 pixels for an image of 64x48" in line


@pytest.mark.parametrize(
    ("train_ids", "value", "allowed"), [(False, 34, "0..33"), (True, 19, "0..18 and 255")]
)
def test_cityscapes_value_outside_the_table(train_ids, value, allowed, tmp_path):
    root = write_cityscapes(tmp_path, {"val": 1}, label_train_ids=train_ids)
    path = next(root.glob(f"gtFine/val/*/*{'TrainIds' if train_ids else 'labelIds'}.png"))
    ids = np.array(Image.open(path))
    ids[3, 5] = value
    write_image(path, ids)
    line = line_of(lambda: RawCityscapesDataset(root, split="val", pipeline=LOAD)[0])
    assert f"{path}: value {value} is not a" in line
    assert f"allowed: {allowed};" in line


def test_coloured_label(tmp_path):
    root = write_cityscapes(tmp_path, {"val": 1})
    path = next(root.glob("gtFine/val/*/*_labelIds.png"))
    write_image(path, np.zeros((48, 64, 3), np.uint8))
    line = line_of(lambda: RawCityscapesDataset(root, split="val", pipeline=LOAD)[0])
    assert f"{path}: not a label file, its pixels are of mode 'RGB'" in line


def test_the_line_survives_a_worker_process(tmp_path):
    root = write_gta5(tmp_path, [1])
    path = truncate(root / "labels" / "00001.png")
    loader = DataLoader(GTA5Dataset(root, pipeline=LOAD), batch_size=None, num_workers=1)
    samples = iter(loader)
    line = line_of(lambda: next(samples))
    # Left to the garbage collector, PyTorch's shutdown waits for five seconds.
    samples._shutdown_workers()
    assert line.startswith(f"{path}: truncated or damaged picture")


def test_arguments(tmp_path):
    root = write_gta5(tmp_path, [1], size=(8, 8))
    assert "did you mean 'train'?" in line_of(lambda: GTA5Dataset(root, split="trian"))
    assert "allowed: train, val" in line_of(lambda: RawCityscapesDataset(root, split="test"))
    assert "every=0" in line_of(lambda: GTA5Dataset(root, every=0))
    assert "no frame of split 'val'" in line_of(lambda: GTA5Dataset(root, split="val"))
    assert "cannot name a domain" in line_of(lambda: GTA5Dataset(root, target="targets"))
    twice = [GTA5Dataset(root), GTA5Dataset(root, split="all")]
    assert "2 data sets are named 'gta5'" in line_of(lambda: MultiDomainDataset(twice))
