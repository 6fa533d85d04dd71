"""Tiny copies of every download, written in its official layout and encoding, quirks included.

Each writer makes `COUNT` samples of random classes and returns the indices that a reader has to
find, by the image's path below the root. The ids of the formats are written out here, from the data
sets' documents, and not taken from the tables under test.
"""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from tests.datasets import own_class_writers as own
from tests.datasets.samples import IGNORED, Expected, encode, samples, write_jpeg
from tests.helpers import image_for, write_image, write_palette

# One id of each class, by trainId, and ids that are ignored.
SYNTHIA = ((3, 4, 2, 21, 5, 7, 15, 9, 6, 16, 1, 10, 17, 8, 18, 19, 20, 12, 11), (0, 13, 14, 22))
MAPILLARY_12 = (
    (13, 15, 17, 6, 3, 45, 48, 50, 30, 29, 27, 19, 20, 55, 61, 54, 58, 57, 52), (0, 12, 65),
)  # fmt: skip
MAPILLARY_20 = (
    (21, 24, 27, 12, 5, 85, 90, 100, 64, 63, 61, 30, 32, 108, 114, 107, 111, 110, 105), (0, 97),
)  # fmt: skip
WILDDASH = (
    (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33), (0, 9, 18, 36, 73),
)  # fmt: skip
# Cityscapes' raw id of each trainId, and ids that are ignored; 255 is KITTI's license plate.
KITTI = (WILDDASH[0], (0, 1, 9, 18, 30, 255))


def synthia(root: Path) -> Expected:
    """RGB/NNNNNNN.png; GT/LABELS of 16 bits: class, instance, nothing; GT/COLOR beside."""
    expected = {}
    for index, (rng, train_ids) in enumerate(samples(1)):
        name = f"{index:07}.png"
        write_image(root / "RGB" / name, image_for(train_ids, rng))
        label = np.zeros((*train_ids.shape, 3), np.uint16)
        label[..., 2] = encode(train_ids, SYNTHIA, rng)  # OpenCV writes blue first
        label[..., 1] = rng.integers(0, 977, train_ids.shape)
        path = root / "GT" / "LABELS" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), label)
        write_image(root / "GT" / "COLOR" / name, image_for(train_ids, rng))
        expected[f"RGB/{name}"] = train_ids
    return expected


def urbansyn(root: Path) -> Expected:
    """rgb/rgb_NNNN.png and ss/ss_NNNN.png, from 1; 19 is unlabelled; ss_colour beside."""
    expected = {}
    for index, (rng, train_ids) in zip((1, 2, 201), samples(2), strict=True):
        write_image(root / "rgb" / f"rgb_{index:04}.png", image_for(train_ids, rng))
        label = np.where(train_ids == IGNORED, 19, train_ids).astype(np.uint8)
        write_image(root / "ss" / f"ss_{index:04}.png", label)
        write_image(root / "ss_colour" / f"ss_colour_{index:04}.png", image_for(train_ids, rng))
        expected[f"rgb/rgb_{index:04}.png"] = train_ids
    return expected


def _bdd100k(root: Path, images: str, labels: str, suffix: str) -> Expected:
    expected = {}
    for index, (rng, train_ids) in enumerate(samples(3)):
        name = f"0004a4c0-d4dff0a{index}"
        write_jpeg(root / images / "val" / f"{name}.jpg", image_for(train_ids, rng))
        write_image(root / labels / "val" / f"{name}{suffix}", train_ids)
        expected[f"{images}/val/{name}.jpg"] = train_ids
    # Files without partner that older downloads have.
    write_jpeg(root / images / "val" / "80a9e37d-e4548ac1.jpg", image_for(train_ids, rng))
    write_image(root / labels / "val" / f"ff55861e-a06b953c{suffix}", train_ids)
    return expected


def bdd100k(root: Path) -> Expected:
    """The current release: images/10k and labels/sem_seg/masks."""
    return _bdd100k(root, "images/10k", "labels/sem_seg/masks", ".png")


def bdd100k_legacy(root: Path) -> Expected:
    """The older release: seg/images and seg/labels/*_train_id.png."""
    return _bdd100k(root, "seg/images", "seg/labels", "_train_id.png")


def _mapillary(root: Path, labels: dict[str, tuple]) -> Expected:
    expected = {}
    for index, (rng, train_ids) in enumerate(samples(4)):
        name = f"_{index}RbzZ4Xn"
        if index == 1:  # portrait
            train_ids = np.ascontiguousarray(train_ids.T)
        image = f"validation/images/{name}.jpg"
        write_jpeg(root / image, image_for(train_ids, rng))
        for folder, ids in labels.items():
            path = root / "validation" / folder / f"{name}.png"
            write_palette(path, encode(train_ids, ids, rng))
        expected[image] = train_ids
    return expected


def mapillary_12(root: Path) -> Expected:
    """The package of v1.2 alone: validation/labels."""
    return _mapillary(root, {"labels": MAPILLARY_12})


def mapillary_20(root: Path) -> Expected:
    """The package of v2.0, which holds the labels of both versions."""
    return _mapillary(root, {"v1.2/labels": MAPILLARY_12, "v2.0/labels": MAPILLARY_20})


def acdc(root: Path) -> Expected:
    """Four conditions with sequences, the normal-condition references beside."""
    expected = {}
    for number, condition in enumerate(("fog", "night", "rain", "snow")):
        for index, (rng, train_ids) in enumerate(samples(20 + number)):
            stem = f"{condition}/val/GOPR0{index // 2}475/GOPR0475_frame_{index:06}"
            write_image(root / "rgb_anon" / f"{stem}_rgb_anon.png", image_for(train_ids, rng))
            write_image(root / "gt" / f"{stem}_gt_labelTrainIds.png", train_ids)
            write_image(root / "gt" / f"{stem}_gt_labelIds.png", train_ids // 2)
            reference = f"{condition}/val_ref/GOPR0475/GOPR0475_frame_{index:06}_rgb_ref_anon.png"
            write_image(root / "rgb_anon" / reference, image_for(train_ids, rng))
            if condition == "fog":
                expected[f"rgb_anon/{stem}_rgb_anon.png"] = train_ids
    return expected


def dark_zurich(root: Path) -> Expected:
    """val/night/SEQUENCE, and training images without labels."""
    expected = {}
    for index, (rng, train_ids) in enumerate(samples(5)):
        stem = f"val/night/GOPR0356/GOPR0356_frame_{index:06}"
        write_image(root / "rgb_anon" / f"{stem}_rgb_anon.png", image_for(train_ids, rng))
        write_image(root / "gt" / f"{stem}_gt_labelTrainIds.png", train_ids)
        other = f"train/day/GOPR0345/GOPR0345_frame_{index:06}_rgb_anon.png"
        write_image(root / "rgb_anon" / other, image_for(train_ids, rng))
        expected[f"rgb_anon/{stem}_rgb_anon.png"] = train_ids
    return expected


def foggy_cityscapes(root: Path) -> Expected:
    """Three densities of each frame; the labels are Cityscapes' trainIds."""
    expected = {}
    for index, (rng, train_ids) in enumerate(samples(6)):
        stem = f"val/lindau/lindau_{index:06}_000019"
        for beta in ("0.005", "0.01", "0.02"):
            name = f"leftImg8bit_foggy/{stem}_leftImg8bit_foggy_beta_{beta}.png"
            write_image(root / name, image_for(train_ids, rng))
        write_image(root / "gtFine" / f"{stem}_gtFine_labelTrainIds.png", train_ids)
        expected[f"leftImg8bit_foggy/{stem}_leftImg8bit_foggy_beta_0.01.png"] = train_ids
    return expected


def idd(root: Path) -> Expected:
    """PNG and JPEG images; csTrainIds as the toolkit writes them, in either case."""
    expected = {}
    for index, (rng, train_ids) in enumerate(samples(7)):
        stem = f"val/{119 + index}/{index:06}"
        write, suffix = ((write_image, "png"), (write_jpeg, "jpg"))[index % 2]
        image = f"leftImg8bit/{stem}_leftImg8bit.{suffix}"
        write(root / image, image_for(train_ids, rng))
        kind = ("labelcsTrainIds", "labelCsTrainIds")[index % 2]
        write_image(root / "gtFine" / f"{stem}_gtFine_{kind}.png", train_ids)
        (root / "gtFine" / f"{stem}_gtFine_polygons.json").write_text("{}")
        expected[image] = train_ids
    return expected


def wilddash_labels(root: Path) -> Expected:
    """The older layout: labels of ids."""
    expected = {}
    for index, (rng, train_ids) in enumerate(samples(8)):
        name = f"aa0000_{index:05}"
        write_jpeg(root / "images" / f"{name}.jpg", image_for(train_ids, rng))
        write_image(root / "labels" / f"{name}.png", encode(train_ids, WILDDASH, rng))
        expected[f"images/{name}.jpg"] = train_ids
    return expected


def wilddash_panoptic(root: Path) -> Expected:
    """The current package: segment numbers as R + 256 G + 65536 B, and panoptic.json."""
    expected, annotations = {}, []
    for index, (rng, train_ids) in enumerate(samples(9)):
        name = f"aa0000_{index:05}"
        write_jpeg(root / "images" / f"{name}.jpg", image_for(train_ids, rng))
        ids = encode(train_ids, WILDDASH, rng)
        numbers = ids.astype(np.uint32) * 70_001 + 5
        picture = np.stack([numbers % 256, numbers // 256 % 256, numbers // 65536], axis=-1)
        write_image(root / "panoptic" / f"{name}.png", picture.astype(np.uint8))
        segments = [{"id": int(i) * 70_001 + 5, "category_id": int(i)} for i in np.unique(ids) if i]
        annotations.append({"file_name": f"{name}.png", "segments_info": segments})
        expected[f"images/{name}.jpg"] = train_ids
    (root / "panoptic.json").write_text(json.dumps({"annotations": annotations}))
    return expected


def any_train_ids(root: Path) -> Expected:
    """A data set of one's own."""
    expected = {}
    for index, (rng, train_ids) in enumerate(samples(10)):
        image = f"photos/day{index % 2}/{index}.jpg"
        write_jpeg(root / image, image_for(train_ids, rng))
        write_image(root / "masks" / f"day{index % 2}" / f"{index}_mask.png", train_ids)
        expected[image] = train_ids
    return expected


def kitti(root: Path) -> Expected:
    """training/image_2 and training/semantic, with the other folders of the archive."""
    expected = {}
    for index, (rng, train_ids) in enumerate(samples(15)):
        image = f"training/image_2/{index:06}_10.png"
        write_image(root / image, image_for(train_ids, rng))
        label = encode(train_ids, KITTI, rng)
        write_image(root / "training" / "semantic" / f"{index:06}_10.png", label)
        color = root / "training" / "semantic_rgb" / f"{index:06}_10.png"
        write_image(color, image_for(train_ids, rng))
        expected[image] = train_ids
    return expected


# Data set, arguments and writer, by a name for the test.
LAYOUTS: dict[str, tuple[str, dict, Callable[[Path], Expected]]] = {
    "synthia": ("SynthiaDataset", {}, synthia),
    "urbansyn": ("UrbanSynDataset", {}, urbansyn),
    "bdd100k": ("RawBDD100KDataset", {"split": "val"}, bdd100k),
    "bdd100k, older release": ("RawBDD100KDataset", {"split": "val"}, bdd100k_legacy),
    "mapillary v1.2, robustnet": ("MapillaryVistasDataset", {"mapping": "robustnet"}, mapillary_12),
    "mapillary v1.2, rein": ("MapillaryVistasDataset", {"mapping": "rein"}, mapillary_20),
    "mapillary v2.0": ("MapillaryVistasDataset", {"mapping": "v2.0"}, mapillary_20),
    "acdc fog": ("RawACDCDataset", {"condition": "fog"}, acdc),
    "dark zurich": ("RawDarkZurichDataset", {}, dark_zurich),
    "foggy cityscapes 0.01": ("RawFoggyCityscapesDataset", {"beta": 0.01}, foggy_cityscapes),
    "idd": ("IDDDataset", {}, idd),
    "wilddash, older layout": ("WildDash2Dataset", {}, wilddash_labels),
    "wilddash, panoptic": ("WildDash2Dataset", {}, wilddash_panoptic),
    "any": (
        "TrainIdDataset",
        {"images": "photos", "labels": "masks", "image_suffix": ".jpg",
         "label_suffix": "_mask.png"},
        any_train_ids,
    ),
    "camvid, SegNet's": ("CamVidDataset", {"split": "all"}, own.camvid_segnet),
    "camvid, original": ("CamVidDataset", {"split": "all"}, own.camvid_original),
    "camvid, fast.ai's": ("CamVidDataset", {"split": "all"}, own.camvid_fastai),
    "idd_lite": ("IDDLiteDataset", {}, own.idd_lite),
    "kitti": ("KITTIDataset", {}, kitti),
    "folder": (
        "FolderDataset",
        {"images": "photos", "labels": "masks", "label_suffix": "_mask.png",
         "classes": own.YARD_CLASSES},
        own.folder_of_values,
    ),
    "folder, colours": (
        "FolderDataset", {"encoding": "colors", "classes": own.YARD_CLASSES}, own.folder_of_colors,
    ),
}  # fmt: skip
