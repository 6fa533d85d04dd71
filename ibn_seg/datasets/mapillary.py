"""Mapillary Vistas v1.2 and v2.0 (Neuhold et al., ICCV 2017), read as they are downloaded."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mmseg.registry import DATASETS

from ibn_seg.datasets.base import UrbanSceneDataset
from ibn_seg.datasets.card import DataCard, Part
from ibn_seg.datasets.labels import LabelTable, grouped_table
from ibn_seg.datasets.listing import is_folder
from ibn_seg.datasets.pairing import files_by_key
from ibn_seg.errors import UserError, unknown

# Mapillary Vistas v1.2 (Neuhold et al., ICCV 2017), 66 ids. Two maps are in use and differ in 11
# ids, so a result has to name its map.
_MAPILLARY_12 = {
    0: [13, 24],  # road, lane marking - general
    1: [2, 15],  # curb, sidewalk
    2: [17],  # building
    3: [6],  # wall
    4: [3],  # fence
    5: [45, 47],  # pole, utility pole
    6: [48],  # traffic light
    7: [50],  # traffic sign (front)
    8: [30],  # vegetation
    9: [29],  # terrain
    10: [27],  # sky
    11: [19],  # person
    12: [20, 21, 22],  # bicyclist, motorcyclist, other rider
    13: [55],  # car
    14: [61],  # truck
    15: [54],  # bus
    16: [58],  # on rails
    17: [57],  # motorcycle
    18: [52],  # bicycle
}


def _extended(
    classes: Mapping[int, Iterable[int]], more: Mapping[int, Iterable[int]]
) -> dict[int, list[int]]:
    return {train_id: [*ids, *more.get(train_id, ())] for train_id, ids in classes.items()}


# RobustNet's and HRDA's map: with manhole (41) as road.
MAPILLARY_12_ROBUSTNET = grouped_table("Mapillary v1.2 id", _extended(_MAPILLARY_12, {0: [41]}), 66)
# Rein's map, by the names of openseg.pytorch. Road includes bike lane (7), plain crosswalk (8),
# parking (10), service lane (14) and crosswalk marking (23). Sidewalk includes curb cut (9) and
# pedestrian area (11). Pole includes street light (44). Traffic sign includes sign frame (46) and
# sign back (49).
MAPILLARY_12_REIN = grouped_table(
    "Mapillary v1.2 id",
    _extended(_MAPILLARY_12, {0: [7, 8, 10, 14, 23], 1: [9, 11], 5: [44], 7: [46, 49]}),
    66,
)

# Mapillary Vistas v2.0, 124 ids. We know of no published map to the 19 classes, so this one is
# ours. Classes that kept their names follow RobustNet's map. Where v2.0 divides a class of v1.2,
# the parts get that class. Roadside strips, medians, driveways and groups of vehicles are ignored.
MAPILLARY_20 = grouped_table(
    "Mapillary v2.0 id",
    {
        0: [21, *range(35, 45), *range(46, 56), 57, 58, 74],  # road, markings, manhole
        1: [4, 24],  # curb, sidewalk
        2: [27, 28],  # building, garage
        3: [12],  # wall
        4: [5],  # fence
        5: [85, 88],  # pole, utility pole
        6: [*range(90, 96)],  # traffic lights
        7: [99, 100, 101, 103],  # traffic signs that show their front
        8: [64],  # vegetation
        9: [63],  # terrain
        10: [61],  # sky
        11: [30, 31],  # person, person group
        12: [32, 33, 34],  # bicyclist, motorcyclist, other rider
        13: [108],  # car
        14: [114],  # truck
        15: [107],  # bus
        16: [111],  # on rails
        17: [110],  # motorcycle
        18: [105],  # bicycle
    },
    124,
)

_FOLDERS = {"val": "validation", "train": "training"}
# Version of the labels and their table, by the name of the mapping to 19 classes.
MAPPINGS: Mapping[str, tuple[str, LabelTable]] = {
    "robustnet": ("v1.2", MAPILLARY_12_ROBUSTNET),
    "rein": ("v1.2", MAPILLARY_12_REIN),
    "v2.0": ("v2.0", MAPILLARY_20),
}


@DATASETS.register_module()
class MapillaryVistasDataset(UrbanSceneDataset):
    """Mapillary Vistas: `validation/images/*.jpg` with palette PNGs, under 19 classes.

    Labels are in `SPLIT/v1.2/labels` and `SPLIT/v2.0/labels`. In the package with only v1.2 they
    are in `SPLIT/labels`. The ids of the two versions differ. Two maps from v1.2 to the 19 classes
    are in use and differ in 11 ids. So the mapping's name is part of the domain's name.

    Args:
        data_root: The folder that holds `training` and `validation`.
        split: 'val' (default, 2,000) or 'train' (18,000). The labels of 'testing' are not public.
        mapping: 'robustnet' (also HRDA's) or 'rein', for v1.2; 'v2.0' (ours).
        **kwargs: Arguments of `UrbanSceneDataset`; `target` defaults to 'mapillary-MAPPING'.

    Raises:
        UserError: As `UrbanSceneDataset`; or `mapping` is not allowed, or its version's labels are
            missing.
    """

    TARGET = "mapillary"
    ROOT_VARIABLE = "IBN_SEG_MAPILLARY"
    SPLITS = tuple(_FOLDERS)
    CARD = DataCard(
        title="Mapillary Vistas",
        labels="palette PNGs, v1.2 and v2.0",
        quirks="two maps of v1.2 in use (`mapping='robustnet'`, `'rein'`), ours of v2.0 (`'v2.0'`);"
        " sizes and orientations vary",
        classes="19",
        layouts="v1.2 alone; v2.0 with both",
        protocols="`robustnet`, `rein`",
        parts=tuple(
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
        targets={f"mapillary-{mapping}": {"mapping": mapping} for mapping in MAPPINGS},
        # The archive's name is only commonly stated.
        archives=("mapillary-vistas-dataset_public_v2.0.zip",),
        anchors=("training", "validation"),
        keep=("config*.json",),
        source="https://www.mapillary.com/dataset/vistas",
        licence="register there and accept the licence",
        citation="Neuhold et al., The Mapillary Vistas Dataset, ICCV 2017",
    )

    def __init__(
        self,
        data_root: str | os.PathLike,
        split: str | None = None,
        *,
        mapping: str = "robustnet",
        **kwargs: Any,
    ) -> None:
        if mapping not in MAPPINGS:
            raise unknown("mapping of Mapillary Vistas", mapping, MAPPINGS)
        self.version, self.table = MAPPINGS[mapping]
        super().__init__(
            data_root, split, target=kwargs.pop("target", None) or f"mapillary-{mapping}", **kwargs
        )

    @property
    def image_folder(self) -> Path:
        """The folder of the images."""
        return self._folder / "images"

    def list_images(self) -> dict[str, Path]:
        """Return the images by name."""
        return self._files(self.image_folder, "*.jpg")

    def list_labels(self) -> dict[str, Path]:
        """Return the labels of the mapping's version by the same names."""
        folder = self._folder / self.version / "labels"
        if not is_folder(folder):
            plain = self._folder / "labels"
            if self.version != "v1.2" or not is_folder(plain):
                raise UserError(
                    f"MapillaryVistasDataset: folder {str(folder)!r} does not exist",
                    f"unpack the package with labels of {self.version} (data/README.md)",
                )
            folder = plain
        return self._files(folder, "*.png")

    @property
    def _folder(self) -> Path:
        return Path(self.data_root) / _FOLDERS[self.split]

    def _files(self, folder: Path, pattern: str) -> dict[str, Path]:
        return files_by_key(
            folder,
            pattern,
            lambda path: path.stem,
            "MapillaryVistasDataset",
            "unpack Mapillary Vistas there (data/README.md)",
        )
