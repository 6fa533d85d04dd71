"""GTA5, "Playing for Data" (Richter et al., ECCV 2016), read as it is downloaded."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmseg.registry import DATASETS

from ibn_seg.datasets.base import UrbanSceneDataset, list_files
from ibn_seg.datasets.labels import GTA5_RAW_IDS
from ibn_seg.errors import UserError, unknown

# Image and label differ in size (15188, 17705), or the frame is one single colour: the frames that
# public loaders and RobustNet's lists leave out.
DEFECTIVE_FRAMES = frozenset(
    (15188, 17705, 12160, 12166, 12167, 12191, 12192, 12193, 12195, 19993, *range(12202, 12209))
)

_BLOCK = 50
_PARTS = 5
_SPLITS = ("train", "val", "all")


def is_held_out(frame: int) -> bool:
    """Whether a frame (numbered from 1) is in our held-out fifth.

    Neighbouring frames are nearly the same picture, so whole blocks of 50 are held out, every fifth
    of them: 201-250, 451-500, ...
    """
    return (frame - 1) // _BLOCK % _PARTS == _PARTS - 1


@DATASETS.register_module()
class GTA5Dataset(UrbanSceneDataset):
    """GTA5 frames `images/NNNNN.png` with palette PNGs `labels/NNNNN.png` of raw ids.

    The 19 classes are mapped by Cityscapes' table and every other id is ignored. The split is our
    own rule on the frame number, `is_held_out`. The frames in `DEFECTIVE_FRAMES` are left out.

    Args:
        data_root: The folder that holds `images` and `labels`.
        split: 'train', 'val' (the held-out fifth) or 'all'.
        every: Keep every k-th frame of the split, from its first. The IBN-Net paper trains on a
            quarter of the frames.
        **kwargs: Arguments of `UrbanSceneDataset`; `target` defaults to 'gta5'.

    Raises:
        UserError: As `UrbanSceneDataset`, or `split` or `every` is not allowed.
    """

    TARGET = "gta5"
    ROOT_VARIABLE = "IBN_SEG_GTA5"
    table = GTA5_RAW_IDS

    def __init__(
        self, data_root: str | os.PathLike, split: str = "train", every: int = 1, **kwargs: Any
    ) -> None:
        if split not in _SPLITS:
            raise unknown("split of GTA5Dataset", split, _SPLITS)
        if not isinstance(every, int) or every < 1:
            raise UserError(f"GTA5Dataset: every={every!r}", "allowed: whole numbers from 1")
        self.split = split
        self.every = every
        super().__init__(data_root, **kwargs)

    def list_images(self) -> dict[str, Path]:
        """Return the frames by number, without defective ones."""
        return self._frames("images")

    def list_labels(self) -> dict[str, Path]:
        """Return the labels by number, without defective ones."""
        return self._frames("labels")

    def select(self, keys: Sequence[str]) -> Sequence[str]:
        """Return every k-th frame of the split."""
        wanted = (False, True) if self.split == "all" else (self.split == "val",)
        chosen = [key for key in keys if is_held_out(int(key)) in wanted][:: self.every]
        if not chosen:
            raise UserError(
                f"GTA5Dataset: {str(self.data_root)!r} has no frame of split {self.split!r}",
                "frames 201-250, 451-500, ... are 'val' and all others 'train'",
            )
        return chosen

    def _frames(self, kind: str) -> dict[str, Path]:
        folder = Path(self.data_root) / kind
        files = list_files(folder, "*.png", "GTA5Dataset")
        # Converters of other code bases write NNNNN_labelTrainIds.png beside the originals.
        frames = {path.stem: path for path in files if path.stem.isdecimal()}
        if not frames:
            raise UserError(
                f"GTA5Dataset: no NNNNN.png in {str(folder)!r}",
                "unpack 01_images.zip ... 10_labels.zip there (data/README.md)",
            )
        return {key: path for key, path in frames.items() if int(key) not in DEFECTIVE_FRAMES}
