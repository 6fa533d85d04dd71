"""IDD, the India Driving Dataset (Varma et al., WACV 2019)."""

import os
from pathlib import Path
from typing import Any

from mmseg.registry import DATASETS

from ibn_seg.datasets.base import UrbanSceneDataset
from ibn_seg.datasets.card import DataCard, Part
from ibn_seg.datasets.labels import IGNORE_INDEX, NUM_CLASSES, label_table
from ibn_seg.datasets.pairing import files_by_key
from ibn_seg.errors import unknown

_IMAGE, _LABEL = "_leftimg8bit", "_gtfine_labelcstrainids"

# IDD (Varma et al., WACV 2019): trainIds as its toolkit makes them (`createLabels.py --id-type
# csTrainId`). IDD has no terrain; the toolkit gives its trainId to "non-drivable fallback". Some
# papers ignore that class instead.
IDD_TRAIN_IDS = label_table(
    "IDD csTrainId", "0..18 and 255", {**{i: i for i in range(NUM_CLASSES)}, 255: IGNORE_INDEX}
)
IDD_WITHOUT_FALLBACK = label_table(
    "IDD csTrainId",
    "0..18 and 255",
    {**{i: i for i in range(NUM_CLASSES)}, 9: IGNORE_INDEX, 255: IGNORE_INDEX},
)


@DATASETS.register_module()
class IDDDataset(UrbanSceneDataset):
    """IDD: `leftImg8bit/SPLIT/DRIVE/*_leftImg8bit.png` (or .jpg) with labels of csTrainIds.

    The label PNGs `gtFine/SPLIT/DRIVE/*_gtFine_labelcsTrainIds.png` are not in the download: IDD's
    toolkit makes them from the polygons, `createLabels.py --id-type csTrainId`.

    Args:
        data_root: The folder that holds `leftImg8bit` and `gtFine`.
        split: 'val' (default, 981) or 'train' (6,993 in part I). The labels of 'test' are not
            public.
        fallback: 'terrain' as the toolkit has it, or 'ignore', for non-drivable fallback; IDD has
            no terrain.
        **kwargs: Arguments of `UrbanSceneDataset`; `target` defaults to 'idd'.

    Raises:
        UserError: As `UrbanSceneDataset`, or `fallback` is not allowed.
    """

    TARGET = "idd"
    ROOT_VARIABLE = "IBN_SEG_IDD"
    SPLITS = ("val", "train")
    CARD = DataCard(
        title="IDD",
        labels="none: made by its toolkit (`csTrainId`)",
        quirks="no terrain (`fallback`), names in either case, JPEGs",
        classes="19, 18 with `fallback='ignore'`",
        layouts="after its toolkit",
        parts=(Part({"split": "train"}, 6993, sure=False), Part({"split": "val"}, 981)),
        targets={"idd": {"split": "val"}},
        # The archive's name is only commonly stated.
        archives=("idd-segmentation.tar.gz",),
        anchors=("leftImg8bit", "gtFine"),
        source="https://idd.insaan.iiit.ac.in (IDD Segmentation, part I)",
        licence="register there and accept the licence; then make the label PNGs with its toolkit",
        citation="Varma et al., IDD, WACV 2019",
    )

    def __init__(
        self,
        data_root: str | os.PathLike,
        split: str | None = None,
        *,
        fallback: str = "terrain",
        **kwargs: Any,
    ) -> None:
        tables = {"terrain": IDD_TRAIN_IDS, "ignore": IDD_WITHOUT_FALLBACK}
        if fallback not in tables:
            raise unknown("fallback of IDDDataset", fallback, tables)
        self.table = tables[fallback]
        super().__init__(data_root, split, **kwargs)

    @property
    def image_folder(self) -> Path:
        """The folder of the split's images."""
        return Path(self.data_root) / "leftImg8bit" / self.split

    def list_images(self) -> dict[str, Path]:
        """Return the images by DRIVE/ID."""
        return self._files("leftImg8bit", _IMAGE, "unpack IDD's images there (data/README.md)")

    def list_labels(self) -> dict[str, Path]:
        """Return the labels by the same keys."""
        return self._files(
            "gtFine",
            _LABEL,
            "make them from the polygons: createLabels.py --id-type csTrainId of IDD's toolkit",
        )

    def _files(self, place: str, suffix: str, missing: str) -> dict[str, Path]:
        def key(path: Path) -> str | None:
            # The toolkit and its documentation differ in upper and lower case.
            stem, kind = path.stem.lower(), path.suffix.lower()
            if not stem.endswith(suffix) or kind not in (".png", ".jpg"):
                return None
            return f"{path.parent.name}/{path.stem[: -len(suffix)]}"

        folder = Path(self.data_root) / place / self.split
        named = f"*/*{suffix}.png or .jpg"
        return files_by_key(folder, "*/*", key, "IDDDataset", missing, named)
