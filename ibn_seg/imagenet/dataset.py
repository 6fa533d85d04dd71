"""Pictures in one folder per class, read by torchvision's ImageFolder."""

import os
from pathlib import Path
from types import ModuleType
from typing import Any

from mmengine.registry import DATASETS
from PIL import Image
from torch.utils.data import Dataset

from ibn_seg.errors import EnvError, UserError

# The reference resizes to 256 and crops 224; other sizes keep the proportion.
_RESIZE, _CROP = 256, 224
_LAYOUT = "ImageNet's layout is train/CLASS/PICTURE and val/CLASS/PICTURE"
# Pillow's errors for files that are not pictures, are truncated, or exceed its size limit.
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


@DATASETS.register_module()
class LabelledFolder(Dataset):
    """The pictures of a folder with one subfolder per class.

    Class numbers follow the order of the folder names, as in ImageNet's published weights. A sample
    is a dict. `inputs` has the picture's RGB pixels as a uint8 tensor of (3, image_size,
    image_size). `labels` has the number of its class.

    Args:
        root: The folder.
        image_size: Side of the square that the network sees, in pixels.
        augment: Cut out a random part, resize it and flip it at random (torchvision's
            RandomResizedCrop and RandomHorizontalFlip with their defaults, as the reference).
            Otherwise resize the short side to image_size * 256 / 224 and crop the centre.

    Attributes:
        metainfo: `classes`, the names of the class folders.

    Raises:
        UserError: The folder has no class folders, or a class folder has no pictures. On reading a
            sample: a picture cannot be read.
        EnvError: torchvision is not installed.
    """

    def __init__(self, root: str | os.PathLike, image_size: int = _CROP, augment: bool = False):
        torchvision = _torchvision()
        self.folder = _image_folder(torchvision, Path(root))
        self.folder.transform = _transform(torchvision, image_size, augment)
        self.metainfo = {"classes": tuple(self.folder.classes)}

    def __len__(self) -> int:
        return len(self.folder)

    def __getitem__(self, index: int) -> dict[str, Any]:
        pixels, label = self.folder[index]
        return {"inputs": pixels, "labels": label}


def split_folder(data: str | os.PathLike, split: str) -> Path:
    """Return the folder of a split, `train` or `val`, of a data set in ImageNet's layout.

    Raises:
        UserError: It does not exist.
    """
    root = _existing(data)
    if not (root / split).is_dir():
        raise UserError(f"{root / split}: no such folder", _LAYOUT)
    return root / split


def folder_to_test(data: str | os.PathLike) -> Path:
    """Return the folder to test on: `val` if there is one, else the given one.

    Raises:
        UserError: The folder does not exist.
    """
    root = _existing(data)
    has_splits = any((root / split).is_dir() for split in ("train", "val"))
    return split_folder(root, "val") if has_splits else root


def _existing(data: str | os.PathLike) -> Path:
    root = Path(data).expanduser()
    if not root.is_dir():
        raise UserError(f"--data {root}: no such folder", _LAYOUT)
    return root


def _torchvision() -> ModuleType:
    """Import torchvision, which the original stack of mmsegmentation does not need."""
    try:
        import torchvision
    except ModuleNotFoundError as error:
        if error.name != "torchvision":
            raise
        raise EnvError(
            "the package 'torchvision' is not installed", "pip install 'ibn_seg[imagenet]'"
        ) from error
    return torchvision


def _image_folder(torchvision: ModuleType, root: Path) -> Any:
    """Open a folder, and turn torchvision's error into one line."""
    try:
        return torchvision.datasets.ImageFolder(str(root), loader=_read_picture)
    except FileNotFoundError as error:
        is_picture = torchvision.datasets.folder.is_image_file
        for entry in sorted(entry for entry in root.iterdir() if entry.is_dir()):
            if not any(is_picture(name) for _, _, names in os.walk(entry) for name in names):
                raise UserError(
                    f"{entry}: a class folder without pictures", "fill it or remove it"
                ) from error
        raise UserError(f"{root}: has no class folders", _LAYOUT) from error


def _read_picture(path: str) -> Image.Image:
    """Return the RGB picture in a file."""
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except _UNREADABLE as error:
        raise UserError(
            f"{path}: cannot be read as a picture ({error})", "copy it again, or remove it"
        ) from error


def _transform(torchvision: ModuleType, image_size: int, augment: bool) -> Any:
    """Return the function from a picture to its uint8 pixels."""
    pictures = torchvision.transforms
    if augment:
        steps = [pictures.RandomResizedCrop(image_size), pictures.RandomHorizontalFlip()]
    else:
        short_side = round(image_size * _RESIZE / _CROP)
        steps = [pictures.Resize(short_side), pictures.CenterCrop(image_size)]
    return pictures.Compose([*steps, pictures.PILToTensor()])
