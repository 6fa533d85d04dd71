"""IDD's layout, whose images are PNG and JPEG, clean or with one of each defect."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tests.datasets.writers import write_jpeg
from tests.helpers import IGNORE, image_for, random_train_ids, truncate, write_image

SIZE = (48, 32)


@dataclass(frozen=True)
class Frame:
    image: Path
    label: Path


def frame(root: Path, index: int) -> Frame:
    """Return a frame's files: every fourth is val; even ones have PNG images and odd ones JPEG."""
    split = "val" if index % 4 == 3 else "train"
    suffix = ("png", "jpg")[index % 2]
    return Frame(
        root / f"leftImg8bit/{split}/{index % 7}/{index:06}_leftImg8bit.{suffix}",
        root / f"gtFine/{split}/{index % 7}/{index:06}_gtFine_labelcsTrainIds.png",
    )


def write_clean(root: Path, pairs: int) -> Path:
    """Write pairs of files without any defect."""
    for index in range(pairs):
        rng = np.random.default_rng(index)
        train_ids = random_train_ids(rng, SIZE)
        files = frame(root, index)
        write = write_image if files.image.suffix == ".png" else write_jpeg
        write(files.image, image_for(train_ids, rng))
        write_image(files.label, train_ids)
    return root


def _label(files: Frame) -> np.ndarray:
    return np.asarray(Image.open(files.label)).copy()


def _wrong_size(files: Frame) -> None:
    write_image(files.label, _label(files)[:-2])


def _colours(files: Frame) -> None:
    write_image(files.label, np.repeat(_label(files)[..., None], 3, axis=2))


def _sixteen_bits(files: Frame) -> None:
    write_image(files.label, _label(files).astype(np.uint16))


def _unknown_id(files: Frame) -> None:
    ids = _label(files)
    ids[3:5, 4:9] = 77
    write_image(files.label, ids)


def _all_ignored(files: Frame) -> None:
    write_image(files.label, np.full_like(_label(files), IGNORE))


def _alpha(files: Frame) -> None:
    picture = Image.open(files.image).convert("RGBA")
    picture.save(files.image)


@dataclass(frozen=True)
class Defect:
    """One defect: what makes it, and what has to be said of it.

    Attributes:
        kind: The finding's kind.
        index: The frame that gets it.
        damage: Makes it.
        named: 'image' or 'label', the file that has to be named first.
        text: What the finding's text must hold.
    """

    kind: str
    index: int
    damage: Callable[[Frame], object]
    named: str
    text: str


# Even frames have PNG images, odd ones JPEG; 20 is a train frame.
DEFECTS = (
    Defect("missing-label", 0, lambda f: f.label.unlink(), "image", "without label"),
    Defect("missing-image", 1, lambda f: f.image.unlink(), "label", "without image"),
    Defect("truncated", 2, lambda f: truncate(f.image), "image", "truncated PNG"),
    Defect("truncated", 5, lambda f: truncate(f.image), "image", "truncated JPEG"),
    Defect("empty-file", 6, lambda f: f.label.write_bytes(b""), "label", "empty"),
    Defect("size-mismatch", 8, _wrong_size, "label", "48x30 for an image of 48x32"),
    Defect("coloured-label", 9, _colours, "label", "8-bit RGB PNG"),
    Defect("16-bit-label", 10, _sixteen_bits, "label", "16-bit grey PNG"),
    Defect("unknown-id", 12, _unknown_id, "label", "value 77 is not a IDD csTrainId"),
    Defect("rgba-image", 14, _alpha, "image", "8-bit RGBA PNG"),
    Defect("all-ignored", 16, _all_ignored, "label", "every pixel is ignored"),
)
DUPLICATE = (20, 3)  # of a train frame and a val frame


def damage(root: Path) -> set[tuple[str, str]]:
    """Put every defect into a clean set and return kind and first file of what is to be found."""
    expected = set()
    for defect in DEFECTS:
        files = frame(root, defect.index)
        expected.add((defect.kind, getattr(files, defect.named).relative_to(root).as_posix()))
        defect.damage(files)
    train, val = (frame(root, index) for index in DUPLICATE)
    copy = train.image.with_suffix(".jpg")
    train.image.unlink()
    shutil.copy(val.image, copy)
    expected.add(("duplicate-across-splits", copy.relative_to(root).as_posix()))
    return expected
