"""Pictures with masks of unknown things: pixels that are none of a network's classes.

Layouts and values are those of the downloads:

- `smiyc`: SegmentMeIfYouCan (Chan et al., NeurIPS 2021). Only its validation pictures have labels.
- `fishyscapes`: Fishyscapes Lost & Found (Blum et al., IJCV 2021). `labels` has its masks, and
  `images` the pictures of Lost and Found that they are of. In a mask's name a number may come
  first.
- `street_hazards`: StreetHazards (Hendrycks et al., ICML 2022). Files count classes from 1, so
  anomaly, class 13, is 14 (hendrycks/anomaly-seg).
- `bravo`: BRAVO's images and masks, in which 0 is valid and everything else is not
  (valeoai/bravo_challenge). Pixels without a label are left out, as its evaluation does.
- `oddities`: `ibn-seg scenes --oddities`.

The names of folders and files of smiyc, fishyscapes and bravo are only commonly stated.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from mmseg.registry import DATASETS

from ibn_seg.datasets.class_space import IGNORE_INDEX
from ibn_seg.datasets.pairing import check_partners, files_by_key
from ibn_seg.datasets.quiet_mmseg import load_mmseg
from ibn_seg.errors import UserError, unknown

# The values of `read_unknown`.
KNOWN, UNKNOWN = 0, 1


@dataclass(frozen=True)
class UnknownLayout:
    """How a download holds pictures and masks.

    Attributes:
        images: Folder of the pictures, below the root.
        image_name: Pattern of a picture's name; its group is the key.
        masks: Folder of the masks.
        mask_name: Pattern of a mask's name, with the same key.
        known: Values of pixels of the classes.
        unknown: Values of pixels of unknown things. Other values do not count.
        label_ending: Ending of the file of labels beside a mask, in place of `mask_ending`. Where
            there is such a file, pixels of 255 in it do not count.
        mask_ending: Ending of a mask's name, if labels can lie beside it.
    """

    images: str
    image_name: str
    masks: str
    mask_name: str
    known: frozenset[int]
    unknown: frozenset[int]
    label_ending: str = ""
    mask_ending: str = ""


_PICTURE = r"(.+)\.(?:png|jpg|jpeg|webp)"
LAYOUTS: Mapping[str, UnknownLayout] = {
    "smiyc": UnknownLayout(
        "images", _PICTURE, "labels_masks", r"(.+)_labels_semantic\.png",
        frozenset({0}), frozenset({1}),
    ),
    "fishyscapes": UnknownLayout(
        "images", r"(.+)_leftImg8bit\.png", "labels", r"(?:\d{4}_(?=\d\d_))?(.+)_labels\.png",
        frozenset({0}), frozenset({1}),
    ),
    "street_hazards": UnknownLayout(
        "images/test", _PICTURE, "annotations/test", r"(.+)\.png",
        frozenset(range(1, 14)), frozenset({14}),
    ),
    "bravo": UnknownLayout(
        "images", _PICTURE, "masks", r"(.+)_mask\.png",
        frozenset({0}), frozenset(range(1, 256)), label_ending="_gt.png", mask_ending="_mask.png",
    ),
    "oddities": UnknownLayout(
        "images", _PICTURE, "masks", r"(.+)\.png", frozenset({0}), frozenset({1})
    ),
}  # fmt: skip


# An import statement would let the fork's lines through.
@DATASETS.register_module()
class UnknownThingsDataset(load_mmseg().BaseSegDataset):
    """Pictures with a mask of unknown things each; they have no classes.

    Each sample's info has `target`, `unknown_path` and `unknown_layout`, for `read_unknown`.

    Args:
        layout: One of `LAYOUTS`.
        data_root: The folder of the download; `~` is expanded.
        target: The name of the domain. Default: the layout's.
        pipeline: Transforms of each sample, as in mmseg.
        **kwargs: As in mmseg.

    Raises:
        UserError: The layout is unknown, a folder is missing, or a mask has no picture. Or there is
            no mask.
    """

    # mmseg wants some; nothing predicts them.
    METAINFO: ClassVar[dict] = {"classes": ("known", "unknown"), "palette": [[0] * 3, [255] * 3]}

    def __init__(
        self,
        layout: str,
        data_root: str | os.PathLike,
        target: str | None = None,
        pipeline: Sequence[Any] = (),
        **kwargs: Any,
    ) -> None:
        if layout not in LAYOUTS:
            raise unknown("layout of unknown things", layout, LAYOUTS)
        self.layout, self.target = layout, target or layout
        super().__init__(
            data_root=os.path.expanduser(data_root), data_prefix={}, pipeline=list(pipeline),
            test_mode=True, **kwargs,
        )  # fmt: skip

    def load_data_list(self) -> list[dict]:
        """Return one info per mask, by key; pictures without a mask are left out."""
        layout, root = LAYOUTS[self.layout], Path(self.data_root)
        masks = self._files(root / layout.masks, layout.mask_name)
        images = self._files(root / layout.images, layout.image_name)
        check_partners(masks, images, "mask", "picture")
        return [
            {
                "img_path": str(images[key]),
                "unknown_path": str(masks[key]),
                "unknown_layout": self.layout,
                "target": self.target,
                "reduce_zero_label": False,
                "seg_fields": [],
            }
            for key in masks
        ]

    @property
    def image_folder(self) -> Path:
        """The folder of the pictures."""
        return Path(self.data_root) / LAYOUTS[self.layout].images

    def _files(self, folder: Path, name: str) -> dict[str, Path]:
        def key(path: Path) -> str | None:
            found = re.fullmatch(name, path.name)
            at = path.relative_to(folder).parent
            return (at / found[1]).as_posix() if found else None

        return files_by_key(
            folder, "**/*", key, f"UnknownThingsDataset ({self.layout})",
            "unpack the download there", name,
        )  # fmt: skip


def read_unknown(path: str | os.PathLike, layout: str, shape: tuple[int, int]) -> np.ndarray:
    """Return the mask of a picture, (H, W) uint8: `KNOWN`, `UNKNOWN`, or 255 for neither.

    Args:
        path: A grey PNG of 8 bits. Its labels, if the layout has any, are read too.
        layout: One of `LAYOUTS`.
        shape: Height and width of the picture.

    Raises:
        UserError: A file cannot be read, or is of another kind or size.
    """
    rules = LAYOUTS[layout]
    lookup = np.full(256, IGNORE_INDEX, np.uint8)
    lookup[list(rules.known)] = KNOWN
    lookup[list(rules.unknown)] = UNKNOWN
    mask = lookup[_read_grey(path, "mask", shape)]
    labels = _labels_beside(Path(path), rules)
    if labels is not None:
        mask[_read_grey(labels, "labels", shape) == IGNORE_INDEX] = IGNORE_INDEX
    return mask


def _labels_beside(mask: Path, rules: UnknownLayout) -> Path | None:
    """Return the file of labels beside a mask; None if there is none."""
    if not rules.label_ending:
        return None
    path = mask.with_name(mask.name.removesuffix(rules.mask_ending) + rules.label_ending)
    return path if path.is_file() else None


def _read_grey(path: str | os.PathLike, kind: str, shape: tuple[int, int]) -> np.ndarray:
    """Return the values of a grey PNG of 8 bits, (H, W) uint8.

    Raises:
        UserError: It cannot be read, or is of another kind or size.
    """
    try:
        data = np.frombuffer(Path(path).read_bytes(), np.uint8)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})", "check it") from error
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if image is None or image.ndim != 2 or image.dtype != np.uint8:
        raise UserError(f"{path}: no {kind}", "expected a grey PNG of 8 bits")
    if image.shape != tuple(shape):
        (height, width), (rows, columns) = image.shape, shape
        raise UserError(
            f"{path}: {kind} of {width}x{height} pixels for a picture of {columns}x{rows}",
            "both must have the same size",
        )
    return image
