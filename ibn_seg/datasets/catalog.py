"""The data sets by name: classes, splits, official counts and sizes, archives and licences.

Counts and sizes are from the owners' pages, papers and tools where these could be seen. `sure` is
False where a number is only commonly stated. No archive was available when this was written. For
Cityscapes, GTA5, ACDC, Dark Zurich, UrbanSyn and WildDash 2, the archives' names are from published
code that reads them. For the others, the names are only commonly stated, as are all addresses and
terms. Names only appear in advice: the folders in an archive identify it.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ibn_seg.errors import unknown


@dataclass(frozen=True)
class Part:
    """One listing of a data set: the arguments of its class, and its expected number of samples.

    Attributes:
        arguments: The arguments of the class.
        count: The official number of samples, or None.
        sure: Whether a source for the number was seen.
        default: Whether it is checked by default; the other listings are other views of the same
            files.
        optional: Whether a download may lack its labels if it has other labels of the same split.
    """

    arguments: Mapping[str, Any]
    count: int | None = None
    sure: bool = True
    default: bool = True
    optional: bool = False

    @property
    def name(self) -> str:
        """The arguments' values."""
        return " ".join(str(value) for value in self.arguments.values()) or "all"


@dataclass(frozen=True)
class Entry:
    """One data set.

    Attributes:
        kind: Module in `ibn_seg.datasets` and class, as MODULE:CLASS.
        parts: Its splits and variants with public labels.
        size: Width and height of the pictures, or None if they differ or no source says.
        archives: The official archives, in the owners' names.
        anchors: The folders of the layout, below the root. Folders above them in an archive are
            dropped.
        keep: Patterns of single files that belong in the root.
        flat: The folder for files that an archive may hold without a folder, by pattern.
        source: Where to get it.
        licence: The terms that users have to accept there.
        citation: The paper.
        listed_ids: The highest value that label files are known to hold, if the class accepts any
            value (255 is always known).
    """

    kind: str
    parts: tuple[Part, ...]
    size: tuple[int, int] | None = None
    archives: tuple[str, ...] = ()
    anchors: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    flat: tuple[tuple[str, str], ...] = ()
    source: str = ""
    licence: str = ""
    citation: str = ""
    listed_ids: int | None = None

    def load(self) -> type:
        """Import the class; this loads mmseg."""
        module, _, name = self.kind.partition(":")
        return getattr(importlib.import_module(f"ibn_seg.datasets.{module}"), name)


def _splits(train: int, val: int, **more: bool) -> tuple[Part, ...]:
    return (Part({"split": "train"}, train, **more), Part({"split": "val"}, val, **more))


_CITYSCAPES = {
    "size": (2048, 1024),
    "source": "https://www.cityscapes-dataset.com",
    "licence": "register there and accept the licence (research, teaching and personal use)",
}
_LABELS_OF_FRAMES = "gtFine_trainvaltest.zip"

CATALOG: Mapping[str, Entry] = {
    "gta5": Entry(
        "gta5:GTA5Dataset",
        (
            Part({"split": "all"}, 24966),
            Part({"split": "official_train"}, 12403, default=False),
            Part({"split": "official_val"}, 6382, default=False),
            Part({"split": "official_test"}, 6181, default=False),
        ),
        # Most frames are 1914x1052 and some differ, so no size is expected.
        archives=tuple(f"{i:02}_{kind}.zip" for kind in ("images", "labels") for i in range(1, 11)),
        anchors=("images", "labels"),
        source="https://download.visinf.tu-darmstadt.de/data/from_games/",
        licence="for research and education; the page states the terms",
        citation="Richter et al., Playing for Data, ECCV 2016",
        listed_ids=34,
    ),
    "cityscapes": Entry(
        "cityscapes:RawCityscapesDataset",
        _splits(2975, 500),
        archives=("leftImg8bit_trainvaltest.zip", _LABELS_OF_FRAMES),
        anchors=("leftImg8bit", "gtFine"),
        citation="Cordts et al., The Cityscapes Dataset, CVPR 2016",
        **_CITYSCAPES,
    ),
    "foggy_cityscapes": Entry(
        "foggy_cityscapes:RawFoggyCityscapesDataset",
        tuple(
            Part({"beta": beta, "split": split}, count, sure=False)
            for beta in ("0.005", "0.01", "0.02")
            for split, count in (("train", 2975), ("val", 500))
        ),
        archives=("leftImg8bit_trainvaltest_foggy.zip", _LABELS_OF_FRAMES),
        anchors=("leftImg8bit_foggy", "gtFine"),
        citation="Sakaridis et al., Semantic Foggy Scene Understanding, IJCV 2018",
        **_CITYSCAPES,
    ),
    "synthia": Entry(
        "synthia:SynthiaDataset",
        (
            Part({"split": "all"}, 9400),
            Part({"split": "robustnet_train"}, 6580, default=False),
            Part({"split": "robustnet_val"}, 2820, default=False),
        ),
        size=(1280, 760),
        archives=("SYNTHIA_RAND_CITYSCAPES.rar (unpack it, then pack RGB and GT as zip or tar)",),
        anchors=("RGB", "GT"),
        source="https://synthia-dataset.net",
        licence="for non-commercial research; the page states the terms",
        citation="Ros et al., The SYNTHIA Dataset, CVPR 2016",
    ),
    "urbansyn": Entry(
        "urbansyn:UrbanSynDataset",
        (Part({}, 7539, sure=False),),
        size=(2048, 1024),
        archives=("rgb.zip", "ss.zip"),
        anchors=("rgb", "ss"),
        flat=(("rgb_*.png", "rgb"), ("ss_[0-9]*.png", "ss")),
        source="https://datasets.cvc.uab.es/urbansyn/ or the UrbanSyn page of Hugging Face",
        licence="CC BY-SA 4.0",
        citation="Gomez et al., All for One, and One for All: UrbanSyn, arXiv:2312.12176",
        listed_ids=19,
    ),
    "bdd100k": Entry(
        "bdd100k:RawBDD100KDataset",
        _splits(7000, 1000),
        size=(1280, 720),
        archives=("bdd100k_images_10k.zip", "bdd100k_sem_seg_labels_trainval.zip"),
        anchors=("images/10k", "labels/sem_seg", "seg"),
        source="https://bdd-data.berkeley.edu (`10K Images` and `Segmentation`, not `100K`)",
        licence="register there and accept the licence",
        citation="Yu et al., BDD100K, CVPR 2020",
    ),
    "mapillary": Entry(
        "mapillary:MapillaryVistasDataset",
        tuple(
            Part(
                {"split": split, "mapping": mapping},
                count,
                sure=False,
                default=mapping != "rein",
                optional=True,
            )
            for mapping in ("robustnet", "v2.0", "rein")
            for split, count in (("train", 18000), ("val", 2000))
        ),
        archives=("mapillary-vistas-dataset_public_v2.0.zip",),
        anchors=("training", "validation"),
        keep=("config*.json",),
        source="https://www.mapillary.com/dataset/vistas",
        licence="register there and accept the licence",
        citation="Neuhold et al., The Mapillary Vistas Dataset, ICCV 2017",
    ),
    "acdc": Entry(
        "acdc:RawACDCDataset",
        tuple(
            Part({"condition": condition, "split": split}, count, sure=False)
            for condition in ("fog", "night", "rain", "snow")
            for split, count in (("train", 400), ("val", 106 if condition == "night" else 100))
        ),
        size=(1920, 1080),
        archives=("rgb_anon_trainvaltest.zip", "gt_trainval.zip"),
        anchors=("rgb_anon", "gt"),
        source="https://acdc.vision.ee.ethz.ch",
        licence="register there and accept the licence",
        citation="Sakaridis et al., ACDC, ICCV 2021",
    ),
    "dark_zurich": Entry(
        "acdc:RawDarkZurichDataset",
        (Part({}, 50, sure=False),),
        size=(1920, 1080),
        archives=("Dark_Zurich_val_anon.zip",),
        anchors=("rgb_anon", "gt"),
        source="https://www.trace.ethz.ch/publications/2019/GCMA_UIoU/",
        licence="the page states the terms",
        citation="Sakaridis et al., Guided Curriculum Model Adaptation, ICCV 2019",
    ),
    "idd": Entry(
        "idd:IDDDataset",
        (Part({"split": "train"}, 6993, sure=False), Part({"split": "val"}, 981)),
        archives=("idd-segmentation.tar.gz",),
        anchors=("leftImg8bit", "gtFine"),
        source="https://idd.insaan.iiit.ac.in (IDD Segmentation, part I)",
        licence="register there and accept the licence; then make the label PNGs with its toolkit",
        citation="Varma et al., IDD, WACV 2019",
    ),
    "wilddash2": Entry(
        "wilddash:WildDash2Dataset",
        (Part({}, 4256, sure=False),),
        size=(1920, 1080),
        archives=("wd_public_02.zip",),
        anchors=("images", "labels", "panoptic"),
        keep=("panoptic.json",),
        source="https://wilddash.cc",
        licence="register there and accept the licence",
        citation="Zendel et al., Unifying Panoptic Segmentation for Autonomous Driving, CVPR 2022",
    ),
    "train_ids": Entry("train_ids:TrainIdDataset", (Part({}),)),
}


def entry_of(name: str) -> Entry:
    """Return a data set's entry.

    Raises:
        UserError: No data set has this name.
    """
    if name not in CATALOG:
        raise unknown("data set", name, CATALOG)
    return CATALOG[name]
