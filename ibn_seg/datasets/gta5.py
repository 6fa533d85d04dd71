"""GTA5, "Playing for Data" (Richter et al., ECCV 2016), read as it is downloaded."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmseg.registry import DATASETS

from ibn_seg.datasets.base import UrbanSceneDataset
from ibn_seg.datasets.card import DataCard, Part
from ibn_seg.datasets.labels import GTA5_RAW_IDS
from ibn_seg.datasets.pairing import files_by_key
from ibn_seg.datasets.splits import is_held_out, read_split
from ibn_seg.errors import UserError

# Frames of a single colour, which RobustNet's lists leave out.
SINGLE_COLOUR = frozenset(
    (12160, 12166, 12167, 12191, 12192, 12193, 12195, 19993, *range(12202, 12209))
)
# These, and the frames where image and label differ in size, according to public loaders.
DEFECTIVE_FRAMES = SINGLE_COLOUR | {15188, 17705}


def _listed(name: str, without: frozenset[int] = frozenset()) -> Callable[[], Callable]:
    return lambda: (read_split(name) - without).__contains__


# For every split: a function that returns the test of whether a frame is in it.
_SPLITS: Mapping[str, Callable[[], Callable[[int], bool]]] = {
    "train": lambda: lambda frame: not is_held_out(frame),
    "val": lambda: is_held_out,
    "all": lambda: lambda frame: True,
    "official_train": _listed("gta5_train"),
    "official_val": _listed("gta5_val"),
    "official_test": _listed("gta5_test"),
    "robustnet_train": _listed("gta5_train", SINGLE_COLOUR),
    "robustnet_val": _listed("gta5_val"),
    "robustnet_test": _listed("gta5_test"),
}

_OFFICIAL = ("train", "val", "test")


@DATASETS.register_module()
class GTA5Dataset(UrbanSceneDataset):
    """GTA5 frames `images/NNNNN.png` with palette PNGs `labels/NNNNN.png` of raw ids.

    The 19 classes are mapped by Cityscapes' table and every other id is ignored. Files may lie in
    folders below `images` and `labels`, as RobustNet arranges them.

    Args:
        data_root: The folder that holds `images` and `labels`.
        split: 'train' (default), 'val' (our held-out fifth, `is_held_out`) or 'all';
            'official_train', 'official_val' or 'official_test' (12,403, 6,382 and 6,181 frames);
            'robustnet_train', 'robustnet_val' or 'robustnet_test' (12,388, 6,382 and 6,181).
        every: Keep every k-th frame of the split, from its first. The IBN-Net paper trains on a
            quarter of the frames.
        defective: Keep the frames in `DEFECTIVE_FRAMES`, to reproduce published work that did.
        **kwargs: Arguments of `UrbanSceneDataset`; `target` defaults to 'gta5'.

    Raises:
        UserError: As `UrbanSceneDataset`, or `every` is not allowed.
    """

    TARGET = "gta5"
    ROOT_VARIABLE = "IBN_SEG_GTA5"
    SPLITS = tuple(_SPLITS)
    CARD = DataCard(
        title="GTA5",
        labels="palette PNGs of raw ids",
        quirks="single-colour frames, sizes that differ, three kinds of splits",
        classes="19",
        layouts="`images`, `labels`; RobustNet's folders below",
        protocols="`ibn_paper`",
        parts=(
            Part({"split": "all"}, 24966),
            Part({"split": "official_train"}, 12403, default=False),
            Part({"split": "official_val"}, 6382, default=False),
            Part({"split": "official_test"}, 6181, default=False),
        ),
        targets={"gta5": {"split": "val"}},
        # Most frames are 1914x1052 and some differ, so no size is expected. Published code reads
        # archives of these names.
        archives=tuple(f"{i:02}_{kind}.zip" for kind in ("images", "labels") for i in range(1, 11)),
        anchors=("images", "labels"),
        source="https://download.visinf.tu-darmstadt.de/data/from_games/",
        licence="for research and education; the page states the terms",
        citation="Richter et al., Playing for Data, ECCV 2016",
        listed_ids=34,
    )
    UNUSABLE = frozenset(f"{frame:05}" for frame in DEFECTIVE_FRAMES)
    table = GTA5_RAW_IDS

    def __init__(
        self,
        data_root: str | os.PathLike,
        split: str | None = None,
        *,
        every: int = 1,
        defective: bool = False,
        **kwargs: Any,
    ) -> None:
        if not isinstance(every, int) or every < 1:
            raise UserError(f"GTA5Dataset: every={every!r}", "allowed: whole numbers from 1")
        self.every = every
        if defective:
            self.UNUSABLE = frozenset()
        super().__init__(data_root, split, **kwargs)

    @property
    def image_folder(self) -> Path:
        """The folder of the images."""
        return Path(self.data_root) / "images"

    def list_images(self) -> dict[str, Path]:
        """Return the frames by number."""
        return self._frames("images")

    def list_labels(self) -> dict[str, Path]:
        """Return the labels by number."""
        return self._frames("labels")

    def select(self, keys: Sequence[str]) -> Sequence[str]:
        """Return every k-th frame of the split."""
        wanted = _SPLITS[self.split]()
        chosen = [key for key in keys if wanted(int(key))][:: self.every]
        if not chosen:
            raise UserError(
                f"GTA5Dataset: {str(self.data_root)!r} has no frame of split {self.split!r}",
                "frames 201-250, 451-500, ... are 'val' and all others 'train'; data/README.md"
                " has the other splits",
            )
        return chosen

    def split_of(self, key: str) -> str:
        """Return the split of ours and the official one."""
        ours = "val" if is_held_out(int(key)) else "train"
        official = (name for name in _OFFICIAL if int(key) in read_split(f"gta5_{name}"))
        return f"{ours}, official_{next(official, 'none')}"

    def _frames(self, kind: str) -> dict[str, Path]:
        folder = Path(self.data_root) / kind
        # Converters of other code bases write NNNNN_labelTrainIds.png beside the originals.
        return files_by_key(
            folder,
            "**/*.png",
            lambda path: path.stem if path.stem.isdecimal() else None,
            "GTA5Dataset",
            "unpack 01_images.zip ... 10_labels.zip there (data/README.md)",
            what="NNNNN.png",
        )
