"""Files are found through links, in either case of their suffix, or it is said why not."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ibn_seg.datasets import listing
from ibn_seg.datasets.acdc import RawACDCDataset
from ibn_seg.datasets.bdd100k import RawBDD100KDataset
from ibn_seg.datasets.cityscapes import RawCityscapesDataset
from ibn_seg.datasets.gta5 import GTA5Dataset
from ibn_seg.datasets.idd import IDDDataset
from ibn_seg.datasets.synthia import SynthiaDataset
from ibn_seg.datasets.train_ids import TrainIdDataset
from ibn_seg.downloads.check import check
from ibn_seg.errors import UserError
from tests.datasets import writers
from tests.datasets.samples import COUNT
from tests.helpers import write_cityscapes, write_gta5

PATTERNS = ("**/*.png", "*/*", "*.png", "*/*_id.png", "**/*", "a/*.png", "**/a/*.png")
FOLDERS = st.lists(st.sampled_from(["a", "b", "a-b", ".h", "é x", "1.png"]), max_size=3)
FILES = st.sampled_from(["1.png", "[2].png", ".3.png", "x_id.png", "ü .png", "x.jpg", "x"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(FOLDERS, FILES), max_size=12))
def test_without_links_it_is_glob_but_for_folders(tmp_path_factory, files):
    root = tmp_path_factory.mktemp("tree")
    for folders, name in files:
        path = root.joinpath(*folders, name)
        if not any(parent.is_file() for parent in path.parents) and not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    for pattern in PATTERNS:
        expected = sorted(path for path in root.glob(pattern) if path.is_file())
        assert listing.find_files(root, pattern) == expected


def made(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def found(root, pattern="**/*.png"):
    return [path.relative_to(root).as_posix() for path in listing.find_files(root, pattern)]


def test_links_that_lead_back_end(tmp_path):
    root = made(tmp_path / "set/images", "a/1.png", "b/c/2.png")
    made(tmp_path / "disk", "3.png", "n/4.png")
    for link, target in {
        "a/up": "..", "a/here": ".", "set": tmp_path / "set", "all": tmp_path, "p": "../../disk",
        "q": "../../disk/n", "../../disk/back": root, "../../disk/n/up": "..", "b/sister": "../a",
        "a/sister": "../b",
    }.items():  # fmt: skip
        os.symlink(target, root / link)
    assert found(root) == [
        "a/1.png", "a/sister/c/2.png", "b/c/2.png", "b/sister/1.png", "p/3.png", "p/n/4.png",
        "q/4.png",
    ]  # fmt: skip


def test_the_folder_itself_may_be_a_link(tmp_path):
    made(tmp_path / "disk", "a/1.png")
    os.symlink(tmp_path / "disk", tmp_path / "images")
    os.symlink(tmp_path / "disk", tmp_path / "disk/again")
    assert found(tmp_path / "images") == ["a/1.png"]


def test_one_folder_under_two_names_is_listed_twice(tmp_path):
    # As one set of labels for two kinds of weather.
    made(tmp_path / "disk", "1.png")
    (tmp_path / "labels").mkdir()
    for name in ("fog", "rain"):
        os.symlink("../disk", tmp_path / "labels" / name)
    assert found(tmp_path / "labels") == ["fog/1.png", "rain/1.png"]


@pytest.mark.parametrize("target", ["nowhere", "part"])
def test_a_link_to_nowhere_is_named(target, tmp_path):
    root = made(tmp_path / "images", "1.png")
    os.symlink(target, root / "part")
    with pytest.raises(UserError, match="this link cannot be followed") as caught:
        found(root)
    assert str(root / "part") in caught.value.line


def test_a_file_that_is_a_link_to_nowhere_is_listed_and_named_by_its_reader(tmp_path):
    root = write_gta5(tmp_path, frames=(1, 2))
    (root / "images/00002.png").unlink()
    os.symlink("gone.png", root / "images/00002.png")
    dataset = GTA5Dataset(root)
    assert len(dataset) == 2
    with pytest.raises(UserError, match=r"00002.png: cannot be read \(No such file"):
        dataset[1]
    (finding,) = check("gta5", root, workers=1).findings
    assert (finding.kind, finding.files) == ("unreadable", ("images/00002.png",))


def test_links_that_editors_leave_do_not_count(tmp_path):
    root = made(tmp_path / "images", "1.png")
    os.symlink("user@host.12", root / ".#1.png")
    os.symlink("host:1", root / ".lock")
    assert found(root, "*/*") == []
    assert found(root) == [".#1.png", "1.png"]


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    root = write_gta5(tmp_path, frames=(1, 2))
    made(root, "images/closed/00003.png", "labels/closed/00003.png")
    scan = os.scandir

    def refuse(path):
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(listing.os, "scandir", refuse)
    with pytest.raises(UserError, match=r"images/closed: .* \(Permission denied\)"):
        len(GTA5Dataset(root))


def move(root, inner, disk):
    """Put a folder of a data set on another disk and link it."""
    target = disk / inner.replace("/", "-")
    target.parent.mkdir(parents=True, exist_ok=True)
    (root / inner).rename(target)
    os.symlink(target, root / inner)


def paths(dataset):
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    return [(info["img_path"], info["seg_map_path"]) for info in infos]


def acdc(root):
    writers.acdc(root)
    return lambda: RawACDCDataset(root, "fog")


def idd(root):
    writers.idd(root)
    return lambda: IDDDataset(root)


def cityscapes(root):
    write_cityscapes(root)
    return lambda: RawCityscapesDataset(root)


@pytest.mark.parametrize(("write", "kinds"), [
    (acdc, ("rgb_anon", "gt")), (idd, ("leftImg8bit", "gtFine")),
    (cityscapes, ("leftImg8bit", "gtFine")),
])  # fmt: skip
def test_linked_folders_give_the_same_data_set(write, kinds, tmp_path):
    build = write(tmp_path / "set")
    before = paths(build())
    for number, kind in enumerate(kinds):
        folders = sorted({Path(pair[number]).parent for pair in before})
        for folder in folders:
            move(tmp_path / "set", folder.relative_to(tmp_path / "set").as_posix(), tmp_path / kind)
    assert paths(build()) == before


def test_frames_of_linked_parts_are_in_the_data_set_and_in_the_check(tmp_path):
    write_gta5(tmp_path / "disk", frames=(1, 2, 3))
    root = write_gta5(tmp_path / "gta5", frames=(4, 5))
    for kind in ("images", "labels"):
        os.symlink(tmp_path / "disk" / kind, root / kind / "part1")
    dataset = GTA5Dataset(root, pipeline=[])
    assert [Path(image).name for image, _ in paths(dataset)] == [
        "00004.png", "00005.png", "00001.png", "00002.png", "00003.png",
    ]  # fmt: skip
    result = check("gta5", root, workers=1)
    assert (result.files, result.findings) == (10, [])
    # A linked half without its labels is said.
    (root / "labels/part1").unlink()
    with pytest.raises(UserError, match="and 2 more: image without label"):
        len(GTA5Dataset(root))
    assert check("gta5", root, workers=1).counts() == {"missing-label": 3}


def test_all_parts_may_be_links(tmp_path):
    writers.synthia(tmp_path / "disk")
    for kind in ("RGB", "GT/LABELS"):
        (tmp_path / "set" / kind).mkdir(parents=True)
        os.symlink(tmp_path / "disk" / kind, tmp_path / "set" / kind / "part")
    assert len(SynthiaDataset(tmp_path / "set")) == COUNT


def test_suffixes_fit_in_either_case(tmp_path):
    root = made(
        tmp_path, "images/a.jpg", "images/B.JPG", "images/c/d.Jpg", "labels/a.png", "labels/B.PNG",
        "labels/c/d.png",
    )  # fmt: skip
    dataset = TrainIdDataset(root, image_suffix=".jpg")
    assert [Path(image).name for image, _ in paths(dataset)] == ["B.JPG", "a.jpg", "d.Jpg"]
    # An original that is left beside its copy is not the data set's.
    made(root, "images/a.JPG")
    assert [Path(image).name for image, _ in paths(TrainIdDataset(root, image_suffix=".jpg"))] == [
        "B.JPG", "a.jpg", "d.Jpg",
    ]  # fmt: skip
    made(root, "images/B.JpG")
    with pytest.raises(UserError, match=r"B.JPG.*B.JpG.*are both 'B'|B.JpG.*B.JPG.*are both 'B'"):
        len(TrainIdDataset(root, image_suffix=".jpg"))


def test_upper_case_suffixes_of_downloads(tmp_path):
    writers.bdd100k(tmp_path)
    dataset = RawBDD100KDataset(tmp_path, split="val")
    before = [(image.replace(".jpg", ".JPG"), label) for image, label in paths(dataset)]
    for path in sorted((tmp_path / "images").rglob("*.jpg")):
        path.rename(path.with_suffix(".JPG"))
    assert paths(RawBDD100KDataset(tmp_path, split="val")) == before
