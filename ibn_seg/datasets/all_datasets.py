"""The table of data sets. To add a data set, add a file beside this one and a line here.

The file defines the class with its `CARD`, see `ibn_seg.datasets.card.DataCard`. Commands, configs,
names of targets and the tables of data/README.md take everything else from there.
"""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ibn_seg.datasets.quiet_mmseg import load_mmseg
from ibn_seg.errors import unknown

if TYPE_CHECKING:
    from ibn_seg.datasets.base import UrbanSceneDataset

# File and class by name, in the order of tables. Reading this loads neither mmseg nor PyTorch.
DATA_SETS: Mapping[str, str] = {
    "gta5": "gta5:GTA5Dataset",
    "cityscapes": "cityscapes:RawCityscapesDataset",
    "foggy_cityscapes": "foggy_cityscapes:RawFoggyCityscapesDataset",
    "synthia": "synthia:SynthiaDataset",
    "urbansyn": "urbansyn:UrbanSynDataset",
    "bdd100k": "bdd100k:RawBDD100KDataset",
    "mapillary": "mapillary:MapillaryVistasDataset",
    "acdc": "acdc:RawACDCDataset",
    "dark_zurich": "acdc:RawDarkZurichDataset",
    "idd": "idd:IDDDataset",
    "wilddash2": "wilddash:WildDash2Dataset",
    "kitti": "kitti:KITTIDataset",
    "camvid": "camvid:CamVidDataset",
    "idd_lite": "idd_lite:IDDLiteDataset",
    "train_ids": "train_ids:TrainIdDataset",
    "folder": "folder:FolderDataset",
}


def dataset_class(name: str) -> "type[UrbanSceneDataset]":
    """Import the class of a data set; this loads mmseg.

    Raises:
        UserError: No data set has this name.
    """
    if name not in DATA_SETS:
        raise unknown("data set", name, DATA_SETS)
    load_mmseg()
    module, _, kind = DATA_SETS[name].partition(":")
    return getattr(importlib.import_module(f"ibn_seg.datasets.{module}"), kind)
