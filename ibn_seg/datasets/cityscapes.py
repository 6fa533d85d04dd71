"""Cityscapes (Cordts et al., CVPR 2016), read as it is downloaded."""

from pathlib import Path

from mmseg.registry import DATASETS

from ibn_seg.datasets.base import UrbanSceneDataset
from ibn_seg.datasets.card import DataCard, Part
from ibn_seg.datasets.labels import CITYSCAPES_RAW_IDS, TRAIN_IDS
from ibn_seg.datasets.pairing import list_files
from ibn_seg.errors import UserError

_IMAGE = "_leftImg8bit.png"
_TRAIN_IDS = "_gtFine_labelTrainIds.png"
_RAW_IDS = "_gtFine_labelIds.png"


@DATASETS.register_module()
class RawCityscapesDataset(UrbanSceneDataset):
    """Cityscapes' fine annotations as they come out of the two zip files.

    Images are `leftImg8bit/SPLIT/CITY/*_leftImg8bit.png`. Labels are
    `gtFine/SPLIT/CITY/*_gtFine_labelTrainIds.png` if csCreateTrainIdLabelImgs has made them,
    otherwise the download's `*_gtFine_labelIds.png`. A split uses one kind, never a mixture. A
    value that is in neither table is an error.

    Args:
        data_root: The folder that holds `leftImg8bit` and `gtFine`.
        split: 'train' (default) or 'val'. The labels of 'test' are not public.
        **kwargs: Arguments of `UrbanSceneDataset`; `target` defaults to 'cityscapes'.

    Raises:
        UserError: As `UrbanSceneDataset`.
    """

    TARGET = "cityscapes"
    ROOT_VARIABLE = "IBN_SEG_CITYSCAPES"
    SPLITS = ("train", "val")
    CARD = DataCard(
        title="Cityscapes",
        labels="raw ids, trainIds if made",
        quirks="never a mixture of both",
        classes="19",
        layouts="raw ids; trainIds beside them",
        protocols="`rein`",
        parts=(Part({"split": "train"}, 2975), Part({"split": "val"}, 500)),
        targets={"cityscapes": {"split": "val"}},
        size=(2048, 1024),
        # Published code reads archives of these names.
        archives=("leftImg8bit_trainvaltest.zip", "gtFine_trainvaltest.zip"),
        anchors=("leftImg8bit", "gtFine"),
        source="https://www.cityscapes-dataset.com",
        licence="register there and accept the licence (research, teaching and personal use)",
        citation="Cordts et al., The Cityscapes Dataset, CVPR 2016",
    )

    @property
    def image_folder(self) -> Path:
        """The folder of the split's images."""
        return Path(self.data_root) / "leftImg8bit" / self.split

    def list_images(self) -> dict[str, Path]:
        """Return the images by CITY/CITY_SEQUENCE_FRAME."""
        images = self._files("leftImg8bit", _IMAGE)
        if not images:
            raise UserError(
                f"RawCityscapesDataset: no CITY/*{_IMAGE} in {str(self.image_folder)!r}",
                "unpack leftImg8bit_trainvaltest.zip there (data/README.md)",
            )
        return images

    def list_labels(self) -> dict[str, Path]:
        """Return the labels by the same keys, trainIds if there are any, and choose the table."""
        train_ids = self._files("gtFine", _TRAIN_IDS)
        raw_ids = self._files("gtFine", _RAW_IDS)
        if train_ids and len(train_ids) < len(raw_ids):
            folder = Path(self.data_root) / "gtFine" / self.split
            raise UserError(
                f"RawCityscapesDataset: {str(folder)!r} has {len(train_ids)} *{_TRAIN_IDS} for "
                f"{len(raw_ids)} *{_RAW_IDS}",
                "finish csCreateTrainIdLabelImgs, or delete the labelTrainIds files: they are not "
                "needed",
            )
        self.table = TRAIN_IDS if train_ids else CITYSCAPES_RAW_IDS
        return train_ids or raw_ids

    def _files(self, kind: str, suffix: str) -> dict[str, Path]:
        folder = Path(self.data_root) / kind / self.split
        return {
            f"{spelled.parent.name}/{spelled.name.removesuffix(suffix)}": path
            for spelled, path in list_files(folder, f"*/*{suffix}", "RawCityscapesDataset")
        }
