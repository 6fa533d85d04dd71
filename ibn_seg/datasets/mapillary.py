"""Mapillary Vistas v1.2 and v2.0 (Neuhold et al., ICCV 2017), read as they are downloaded."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmseg.registry import DATASETS

from ibn_seg.datasets.base import UrbanSceneDataset, files_by_key
from ibn_seg.datasets.labels import LabelTable
from ibn_seg.datasets.listing import is_folder
from ibn_seg.datasets.raw_id_tables import MAPILLARY_12_REIN, MAPILLARY_12_ROBUSTNET, MAPILLARY_20
from ibn_seg.errors import UserError, unknown

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
