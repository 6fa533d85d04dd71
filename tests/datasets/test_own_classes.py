"""Data sets with classes of their own: CamVid's layouts and parts, folders, coarser reading."""

import shutil

import numpy as np
import pytest
from PIL import Image

import ibn_seg.plugins.mmseg  # noqa: F401 - registers the data sets
from ibn_seg.datasets.camvid import CamVidDataset
from ibn_seg.datasets.cityscapes import RawCityscapesDataset
from ibn_seg.datasets.folder import FolderDataset
from ibn_seg.datasets.formats import read_values
from ibn_seg.datasets.idd_lite import IDDLiteDataset
from ibn_seg.datasets.multi_domain import MultiDomainDataset
from ibn_seg.datasets.paired_trees import PairedTreesDataset
from ibn_seg.datasets.splits import camvid_frames
from ibn_seg.datasets.train_ids import TrainIdDataset
from ibn_seg.errors import UserError
from tests.datasets import own_class_writers as own
from tests.helpers import write_cityscapes, write_image

LOAD = [{"type": "LoadImageFromFile"}, {"type": "LoadUrbanLabels"}]
# By hand, from the classes of the two: sky is 6, building 5, pole 4, road 0, pavement 1, ...
CAMVID_TO_IDD_LITE = (6, 5, 4, 0, 1, 5, 4, 4, 3, 2, 2)


def labels_of(dataset):
    return [dataset[at]["gt_seg_map"] for at in range(len(dataset))]


def names_of(dataset):
    return [dataset.get_data_info(at)["img_path"].rpartition("/")[2] for at in range(len(dataset))]


def line_of(action) -> str:
    with pytest.raises(UserError) as caught:
        action()
    assert "\n" not in caught.value.line
    return caught.value.line


WRITERS = (own.camvid_segnet, own.camvid_original, own.camvid_fastai)


@pytest.mark.parametrize("write", WRITERS)
def test_splits_and_parts_of_camvid(write, tmp_path):
    write(tmp_path)
    dusk, val, test = (f"{name}.png" for name in own.CAMVID_FRAMES.values())
    for arguments, expected in (
        ({}, [dusk]), ({"split": "val"}, [val]), ({"split": "test"}, [test]),
        ({"split": "day_train"}, [test]), ({"split": "day_val"}, [val]),
        ({"split": "dusk_train"}, [dusk]),
        ({"split": "all"}, [dusk, val, test]), ({"split": "all", "part": "dusk"}, [dusk]),
        ({"split": "all", "part": "day"}, [val, test]),
    ):  # fmt: skip
        assert names_of(CamVidDataset(tmp_path, **arguments)) == expected, arguments
    assert CamVidDataset(tmp_path, "all", part="dusk").target == "camvid-dusk"
    assert CamVidDataset(tmp_path, "all", part="dusk", target="mine").target == "mine"
    assert "did you mean 'dusk'" in line_of(lambda: CamVidDataset(tmp_path, part="dus"))


def test_parts_of_camvid_by_the_list():
    """Numbers of the data's README, and the rule: the last quarter of each video is held out."""
    frames = camvid_frames()
    splits, parts = zip(*frames.values(), strict=True)
    assert [splits.count(one) for one in ("train", "val", "test")] == [367, 101, 233]
    numbers = {"day_train": 431, "day_val": 146, "dusk_train": 93, "dusk_val": 31}
    assert {part: parts.count(part) for part in set(parts)} == numbers
    for video in ("0001TP", "0006R0", "0016E5", "Seq05VD"):
        time = "dusk" if video == "0001TP" else "day"
        mine = [frames[name][1] for name in sorted(frames) if name.startswith(video)]
        held_out = mine.count(f"{time}_val")
        rest = len(mine) - held_out
        assert mine == [f"{time}_train"] * rest + [f"{time}_val"] * held_out
        assert abs(held_out - len(mine) / 4) <= 1


@pytest.mark.parametrize("first", WRITERS)
@pytest.mark.parametrize("second", WRITERS)
def test_two_layouts_of_camvid_in_one_folder_are_refused(first, second, tmp_path):
    first(tmp_path)
    if first is second:
        assert len(CamVidDataset(tmp_path, "all")) == 3
        return
    second(tmp_path)
    line = line_of(lambda: CamVidDataset(tmp_path, "all"))
    assert f"{str(tmp_path)!r} mixes " in line
    assert line.endswith("layout: keep one of them")


@pytest.mark.parametrize(
    ("write", "file", "change", "words"),
    [
        (own.camvid_fastai, "codes.txt", lambda t: t.replace("Wall", "Well"), "mean 'Wall'"),
        (own.camvid_fastai, "codes.txt", lambda t: t.replace("Wall\n", ""), "lacks Wall"),
        (own.camvid_fastai, "codes.txt", None,
         "codes.txt: no such list of CamVid's classes: get it, it belongs to this layout"),
        (own.camvid_original, "label_colors.txt", lambda t: t.replace("64 192 0", "64 0"),
         "not a list of colours: each line is RED GREEN BLUE NAME"),
        (own.camvid_original, "label_colors.txt", lambda t: t.replace("64 192 0", "64 300 0"),
         "not a list of colours"),
        (own.camvid_original, "label_colors.txt", lambda t: t.replace("64 192 0", "0 128 64"),
         "Bridge and Wall have the same colour [0, 128, 64]: give each a colour of its own"),
        (own.camvid_fastai, "codes.txt", lambda t: t + "Wall\n", "Wall stands in two lines"),
    ],
)  # fmt: skip
def test_faults_of_the_file_of_camvids_classes(write, file, change, words, tmp_path):
    def mend(path):
        if change is None:
            path.unlink()
        else:
            path.write_text(change(path.read_text()))

    write(tmp_path)
    mend(tmp_path / file)
    line = line_of(lambda: CamVidDataset(tmp_path, "all")[0])
    assert file in line
    assert words in line


@pytest.mark.parametrize("file", ["codes.txt", "label_colors.txt"])
def test_a_list_of_camvids_classes_may_begin_with_a_mark(file, tmp_path):
    write = own.camvid_fastai if file == "codes.txt" else own.camvid_original
    expected = write(tmp_path)
    (tmp_path / file).write_text((tmp_path / file).read_text(), encoding="utf-8-sig")
    for found, classes in zip(
        labels_of(CamVidDataset(tmp_path, "all", pipeline=LOAD)), expected.values(), strict=True
    ):
        assert np.array_equal(found, classes)


@pytest.mark.parametrize(
    "write", [own.camvid_segnet, own.camvid_original], ids=["SegNet's", "original"]
)
def test_a_split_of_which_nothing_is_there(write, tmp_path):
    write(tmp_path)
    for path in tmp_path.rglob("Seq05VD*"):
        path.rename(path.with_name(path.name.replace("Seq05VD", "Seq99")))
    line = line_of(lambda: CamVidDataset(tmp_path, "test"))
    assert line == (
        f"CamVidDataset: no image of split 'test' in {str(tmp_path)!r}: unpack what is missing, "
        "choose another part, or mend the exclude list"
    )
    assert len(CamVidDataset(tmp_path, "val")) == 1


@pytest.mark.parametrize("content", [b"", b"no picture"])
@pytest.mark.parametrize("encoding", ["index", "colors"])
def test_a_label_that_is_no_picture(content, encoding, tmp_path):
    own.folder_of_colors(tmp_path)
    (tmp_path / "labels" / "0.png").write_bytes(content)
    line = line_of(
        lambda: read_values(tmp_path / "labels" / "0.png", FolderDataset(
            tmp_path, own.YARD_CLASSES, encoding=encoding).table)
    )  # fmt: skip
    assert line == (
        f"{tmp_path / 'labels' / '0.png'}: cannot be read as a picture (it is empty or of another "
        "kind): make or download this file again"
    )


def test_a_colour_in_no_table_is_named_with_file_and_pixel(tmp_path):
    own.camvid_original(tmp_path)
    path = tmp_path / "LabeledApproved_full" / "0001TP_006690_L.png"
    label = np.array(Image.open(path))
    label[7, 30] = (64, 192, 1)  # one off the colour of walls
    write_image(path, label)
    dataset = CamVidDataset(tmp_path, pipeline=LOAD)
    line = line_of(lambda: dataset[0])
    assert line.startswith(f"{path}: the colour [64, 192, 1] at row 7, column 30 is in no table")


def test_a_grey_label_where_colours_are_expected(tmp_path):
    own.folder_of_colors(tmp_path)
    write_image(tmp_path / "labels" / "0.png", np.zeros((48, 64), np.uint8))
    dataset = FolderDataset(tmp_path, own.YARD_CLASSES, encoding="colors", pipeline=LOAD)
    assert "0.png: not a coloured label file, its pixels are of mode 'L'" in line_of(
        lambda: dataset[0]
    )


def test_a_value_outside_the_space_is_named(tmp_path):
    own.folder_of_values(tmp_path)
    dataset = FolderDataset(
        tmp_path, own.YARD_CLASSES, "photos", "masks", label_suffix="_mask.png", pipeline=LOAD
    )
    path = tmp_path / "masks" / "day0" / "0_mask.png"
    write_image(path, np.full((48, 64), 4, np.uint8))
    line = line_of(lambda: dataset[0])
    assert f"{path}: value 4 is not a label value of yard: allowed: 0, 3, 7..8 and 250" in line


def test_camvid_read_in_the_classes_of_idd_lite(tmp_path):
    expected = own.camvid_segnet(tmp_path)
    dataset = CamVidDataset(tmp_path, "all", read_as="idd_lite", pipeline=LOAD)
    assert dataset.metainfo["classes"] == IDDLiteDataset.METAINFO["classes"]
    table = np.array([*CAMVID_TO_IDD_LITE, *[255] * 245], np.uint8)
    for found, classes in zip(labels_of(dataset), expected.values(), strict=True):
        assert np.array_equal(found, table[classes])


def test_labels_read_in_classes_of_ones_own(tmp_path):
    """The source of the map is what the labels hold; a class without a group is ignored."""
    expected = own.idd_lite(tmp_path)
    groups = {"ground": ["drivable", "non-drivable"], "sky": ["sky"]}
    none = ["living things", "vehicles", "roadside objects", "far objects"]
    dataset = IDDLiteDataset(
        tmp_path, read_as=["sky", "ground"], read_map={"groups": groups, "none": none},
        pipeline=LOAD,
    )  # fmt: skip
    table = np.full(256, 255, np.uint8)
    table[[0, 1, 6]] = 1, 1, 0
    for found, classes in zip(labels_of(dataset), expected.values(), strict=True):
        assert np.array_equal(found, table[classes])
    # mmseg's own loader reads the same.
    assert dataset.get_data_info(0)["label_map"] == dict(enumerate(table.tolist()))


def test_faults_of_a_coarser_reading(tmp_path):
    own.idd_lite(tmp_path)
    assert "did you mean 'camvid'" in line_of(lambda: IDDLiteDataset(tmp_path, read_as="camvit"))
    line = line_of(lambda: IDDLiteDataset(tmp_path, read_as="camvid"))
    assert line.startswith("labels of 7 classes read as camvid (11 classes): it has 'drivable', ")
    assert line.endswith(": give a map by read_map=")
    assert IDDLiteDataset(tmp_path, read_as="idd_lite").metainfo == (
        IDDLiteDataset(tmp_path).metainfo
    )
    assert "read_map without read_as" in line_of(lambda: IDDLiteDataset(tmp_path, read_map={}))
    line = line_of(
        lambda: IDDLiteDataset(tmp_path, read_as=["a", "b"], read_map={"groups": {"a": ["sky"]}})
    )
    assert "read_map: drivable, non-drivable, living things, vehicles, roadside objects, " in line
    assert "without a group" in line


def test_a_subset_of_classes_by_metainfo(tmp_path):
    expected = own.idd_lite(tmp_path)
    dataset = IDDLiteDataset(tmp_path, metainfo={"classes": ("sky", "drivable")}, pipeline=LOAD)
    table = np.full(256, 255, np.uint8)
    table[[6, 0]] = 0, 1
    assert dataset.label_table.classes == 2
    for found, classes in zip(labels_of(dataset), expected.values(), strict=True):
        assert np.array_equal(found, table[classes])


@pytest.mark.parametrize(
    ("metainfo", "words"),
    [
        ({"palette": [[1, 2, 3]]}, "metainfo has 1 colours for 7 classes: give one colour per"),
        ({"classes": ("sky", "drivable"), "palette": [[1, 2, 3]] * 3}, "3 colours for 2 classes"),
        ({"palette": [[1, 2]] * 7}, "metainfo: palette has the color [1, 2]: write [red, green"),
        (
            {"palette": [[1, 2, 3]] * 7},
            "metainfo gives two classes the colour [1, 2, 3]: give",
        ),
        ({"palette": "citys"}, "metainfo has the palette 'citys': give a list of colours"),
        ({"classes": ("sky", "drivable", "sky")}, "metainfo names the class 'sky' twice"),
        ({"classes": ("sky", "drivabel")}, "did you mean 'drivable'"),
    ],
)
def test_faults_of_metainfo(metainfo, words, tmp_path):
    own.idd_lite(tmp_path)
    assert words in line_of(lambda: IDDLiteDataset(tmp_path, metainfo=metainfo))


def test_a_folder_by_list_and_by_file_of_classes(tmp_path):
    own.folder_of_colors(tmp_path)
    names = tmp_path / "train.txt"
    names.write_text("2.png\n# two of three\n0\r\n\n2\n", encoding="utf-8-sig")
    (tmp_path / "yard.yaml").write_text(
        "classes:\n"
        "  - {name: grass, color: [20, 200, 40]}\n"
        "  - {name: path, color: '#785a3c'}\n"
        "  - {name: wall, color: [9, 9, 200]}\n"
        "void_colors: [[0, 0, 0]]\n"
    )
    dataset = FolderDataset(
        tmp_path, str(tmp_path / "yard.yaml"), encoding="colors", names=names, target="yard",
        pipeline=LOAD,
    )  # fmt: skip
    assert names_of(dataset) == ["2.png", "0.png"]
    assert dataset.metainfo["classes"] == ("grass", "path", "wall")
    whole = FolderDataset(tmp_path, own.YARD_CLASSES, encoding="colors", pipeline=LOAD)
    first = labels_of(whole)[0]
    assert np.array_equal(labels_of(dataset)[1], first)
    assert set(np.unique(first)) == {0, 1, 2, 255}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"encoding": "color"}, "did you mean 'colors'"),
        ({"split": "val"}, "FolderDataset has no split 'val': leave split out"),
        ({"names": "none.txt"}, "none.txt: no such list of images: mend names="),
        ({"names": "images"}, "images: no list of images (Is a directory): mend names="),
        ({"names": "latin.txt"}, "latin.txt: no list of images in UTF-8: save it as UTF-8 text"),
        ({"exclude": "latin.txt"}, "latin.txt: no exclude list in UTF-8: save it as UTF-8 text"),
        ({"exclude": "all.txt"}, "FolderDataset: no image in "),
        ({"names": "empty.txt"}, "empty.txt: names no image: write one path per line"),
        ({"names": "odd.txt"}, "odd.txt: no image 'gone' and 1 more in "),
        ({"label_suffix": "_mask.png"}, "no **/*_mask.png in "),
        ({"images": "photos"},
         "photos' does not exist: say where they are by images=, labels= and image_suffix="),
        ({"classes": ["a"]}, "1 classes: name 2 to 255"),
        ({"images": 2024}, "images is 2024, which is no text: write '2024' in quotes"),
        ({"label_suffix": 1}, "label_suffix is 1, which is no text"),
        ({"names": 3}, "names is 3, which is no text"),
        ({"image_suffix": "png"}, "image_suffix 'png' has no dot: write '.png'"),
        ({"label_suffix": "_mask"}, "label_suffix '_mask' has no dot: write '_mask.png'"),
        ({"images": "other"}, "no picture in 'other' (1 .txt file lies there, such as 'a.txt')"),
        ({"label_suffix": "*.png"}, "label_suffix '*.png' is a pattern: write only how the names"),
    ],
)  # fmt: skip
def test_faults_of_a_folder(arguments, words, tmp_path, monkeypatch):
    own.folder_of_colors(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "latin.txt").write_bytes(b"stra\xdfe")
    (tmp_path / "all.txt").write_text(
        "".join(f"images/{at}.png\n" for at in range(3)), encoding="utf-8-sig"
    )
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.txt").touch()
    (tmp_path / "odd.txt").write_text("0\ngone\nlost\n")
    given = {"classes": own.YARD_CLASSES, "encoding": "colors", **arguments}
    assert words in line_of(lambda: FolderDataset(".", **given))


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        (FolderDataset, "say where they are by images=, labels= and label_suffix="),
        (TrainIdDataset,
         "say where the files are by images=, labels=, image_suffix= and label_suffix="),
    ],
)  # fmt: skip
def test_folders_of_any_classes_are_listed_by_one_code(kind, where, tmp_path):
    assert {"list_images", "list_labels", "image_folder", "_files"} <= vars(
        PairedTreesDataset
    ).keys()
    assert not {"image_folder", "_files"} & vars(kind).keys()
    own.folder_of_colors(tmp_path)
    line = line_of(lambda: kind(tmp_path, label_suffix="_mask.png"))
    labels = str(tmp_path / "labels")
    assert line == (
        f"{kind.__name__}: no **/*_mask.png in {labels!r} (3 .png files lie there, such as "
        f"'0.png'): {where}"
    )


@pytest.mark.parametrize("kind", [FolderDataset, TrainIdDataset])
@pytest.mark.parametrize(
    ("label", "arguments"),
    [
        ("{}_mask.png", {"images": ".", "labels": ".", "label_suffix": "_mask.png"}),
        ("{}_MASK.PNG", {"images": "", "labels": "./", "label_suffix": "_mask.png"}),
        ("masks/{}.png", {"images": ".", "labels": "masks"}),
    ],
)
def test_labels_beside_images_or_below_them(kind, label, arguments, tmp_path):
    classes = np.zeros((8, 8), np.uint8)
    for name in ("a", "b_mask_of"):
        write_image(tmp_path / f"{name}.png", np.zeros((8, 8, 3), np.uint8))
        write_image(tmp_path / label.format(name), classes)
    dataset = kind(tmp_path, **arguments)
    pairs = [
        (info["img_path"], info["seg_map_path"]) for info in map(dataset.get_data_info, (0, 1))
    ]
    assert len(dataset) == 2
    assert pairs == [
        (str(tmp_path / f"{name}.png"), str(tmp_path / label.format(name)))
        for name in ("a", "b_mask_of")
    ]


def test_an_image_and_its_copy_in_another_format_are_refused(tmp_path):
    own.folder_of_colors(tmp_path)
    shutil.copy(tmp_path / "images" / "0.png", tmp_path / "images" / "0.bmp")
    line = line_of(lambda: FolderDataset(tmp_path, own.YARD_CLASSES, encoding="colors"))
    assert "are both '0': keep one of them" in line


def test_data_sets_of_different_classes_are_evaluated_together(tmp_path):
    own.idd_lite(tmp_path / "idd")
    own.camvid_segnet(tmp_path / "camvid")
    write_cityscapes(tmp_path / "city")
    city = RawCityscapesDataset(tmp_path / "city", split="val")
    idd, camvid = IDDLiteDataset(tmp_path / "idd"), CamVidDataset(tmp_path / "camvid", "all")
    both = MultiDomainDataset([city, idd, camvid])
    assert both.metainfo["classes"] == city.metainfo["classes"]
    sizes = {name: len(classes) for name, classes in both.metainfo["domain_classes"].items()}
    assert sizes == {"cityscapes": 19, "idd_lite": 7, "camvid": 11}
    assert len(both) == len(city) + 3 + 3
    coarse = CamVidDataset(tmp_path / "camvid", "all", read_as="idd_lite")
    alike = MultiDomainDataset([idd, coarse])
    assert "domain_classes" not in alike.metainfo
