"""Any folder of images and labels, with classes of its own."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmseg.registry import DATASETS

from ibn_seg.datasets.card import DataCard
from ibn_seg.datasets.known_classes import space_of
from ibn_seg.datasets.labels import color_table, space_table
from ibn_seg.datasets.paired_trees import PairedTreesDataset, check_text
from ibn_seg.datasets.text_lines import read_lines
from ibn_seg.errors import UserError, unknown

_TABLES = {"index": space_table, "colors": color_table}
_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm")


@DATASETS.register_module()
class FolderDataset(PairedTreesDataset):
    """Images in one folder tree, labels in another, and classes that the config names.

    An image and its label have the same path below their folders, apart from the suffixes. Labels
    are grey or palette pictures of values, or show each class in its colour.

    Args:
        data_root: The folder that holds both.
        classes: The classes of the labels: a list of names, a YAML file or a name, see
            `ibn_seg.datasets.known_classes`. Default: the 19 of Cityscapes as trainIds.
        images: The images' folder.
        labels: The labels' folder.
        image_suffix: The ending of the images' names. Default: any common one, such as '.jpg'.
        label_suffix: The ending of the labels' names. Default: any common one, such as '.png'.
        encoding: How labels hold classes: 'index' or 'colors'.
        names: A text file of the images to use, one per line: paths below `images`, with or without
            suffix. Default: all.
        **kwargs: Arguments of `UrbanSceneDataset`; `target` defaults to the root's name.

    Raises:
        UserError: As `UrbanSceneDataset`. Or the classes or the encoding are wrong, or the list
            names an image that is not there.

    Example:
        >>> dict(type='FolderDataset', data_root='data/yard', classes=['grass', 'path'],
        ...      label_suffix='_mask.png', names='data/yard/train.txt')
    """

    TARGET = "folder"
    WHERE = "say where they are by images=, labels= and {}="
    CARD = DataCard(
        title="any folder with classes of its own",
        labels="any values, or colours",
        quirks="folders, suffixes, lists and classes by arguments",
        classes="any, 2 to 255",
        layouts="any",
    )

    def __init__(
        self,
        data_root: str | os.PathLike,
        classes: Any = "cityscapes",
        images: str = "images",
        labels: str = "labels",
        image_suffix: str = "",
        label_suffix: str = "",
        encoding: str = "index",
        names: str | os.PathLike | None = None,
        **kwargs: Any,
    ) -> None:
        if encoding not in _TABLES:
            raise unknown("encoding of FolderDataset", encoding, _TABLES)
        self.SPACE = space_of(classes, "classes of FolderDataset")
        self.table = _TABLES[encoding](self.SPACE)
        if names is not None:
            check_text("names", names)
        self._names = names
        super().__init__(data_root, images, labels, image_suffix, label_suffix, **kwargs)

    def list_images(self) -> dict[str, Path]:
        """Return the images by path below their folder, without suffix."""
        found = super().list_images()
        return found if self._names is None else self._listed(found)

    def list_labels(self) -> dict[str, Path]:
        """Return the labels by the same keys."""
        found = super().list_labels()
        return found if self._names is None else self._listed(found, labels=True)

    def key_of(self, name: str, suffix: str) -> str | None:
        """Return the key of a file; without a given suffix, None for a file that is no picture."""
        if suffix:
            return super().key_of(name, suffix)
        return _without_suffix(name) if Path(name).suffix.lower() in _SUFFIXES else None

    def _listed(self, found: dict[str, Path], labels: bool = False) -> dict[str, Path]:
        """Return the files that the list names, in its order."""
        keys = _read_list(Path(self._names), self._image[1])
        if not labels and (missing := [key for key in keys if key not in found]):
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise UserError(
                f"{self._names}: no image {missing[0]!r}{more} in {str(self.image_folder)!r}",
                "each line is the path of an image below it",
            )
        return {key: found[key] for key in keys if key in found}


def _without_suffix(name: str) -> str:
    known = Path(name).suffix.lower() in _SUFFIXES
    return name[: -len(Path(name).suffix)] if known else name


def _read_list(path: Path, suffix: str) -> Sequence[str]:
    """Return the keys in a list of images.

    Raises:
        UserError: The list cannot be read, or is empty.
    """
    lines = read_lines(path, "list of images", "mend names=")
    names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not names:
        raise UserError(f"{path}: names no image", "write one path per line")
    keys = (name.removesuffix(suffix) if suffix else _without_suffix(name) for name in names)
    return list(dict.fromkeys(keys))
