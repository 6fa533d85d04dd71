"""BDD100K's 10k images with semantic segmentation (Yu et al., CVPR 2020)."""

from pathlib import Path

from mmseg.registry import DATASETS

from ibn_seg.datasets.base import UrbanSceneDataset
from ibn_seg.datasets.card import DataCard, Part
from ibn_seg.datasets.labels import TRAIN_IDS
from ibn_seg.datasets.listing import is_folder
from ibn_seg.datasets.pairing import files_by_key
from ibn_seg.errors import UserError

# Images, labels and the labels' suffix in the current release and in the older one, whose zip holds
# the folder `seg`.
_LAYOUTS = (
    ("images/10k", "labels/sem_seg/masks", ".png"),
    ("seg/images", "seg/labels", "_train_id.png"),
    ("images", "labels", "_train_id.png"),
)


@DATASETS.register_module()
class RawBDD100KDataset(UrbanSceneDataset):
    """BDD100K's `10K Images` (1280x720 JPEG) with PNG masks of trainIds, in both releases' layouts.

    `images/10k/SPLIT/*.jpg` with `labels/sem_seg/masks/SPLIT/*.png`, or `seg/images/SPLIT/*.jpg`
    with `seg/labels/SPLIT/*_train_id.png`. Older downloads are known to have images and labels
    without a partner (bdd100k issue 103); these are left out.

    Args:
        data_root: The folder that holds `images` and `labels`, or `seg`.
        split: 'train' (default, 7,000) or 'val' (1,000). The labels of 'test' are not public.
        **kwargs: Arguments of `UrbanSceneDataset`; `target` defaults to 'bdd100k'.

    Raises:
        UserError: As `UrbanSceneDataset`.
    """

    TARGET = "bdd100k"
    ROOT_VARIABLE = "IBN_SEG_BDD100K"
    SPLITS = ("train", "val")
    CARD = DataCard(
        title="BDD100K, 10K images",
        labels="trainIds",
        quirks="files without partner in older downloads",
        classes="19",
        layouts="current and older release",
        protocols="`rein`",
        parts=(Part({"split": "train"}, 7000), Part({"split": "val"}, 1000)),
        targets={"bdd100k": {"split": "val"}},
        size=(1280, 720),
        # The archives' names are only commonly stated.
        archives=("bdd100k_images_10k.zip", "bdd100k_sem_seg_labels_trainval.zip"),
        anchors=("images/10k", "labels/sem_seg", "seg"),
        source="https://bdd-data.berkeley.edu (`10K Images` and `Segmentation`, not `100K`)",
        licence="register there and accept the licence",
        citation="Yu et al., BDD100K, CVPR 2020",
    )
    UNUSABLE = frozenset((
        "3d581db5-2564fb7e", "52e3fd10-c205dec2", "781756b0-61e0a182", "78ac84ba-07bd30c2",
        "80a9e37d-e4548ac1", "9342e334-33d167eb",  # images without labels, train and val
        "fee92217-63b3f87f", "ff1e4d6d-f4d85cfd", "ff3d3536-04986e25", "ff3da814-c3463a43",
        "ff55861e-a06b953c", "ff7b98c7-3cb964ac",  # labels without images, train and val
    ))  # fmt: skip
    table = TRAIN_IDS

    @property
    def image_folder(self) -> Path:
        """The folder of the split's images."""
        return Path(self.data_root) / self._layout()[0] / self.split

    def list_images(self) -> dict[str, Path]:
        """Return the images by name."""
        return files_by_key(
            self.image_folder,
            "*.jpg",
            lambda path: path.stem,
            "RawBDD100KDataset",
            "unpack `10K Images` there, not the 100K ones (data/README.md)",
        )

    def list_labels(self) -> dict[str, Path]:
        """Return the labels by the same names."""
        _, labels, suffix = self._layout()
        return files_by_key(
            Path(self.data_root) / labels / self.split,
            f"*{suffix}",
            lambda path: path.name.removesuffix(suffix),
            "RawBDD100KDataset",
            "unpack the segmentation labels there (data/README.md)",
        )

    def _layout(self) -> tuple[str, str, str]:
        for layout in _LAYOUTS:
            if is_folder(Path(self.data_root) / layout[0] / self.split):
                return layout
        places = " nor ".join(f"{images}/{self.split}" for images, _, _ in _LAYOUTS)
        raise UserError(
            f"RawBDD100KDataset: {str(self.data_root)!r} has neither {places}",
            "unpack `10K Images` and the segmentation labels there (data/README.md)",
        )
