"""The table of re-identification data sets. To add one, add a file beside this and a line here."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibn_seg.errors import unknown

if TYPE_CHECKING:
    from ibn_seg.reid.sets.picture_set import PictureSet

# File and class by name, in the order of tables.
PICTURE_SETS: Mapping[str, str] = {
    "market1501": "market1501:Market1501",
    "dukemtmc_reid": "dukemtmc_reid:DukeMTMCReID",
    "msmt17": "msmt17:MSMT17",
    "cuhk03_np": "cuhk03_np:CUHK03NP",
    "randperson": "randperson:RandPerson",
    "personx": "personx:PersonX",
    "unrealperson": "unrealperson:UnrealPerson",
    "clonedperson": "clonedperson:ClonedPerson",
    "veri776": "veri776:VeRi776",
    "cameras_source": "embedded_cameras:CamerasSource",
    "cameras_target": "embedded_cameras:CamerasTarget",
    "reid_folder": "named_folder:NamedFolder",
}


def picture_set_class(name: str) -> "type[PictureSet]":
    """Import the class of a data set.

    Raises:
        UserError: No data set has this name.
    """
    if name not in PICTURE_SETS:
        raise unknown("re-identification data set", name, PICTURE_SETS)
    module, _, kind = PICTURE_SETS[name].partition(":")
    return getattr(importlib.import_module(f"ibn_seg.reid.sets.{module}"), kind)


def picture_set(name: str, root: str | Path, **options: Any) -> "PictureSet":
    """Open a data set.

    Args:
        name: A key of `PICTURE_SETS`.
        root: Its folder.
        options: Choices of the data set, such as `boxes='labeled'`.

    Raises:
        UserError: There is no such data set, folder or option.
    """
    return picture_set_class(name)(root, **options)
