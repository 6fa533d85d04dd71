"""Every data set is read as it is downloaded: layout, encoding and ids."""

import numpy as np
import pytest
from mmseg.datasets.mapillary import MapillaryDataset_v1, MapillaryDataset_v2
from mmseg.registry import DATASETS

import ibn_seg.plugins.mmseg  # noqa: F401 - registers the data sets
from ibn_seg.datasets import mapillary
from ibn_seg.datasets.gta5 import SINGLE_COLOUR, GTA5Dataset
from ibn_seg.datasets.labels import CLASSES
from ibn_seg.datasets.splits import read_split
from ibn_seg.errors import UserError
from tests.datasets.writers import LAYOUTS, synthia, wilddash_panoptic
from tests.helpers import truncate, write_gta5

PIPELINE = [{"type": "LoadImageFromFile"}, {"type": "LoadUrbanLabels"}]


def build(root, layout, **more):
    kind, arguments, _ = LAYOUTS[layout]
    return DATASETS.build(
        {"type": kind, "data_root": str(root), "pipeline": PIPELINE, **arguments, **more}
    )


def read(dataset, root):
    """Return the trainIds that a data set finds, by the image's path below the root."""
    samples = [dataset[index] for index in range(len(dataset))]
    for sample in samples:
        assert sample["img"].shape[:2] == sample["gt_seg_map"].shape
    return {sample["img_path"].removeprefix(f"{root}/"): sample["gt_seg_map"] for sample in samples}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_labels_are_the_train_ids_that_were_written(tmp_path, layout):
    expected = LAYOUTS[layout][2](tmp_path)
    dataset = build(tmp_path, layout)
    found = read(dataset, tmp_path)
    assert found.keys() == expected.keys()
    for name, train_ids in expected.items():
        assert np.array_equal(found[name], train_ids), name
        classes = len(dataset.metainfo["classes"])
        assert len(np.unique(train_ids)) > min(10, classes)  # all of few, and ignored pixels


@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_lie_below_the_folder_that_predictions_are_named_by(tmp_path, layout):
    LAYOUTS[layout][2](tmp_path)
    dataset = build(tmp_path, layout)
    folder = f"{dataset.image_folder}/"
    assert folder.startswith(f"{tmp_path}/")
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    assert all(info["img_path"].startswith(folder) for info in infos)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_root_that_is_empty_is_one_line_that_says_what_to_do(tmp_path, layout):
    with pytest.raises(UserError) as caught:
        build(tmp_path, layout)
    line = str(caught.value)
    assert str(tmp_path) in line
    assert "unpack" in line or "say where" in line or "make them" in line
    assert "\n" not in line


def test_domains_have_names_of_their_own(tmp_path):
    targets = set()
    for number, (layout, (_, _, write)) in enumerate(LAYOUTS.items()):
        write(tmp_path / str(number))
        targets.add(build(tmp_path / str(number), layout).target)
    assert {"acdc-fog", "foggy_cityscapes-0.01", "mapillary-rein", "mapillary-v2.0"} <= targets
    # Two layouts each of BDD100K and WildDash, three of CamVid.
    assert len(targets) == len(LAYOUTS) - 4


def test_official_splits_of_gta5():
    train, val, test = (read_split(f"gta5_{name}") for name in ("train", "val", "test"))
    assert (len(train), len(val), len(test)) == (12403, 6382, 6181)
    assert train | val | test == set(range(1, 24967))
    assert len(train) + len(val) + len(test) == 24966


def test_splits_of_gta5_by_name(tmp_path):
    frames = (1, 11, 22, 12160, 15188)  # train, test, val, single colour (train), sizes (train)
    write_gta5(tmp_path, frames)

    def chosen(**options):
        dataset = GTA5Dataset(tmp_path, pipeline=[], **options)
        return [int(dataset.get_data_info(i)["img_path"][-9:-4]) for i in range(len(dataset))]

    assert chosen(split="official_train") == [1]
    assert chosen(split="official_train", defective=True) == [1, 12160, 15188]
    assert chosen(split="robustnet_train", defective=True) == [1, 15188]
    assert chosen(split="official_val") == chosen(split="robustnet_val") == [22]
    assert chosen(split="official_test") == [11]
    assert len(read_split("gta5_train") - SINGLE_COLOUR) == 12388


def test_frames_may_lie_in_folders_below(tmp_path):
    """RobustNet puts GTA5's frames into a folder for each split."""
    write_gta5(tmp_path, (1, 22))
    before = read(GTA5Dataset(tmp_path, split="all", pipeline=PIPELINE), tmp_path)
    for kind in ("images", "labels"):
        for split, frame in (("train", 1), ("valid", 22)):
            folder = tmp_path / kind / split
            folder.mkdir()
            (tmp_path / kind / f"{frame:05}.png").rename(folder / f"{frame:05}.png")
    after = read(GTA5Dataset(tmp_path, split="all", pipeline=PIPELINE), tmp_path)
    assert sorted(after) == ["images/train/00001.png", "images/valid/00022.png"]
    for old, new in zip(sorted(before), sorted(after), strict=True):
        assert np.array_equal(before[old], after[new])


def test_robustnets_split_of_synthia(tmp_path):
    held_out = read_split("synthia_robustnet_val")
    assert len(held_out) == 2820
    assert held_out < set(range(9400))
    synthia(tmp_path)
    names = [
        read(build(tmp_path, "synthia", split=f"robustnet_{s}"), tmp_path) for s in ("train", "val")
    ]
    assert [sorted(name[-11:-4] for name in found) for found in names] == [
        ["0000001", "0000002"], ["0000000"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("table", "names", "words"),
    [
        (mapillary.MAPILLARY_12_ROBUSTNET, MapillaryDataset_v1, {}),
        (mapillary.MAPILLARY_12_REIN, MapillaryDataset_v1, {}),
        (mapillary.MAPILLARY_20, MapillaryDataset_v2, {}),
    ],
)
def test_mapillarys_tables_agree_with_the_names_of_its_classes(table, names, words):
    """The names are mmseg's; what each class must be called is told by words in them."""
    allowed = {
        "road": ("road", "lane marking", "manhole", "bike lane", "crosswalk", "parking",
                 "service lane"),
        "sidewalk": ("sidewalk", "curb", "pedestrian area"), "building": ("building", "garage"),
        "wall": ("wall",), "fence": ("fence",), "pole": ("pole", "street light"),
        "traffic light": ("traffic light",), "traffic sign": ("traffic sign",),
        "vegetation": ("vegetation",), "terrain": ("terrain",), "sky": ("sky",),
        "person": ("person",), "rider": ("cyclist", "rider"), "car": ("car",), "truck": ("truck",),
        "bus": ("bus",), "train": ("on rails",), "motorcycle": ("motorcycle",),
        "bicycle": ("bicycle",),
    }  # fmt: skip
    classes = names.METAINFO["classes"]
    assert table.known.sum() == len(classes)
    for value, name in enumerate(classes):
        train_id = table.train_ids[value]
        if train_id != 255:
            assert any(word in name.lower() for word in allowed[CLASSES[train_id]]), (value, name)
    assert set(range(19)) <= set(table.train_ids.tolist())


def test_the_two_mappings_of_mapillary_differ_in_eleven_ids():
    one, two = mapillary.MAPILLARY_12_ROBUSTNET.train_ids, mapillary.MAPILLARY_12_REIN.train_ids
    assert np.flatnonzero(one != two).tolist() == [7, 8, 9, 10, 11, 14, 23, 41, 44, 46, 49]


def test_idds_fallback_is_terrain_or_ignored(tmp_path):
    expected = LAYOUTS["idd"][2](tmp_path)
    found = read(build(tmp_path, "idd", fallback="ignore"), tmp_path)
    for name, train_ids in expected.items():
        assert np.array_equal(found[name], np.where(train_ids == 9, 255, train_ids))


@pytest.mark.parametrize(
    ("layout", "options", "words"),
    [
        ("mapillary v2.0", {"mapping": "robustnett"}, "did you mean 'robustnet'"),
        ("acdc fog", {"condition": "frog"}, "did you mean 'fog'"),
        ("foggy cityscapes 0.01", {"beta": 0.03}, "density of Foggy Cityscapes '0.03'"),
        ("idd", {"fallback": "road"}, "fallback of IDDDataset 'road'"),
        ("synthia", {"split": "val"}, "allowed: all, robustnet_train, robustnet_val"),
        ("bdd100k", {"split": "test"}, "allowed: train, val"),
    ],
)
def test_wrong_arguments(tmp_path, layout, options, words):
    LAYOUTS[layout][2](tmp_path)
    with pytest.raises(UserError, match=words):
        build(tmp_path, layout, **options)


def test_the_wrong_version_of_mapillarys_labels_is_not_taken(tmp_path):
    LAYOUTS["mapillary v1.2, robustnet"][2](tmp_path)
    with pytest.raises(UserError, match=r"v2\.0/labels' does not exist: unpack the package with"):
        build(tmp_path, "mapillary v2.0")


def test_labels_that_are_not_synthias(tmp_path):
    synthia(tmp_path)
    label = tmp_path / "GT" / "LABELS" / "0000000.png"
    label.write_bytes((tmp_path / "GT" / "COLOR" / "0000000.png").read_bytes())
    with pytest.raises(
        UserError, match=r"0000000.png: not a label file, it has 3 channels of uint8"
    ):
        build(tmp_path, "synthia")[0]
    truncate(label)
    with pytest.raises(UserError, match=r"0000000.png: truncated"):
        build(tmp_path, "synthia")[0]


def test_a_panoptic_file_that_is_not_one(tmp_path):
    wilddash_panoptic(tmp_path)
    (tmp_path / "panoptic.json").write_text('{"annotations": [{"file_name": "x.png"}]}')
    with pytest.raises(UserError, match=r"panoptic.json: not a panoptic annotation file"):
        build(tmp_path, "wilddash, panoptic")
    (tmp_path / "panoptic.json").write_text('{"annotations": []}')
    with pytest.raises(UserError, match=r"panoptic.json says nothing about 'aa0000_00000'"):
        build(tmp_path, "wilddash, panoptic")


def test_an_exclude_list_is_honoured(tmp_path):
    expected = list(synthia(tmp_path))
    (tmp_path / "ibn_seg_exclude.txt").write_text("# a line\nGT/LABELS/0000001.png  # why\n\n")
    assert list(read(build(tmp_path, "synthia"), tmp_path)) == [expected[0], expected[2]]
    mine = tmp_path / "mine.txt"
    mine.write_text("RGB/0000002.png\nRGB/0000000.png\n")
    assert list(read(build(tmp_path, "synthia", exclude=str(mine)), tmp_path)) == [expected[1]]
    (tmp_path / "RGB" / "0000002.png").unlink()
    mine.write_text("GT/LABELS/0000002.png\nRGB/0000000.png\n")
    assert list(read(build(tmp_path, "synthia", exclude=str(mine)), tmp_path)) == [expected[1]]
    with pytest.raises(UserError, match="no such exclude list"):
        build(tmp_path, "synthia", exclude=str(tmp_path / "gone.txt"))
