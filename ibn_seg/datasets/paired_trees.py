"""What data sets share whose images and labels lie alike in two folder trees."""

import os
from pathlib import Path
from typing import Any, ClassVar

from ibn_seg.datasets.base import UrbanSceneDataset
from ibn_seg.datasets.listing import is_folder
from ibn_seg.datasets.pairing import files_by_key
from ibn_seg.errors import UserError


class PairedTreesDataset(UrbanSceneDataset):
    """Images in one folder tree, labels in another, with the same paths apart from the suffixes.

    A subclass has `WHERE`, what to do if no file is found; `{}` in it becomes the argument of the
    suffix.

    Args:
        data_root: The folder that holds both.
        images: The images' folder.
        labels: The labels' folder.
        image_suffix: The ending of the images' names.
        label_suffix: The ending of the labels' names.
        **kwargs: Arguments of `UrbanSceneDataset`; `target` defaults to the root's name.

    Raises:
        UserError: As `UrbanSceneDataset`. Or an argument is no text, or a suffix is a pattern or
            has no dot.
    """

    ROOT_VARIABLE = "data_root"
    WHERE: ClassVar[str]

    def __init__(
        self,
        data_root: str | os.PathLike,
        images: str = "images",
        labels: str = "labels",
        image_suffix: str = ".png",
        label_suffix: str = ".png",
        **kwargs: Any,
    ) -> None:
        texts = {"images": images, "labels": labels}
        suffixes = {"image_suffix": image_suffix, "label_suffix": label_suffix}
        for argument, given in {**texts, **suffixes}.items():
            check_text(argument, given)
        for argument, suffix in suffixes.items():
            _check_suffix(argument, suffix)
        self._image, self._label = (images, image_suffix), (labels, label_suffix)
        target = kwargs.pop("target", None) or Path(data_root).expanduser().resolve().name
        super().__init__(data_root, target=target, **kwargs)

    @property
    def image_folder(self) -> Path:
        """The folder of the images."""
        return Path(self.data_root) / self._image[0]

    def list_images(self) -> dict[str, Path]:
        """Return the images by path below their folder, without suffix."""
        return self._files(*self._image, "image_suffix", self._label)

    def list_labels(self) -> dict[str, Path]:
        """Return the labels by the same keys."""
        return self._files(*self._label, "label_suffix", self._image)

    def key_of(self, name: str, suffix: str) -> str | None:
        """Return the key of a file, or None for a file of another kind.

        Args:
            name: Its path below the folder of the images or the labels.
            suffix: The ending that was asked for.
        """
        return name.removesuffix(suffix)

    def _files(
        self, place: str, suffix: str, argument: str, other: tuple[str, str]
    ) -> dict[str, Path]:
        """Return the images or the labels by key; `other` is the folder and suffix of the other."""
        folder, where = Path(self.data_root) / place, self.WHERE.format(argument)
        theirs = Path(self.data_root) / other[0]
        if not is_folder(folder):
            raise UserError(f"{type(self).__name__}: folder {str(folder)!r} does not exist", where)
        return files_by_key(
            folder,
            f"**/*{suffix}",
            lambda path: (
                None
                if _is_other(path, folder, suffix, theirs, other[1])
                else self.key_of(path.relative_to(folder).as_posix(), suffix)
            ),
            type(self).__name__,
            where,
            None if suffix else "picture",
        )


def check_text(argument: str, given: Any) -> None:
    """Raise for an argument that is no text or path, as a folder 2024 without quotes.

    Raises:
        UserError: It is so.
    """
    if not isinstance(given, str | os.PathLike):
        raise UserError(f"{argument} is {given!r}, which is no text", f"write '{given}' in quotes")


def _check_suffix(argument: str, suffix: str) -> None:
    """Raise for a suffix that would cut names in another way than its user thinks."""
    if any(sign in suffix for sign in "*?["):
        raise UserError(
            f"{argument} {suffix!r} is a pattern", "write only how the names end, such as '.png'"
        )
    if suffix and "." not in suffix:
        raise UserError(f"{argument} {suffix!r} has no dot", f"write {_with_dot(suffix)!r}")


def _is_other(path: Path, folder: Path, suffix: str, theirs: Path, ending: str) -> bool:
    """Tell whether a file in the folder of images is a label, or the other way round.

    Args:
        path: The file.
        folder: The folder in which it was found.
        suffix: The ending by which it was found.
        theirs: The folder of the other kind: another one, the same, or one inside.
        ending: The ending of the other kind.
    """
    mine, theirs = Path(os.path.normpath(folder)), Path(os.path.normpath(theirs))
    if mine == theirs:
        # 'a_mask.png' ends as images do, too: the longer ending decides.
        return len(ending) > len(suffix) and path.name.lower().endswith(ending.lower())
    inside = theirs.is_relative_to(mine)
    return inside and Path(os.path.normpath(path)).is_relative_to(theirs)


def _with_dot(suffix: str) -> str:
    """Return what a suffix without a dot means: 'png' is '.png', '_mask' is maybe '_mask.png'."""
    return f".{suffix}" if suffix.isalnum() else f"{suffix}.png"
