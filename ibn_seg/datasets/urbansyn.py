"""UrbanSyn (Gomez et al., arXiv:2312.12176), read as it is downloaded."""

from collections.abc import Sequence
from pathlib import Path

from mmseg.registry import DATASETS

from ibn_seg.datasets.base import UrbanSceneDataset, files_by_key
from ibn_seg.datasets.raw_id_tables import URBANSYN_IDS
from ibn_seg.datasets.splits import is_held_out


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
