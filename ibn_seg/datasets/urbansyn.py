"""UrbanSyn (Gomez et al., arXiv:2312.12176), read as it is downloaded."""

from collections.abc import Sequence
from pathlib import Path

from mmseg.registry import DATASETS

from ibn_seg.datasets.base import UrbanSceneDataset
from ibn_seg.datasets.card import DataCard, Part
from ibn_seg.datasets.labels import NUM_CLASSES, label_table
from ibn_seg.datasets.pairing import files_by_key
from ibn_seg.datasets.splits import is_held_out

# UrbanSyn (Gomez et al., arXiv:2312.12176): trainIds, and 19 for unlabelled, as in a public loader.
# The data card's table was not seen, so larger values are ignored too.
URBANSYN_IDS = label_table(
    "UrbanSyn id", "0..255", {i: i for i in range(NUM_CLASSES)}, others_ignored=True
)


@DATASETS.register_module()
class UrbanSynDataset(UrbanSceneDataset):
    """UrbanSyn frames `rgb/rgb_NNNN.png` with grey labels `ss/ss_NNNN.png` of trainIds.

    7,539 frames of 2048x1024 without an official split. The labels' 19, unlabelled, is ignored.

    Args:
        data_root: The folder that holds `rgb` and `ss`.
        split: 'all' (default), or our own 'train' and 'val' by `splits.is_held_out`.
        **kwargs: Arguments of `UrbanSceneDataset`; `target` defaults to 'urbansyn'.

    Raises:
        UserError: As `UrbanSceneDataset`.
    """

    TARGET = "urbansyn"
    ROOT_VARIABLE = "IBN_SEG_URBANSYN"
    SPLITS = ("all", "train", "val")
    CARD = DataCard(
        title="UrbanSyn",
        labels="trainIds, 19 is unlabelled",
        quirks="`rgb_NNNN` pairs with `ss_NNNN`; no official split",
        classes="19",
        layouts="`rgb`, `ss`",
        parts=(Part({}, 7539, sure=False),),
        targets={"urbansyn": {"split": "val"}},
        size=(2048, 1024),
        # Published code reads archives of these names.
        archives=("rgb.zip", "ss.zip"),
        anchors=("rgb", "ss"),
        flat=(("rgb_*.png", "rgb"), ("ss_[0-9]*.png", "ss")),
        source="https://datasets.cvc.uab.es/urbansyn/ or the UrbanSyn page of Hugging Face",
        licence="CC BY-SA 4.0",
        citation="Gomez et al., All for One, and One for All: UrbanSyn, arXiv:2312.12176",
        listed_ids=19,
    )
    table = URBANSYN_IDS

    def select(self, keys: Sequence[str]) -> Sequence[str]:
        """Return the frames of the split."""
        wanted = {"all": (False, True), "train": (False,), "val": (True,)}[self.split]
        return [key for key in keys if is_held_out(int(key)) in wanted]

    @property
    def image_folder(self) -> Path:
        """The folder of the images."""
        return Path(self.data_root) / "rgb"

    def list_images(self) -> dict[str, Path]:
        """Return the frames by number."""
        return self._frames("rgb")

    def list_labels(self) -> dict[str, Path]:
        """Return the labels by number."""
        return self._frames("ss")

    def _frames(self, kind: str) -> dict[str, Path]:
        return files_by_key(
            Path(self.data_root) / kind,
            f"{kind}_[0-9]*.png",
            lambda path: (
                number if (number := path.stem.removeprefix(f"{kind}_")).isdecimal() else None
            ),
            "UrbanSynDataset",
            "unpack rgb.zip and ss.zip there (data/README.md)",
        )
