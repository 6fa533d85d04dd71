"""KITTI's semantic segmentation benchmark (Alhaija et al., IJCV 2018)."""

from pathlib import Path

from mmseg.registry import DATASETS

from ibn_seg.datasets.base import UrbanSceneDataset
from ibn_seg.datasets.card import DataCard, Part
from ibn_seg.datasets.labels import IGNORE_INDEX, LABELS, label_table
from ibn_seg.datasets.pairing import files_by_key

# The ids are those of Cityscapes. License plates have the id -1 there, which 8 bits hold as 255.
KITTI_IDS = label_table(
    "KITTI id",
    "0..33 and 255",
    {**{label.raw_id: label.train_id for label in LABELS}, IGNORE_INDEX: IGNORE_INDEX},
)


@DATASETS.register_module()
class KITTIDataset(UrbanSceneDataset):
    """The 200 labelled images: `training/image_2/*.png` with `training/semantic/*.png`.

    Most are 1242x375. Labels hold Cityscapes' raw ids. The labels of `testing` are not public.

    Args:
        data_root: The folder that holds `training`.
        **kwargs: Arguments of `UrbanSceneDataset`; `target` defaults to 'kitti'.

    Raises:
        UserError: As `UrbanSceneDataset`.
    """

    TARGET = "kitti"
    ROOT_VARIABLE = "IBN_SEG_KITTI"
    CARD = DataCard(
        title="KITTI, 200 semantic images",
        labels="raw ids of Cityscapes",
        quirks="sizes vary; no official split",
        classes="19",
        layouts="`training/image_2`, `training/semantic`",
        parts=(Part({}, 200),),
        targets={"kitti": {}},
        # The archive's name is only commonly stated.
        archives=("data_semantics.zip",),
        anchors=("training",),
        source="https://www.cvlibs.net/datasets/kitti/eval_semseg.php?benchmark=semantics2015",
        licence="CC BY-NC-SA 3.0",
        citation="Alhaija et al., Augmented Reality Meets Computer Vision, IJCV 2018",
    )
    table = KITTI_IDS

    @property
    def image_folder(self) -> Path:
        """The folder of the images."""
        return Path(self.data_root) / "training" / "image_2"

    def list_images(self) -> dict[str, Path]:
        """Return the images by number, such as '000000_10'."""
        return self._files("image_2")

    def list_labels(self) -> dict[str, Path]:
        """Return the labels by the same numbers."""
        return self._files("semantic")

    def _files(self, place: str) -> dict[str, Path]:
        return files_by_key(
            Path(self.data_root) / "training" / place,
            "*.png",
            lambda path: path.stem,
            "KITTIDataset",
            "unpack data_semantics.zip there (data/README.md)",
        )
