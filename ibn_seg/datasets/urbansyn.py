"""UrbanSyn (Gomez et al., arXiv:2312.12176), read as it is downloaded."""

from pathlib import Path

from mmseg.registry import DATASETS

from ibn_seg.datasets.base import UrbanSceneDataset, files_by_key
from ibn_seg.datasets.tables import URBANSYN_IDS


@DATASETS.register_module()
class UrbanSynDataset(UrbanSceneDataset):
    """UrbanSyn frames `rgb/rgb_NNNN.png` with grey labels `ss/ss_NNNN.png` of trainIds.

    7,539 frames of 2048x1024 without a split. The labels' 19, unlabelled, is ignored.

    Args:
        data_root: The folder that holds `rgb` and `ss`.
        **kwargs: Arguments of `UrbanSceneDataset`; `target` defaults to 'urbansyn'.

    Raises:
        UserError: As `UrbanSceneDataset`.
    """

    TARGET = "urbansyn"
    ROOT_VARIABLE = "IBN_SEG_URBANSYN"
    table = URBANSYN_IDS

    def list_images(self) -> dict[str, Path]:
        """Return the frames by number."""
        return self._frames("rgb")

    def list_labels(self) -> dict[str, Path]:
        """Return the labels by number."""
        return self._frames("ss")

    def _frames(self, kind: str) -> dict[str, Path]:
        return files_by_key(
            Path(self.data_root) / kind,
            f"{kind}_*.png",
            lambda path: path.stem.removeprefix(f"{kind}_"),
            "UrbanSynDataset",
            "unpack rgb.zip and ss.zip there (data/README.md)",
        )
