"""SYNTHIA-RAND-CITYSCAPES (Ros et al., CVPR 2016), read as it is downloaded."""

from collections.abc import Sequence
from pathlib import Path

from mmseg.registry import DATASETS

from ibn_seg.datasets.base import UrbanSceneDataset
from ibn_seg.datasets.card import DataCard, Part
from ibn_seg.datasets.labels import grouped_table
from ibn_seg.datasets.pairing import files_by_key
from ibn_seg.datasets.splits import read_split

# SYNTHIA-RAND-CITYSCAPES (Ros et al., CVPR 2016), as in the code of RobustNet and of DAFormer,
# which agree. Terrain (16), truck (18) and train (20) do not occur. Lane marking (22) is ignored.
SYNTHIA_IDS = grouped_table(
    "SYNTHIA id",
    {
        0: [3], 1: [4], 2: [2], 3: [21], 4: [5], 5: [7], 6: [15], 7: [9], 8: [6], 9: [16], 10: [1],
        11: [10], 12: [17], 13: [8], 14: [18], 15: [19], 16: [20], 17: [12], 18: [11],
    },
    23,
    encoding="first channel of 16 bits",
)  # fmt: skip


@DATASETS.register_module()
class SynthiaDataset(UrbanSceneDataset):
    """SYNTHIA frames `RGB/NNNNNNN.png` with 16-bit labels `GT/LABELS/NNNNNNN.png`.

    The first channel of the labels holds the class. Terrain, truck and train do not occur, so work
    with SYNTHIA scores 16 or 13 classes (`protocols`). Files may lie in subfolders, as RobustNet
    arranges them.

    Args:
        data_root: The folder that holds `RGB` and `GT`.
        split: 'all' (default, 9,400 frames), or RobustNet's random 'robustnet_train' (6,580) or
            'robustnet_val' (2,820).
        **kwargs: Arguments of `UrbanSceneDataset`; `target` defaults to 'synthia'.

    Raises:
        UserError: As `UrbanSceneDataset`.
    """

    TARGET = "synthia"
    ROOT_VARIABLE = "IBN_SEG_SYNTHIA"
    SPLITS = ("all", "robustnet_train", "robustnet_val")
    CARD = DataCard(
        title="SYNTHIA-RAND-CITYSCAPES",
        labels="16-bit PNGs, the class is the first channel",
        quirks="3 classes missing, lane marking ignored",
        classes="16",
        layouts="`RGB`, `GT/LABELS`",
        protocols="`synthia16`, `synthia13` (any target)",
        parts=(
            Part({"split": "all"}, 9400),
            Part({"split": "robustnet_train"}, 6580, default=False),
            Part({"split": "robustnet_val"}, 2820, default=False),
        ),
        targets={"synthia": {"split": "robustnet_val"}},
        size=(1280, 760),
        # The archive's name is only commonly stated.
        archives=("SYNTHIA_RAND_CITYSCAPES.rar (unpack it, then pack RGB and GT as zip or tar)",),
        anchors=("RGB", "GT"),
        source="https://synthia-dataset.net",
        licence="for non-commercial research; the page states the terms",
        citation="Ros et al., The SYNTHIA Dataset, CVPR 2016",
    )
    table = SYNTHIA_IDS

    @property
    def image_folder(self) -> Path:
        """The folder of the images."""
        return Path(self.data_root) / "RGB"

    def list_images(self) -> dict[str, Path]:
        """Return the frames by number."""
        return self._frames("RGB")

    def list_labels(self) -> dict[str, Path]:
        """Return the labels by number."""
        return self._frames("GT/LABELS")

    def select(self, keys: Sequence[str]) -> Sequence[str]:
        """Return the frames of the split."""
        if self.split == "all":
            return keys
        return [key for key in keys if self.split_of(key) == self.split]

    def split_of(self, key: str) -> str:
        """Return RobustNet's split of a frame."""
        held_out = int(key) in read_split("synthia_robustnet_val")
        return "robustnet_val" if held_out else "robustnet_train"

    def _frames(self, kind: str) -> dict[str, Path]:
        return files_by_key(
            Path(self.data_root) / kind,
            "**/*.png",
            lambda path: path.stem if path.stem.isdecimal() else None,
            "SynthiaDataset",
            "unpack SYNTHIA_RAND_CITYSCAPES there (data/README.md)",
            what="NNNNNNN.png",
        )
