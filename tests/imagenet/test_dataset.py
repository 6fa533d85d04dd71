import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("mmengine")
pytest.importorskip("torchvision")

from torchvision import transforms

from ibn_seg.engine import SeededDataset
from ibn_seg.errors import UserError
from ibn_seg.imagenet.dataset import LabelledFolder, folder_to_test, split_folder
from tests.helpers import truncate
from tests.imagenet.shapes import CLASSES, draw, write_shapes


@pytest.fixture
def root(tmp_path):
    return write_shapes(tmp_path / "shapes", train=2, val=1, size=40)


def test_pixels_are_those_of_the_references_transforms(root):
    """Resize to 256/224 of the size, crop the centre; numbers follow the folders' names."""
    data = LabelledFolder(root / "val", 28)
    assert data.metainfo["classes"] == tuple(sorted(CLASSES))
    reference = transforms.Compose(
        [transforms.Resize(32), transforms.CenterCrop(28), transforms.ToTensor()]
    )
    for index, name in enumerate(sorted(CLASSES)):
        sample = data[index]
        assert sample["labels"] == index
        with Image.open(root / "val" / name / "000.png") as picture:
            assert torch.equal(sample["inputs"] / 255, reference(picture))


def test_augmentation_follows_the_seed_and_the_position_alone(root):
    data = SeededDataset(LabelledFolder(root / "train", 24, augment=True), seed=3)
    first = [data[position, 0]["inputs"] for position in range(6)]
    torch.rand(7)
    again = [data[position, 0]["inputs"] for position in range(6)]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({tuple(pixels.flatten().tolist()) for pixels in first}) == 6
    other = SeededDataset(data.dataset, seed=4)
    assert not torch.equal(other[0, 0]["inputs"], first[0])
    assert {tuple(pixels.shape) for pixels in first} == {(3, 24, 24)}


def test_grey_and_transparent_pictures_become_rgb(tmp_path):
    for mode, name in (("L", "a"), ("RGBA", "b"), ("P", "c"), ("CMYK", "d")):
        (tmp_path / name).mkdir()
        suffix = "jpg" if mode == "CMYK" else "png"
        Image.new(mode, (30, 20)).save(tmp_path / name / f"x.{suffix}")
    data = LabelledFolder(tmp_path, 16)
    assert [tuple(data[index]["inputs"].shape) for index in range(4)] == [(3, 16, 16)] * 4


def test_where_the_pictures_are(root):
    assert split_folder(root, "train") == root / "train"
    assert folder_to_test(root) == root / "val"
    assert folder_to_test(root / "val") == root / "val"
    with pytest.raises(UserError, match="no such folder"):
        folder_to_test(root / "test")
    (root / "val").rename(root / "validation")
    for find in (folder_to_test, lambda data: split_folder(data, "val")):
        with pytest.raises(UserError, match=r"shapes/val: no such folder: ImageNet's layout is"):
            find(root)


def test_folders_that_are_none_of_pictures(root):
    with pytest.raises(UserError, match=r"val/disc: has no class folders"):
        LabelledFolder(root / "val" / "disc")
    next((root / "val" / "disc").iterdir()).rename(root / "val" / "disc" / "notes.txt")
    with pytest.raises(UserError, match=r"val/disc: a class folder without pictures"):
        LabelledFolder(root / "val")


def test_damaged_pictures(root):
    path = truncate(root / "val" / "cross" / "000.png")
    data = LabelledFolder(root / "val", 28)
    with pytest.raises(UserError, match=r"cross/000.png: cannot be read as a picture \(.*trunc"):
        data[sorted(CLASSES).index("cross")]
    path.write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"cross/000.png: cannot be read as a picture"):
        data[sorted(CLASSES).index("cross")]


def test_the_shapes_have_no_colour_of_their_own():
    """Mean colours of figure and ground are the same for all classes, within what chance does."""
    for name in CLASSES:
        pictures = np.stack([draw(name, 24, np.random.default_rng((1, i))) for i in range(80)])
        # 80 pictures of a standard deviation of about 55 in each channel.
        assert abs(pictures.mean(axis=(0, 1, 2)) - 128).max() < 4 * 55 / 80**0.5, name
