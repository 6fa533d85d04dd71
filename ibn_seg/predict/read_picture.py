"""Reads one picture of any format, and reports what a user would not expect in it."""

import contextlib
import io
import os
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from ibn_seg.datasets.formats import PICTURE_ERRORS
from ibn_seg.errors import UserError
from ibn_seg.predict.picture_formats import (
    CAMERA_RAW,
    HEAD,
    lacks_boxes,
    lacks_end_of_code_stream,
    picture_format,
)
from ibn_seg.predict.quiet_codecs import quiet_codecs

# Errors of Pillow's readers on damaged files, beside its deliberate ones.
_PILLOW_ERRORS = (
    *PICTURE_ERRORS, ArithmeticError, AssertionError, AttributeError, EOFError, LookupError,
    NotImplementedError, TypeError, struct.error,
)  # fmt: skip
# OpenCV and Pillow have always read these formats. If they fail, the file is bad.
_COMMON = (
    "BMP", "DIB", "GIF", "JPEG", "PCX", "PNG", "PNM", "SGI", "Sun raster", "TIFF", "Targa", "WebP"
)  # fmt: skip
# The same holds for these formats if OpenCV was built with them.
_BUILT_IN = {"JPEG 2000": ".jp2", "PAM": ".pam", "PFM": ".pfm", "Radiance HDR": ".hdr"}
_MAYBE_FLOAT = ("OpenEXR", "PFM", "TIFF")
# TIFF's tag 254: 1 is a reduced copy of another picture in the file, 4 is a mask.
_SUBFILE, _REDUCED, _MASK = 254, 1, 4


class PictureError(UserError):
    """One picture cannot be predicted; others of its folder can."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes:
        pixels: H x W x 3 uint8 in BGR order, upright.
        remarks: Notes for the user, one line each, with the file's name.
    """

    pixels: np.ndarray
    remarks: tuple[str, ...]


@dataclass
class _Glance:
    """Pillow's findings on a file; the defaults if it cannot read that format.

    Attributes:
        mode: Pillow's name of the kind of pixels.
        frames: The number of full-size pictures.
        reduced: Whether the first picture is a reduced copy, as in raw camera files.
        cut: Whether a JPEG's data end too early.
    """

    mode: str | None = None
    frames: int = 1
    reduced: bool = False
    cut: bool = False


def read_bytes(path: Path) -> bytes:
    """Return a file's content.

    Raises:
        PictureError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise PictureError(f"{path}: cannot be read ({error.strerror})") from error


def decode_picture(data: bytes, path: Path) -> Picture:
    """Decode a picture, or the first of several frames.

    Values of 16 bits become 8 (the high byte). Floating-point values from 0 to 1 become 0 to 255.
    Grey becomes three equal channels. Transparency is dropped, and EXIF's orientation is applied.

    Args:
        data: The file's content.
        path: Its name, for messages.

    Raises:
        PictureError: The file is not a picture, damaged, too large, or not readable here.
    """
    kind = picture_format(data[:HEAD], path.suffix)
    if kind is None:
        reason = "its content is not that of a picture" if data else "it is empty"
        raise _unreadable(path, reason)
    if kind == CAMERA_RAW:
        raise _foreign(path, "raw files of cameras")
    with quiet_codecs() as complaints:
        glance = _glance(data)
        cut = glance.cut or lacks_end_of_code_stream(data, kind)
        pixels = None if glance.reduced or cut else _decode(data, path, kind, glance)
    if glance.reduced:
        raise _foreign(path, "files that begin with a reduced copy, as cameras' raw files do,")
    if cut or (pixels is None and lacks_boxes(data, kind)):
        raise _unreadable(path, "the file is cut off")
    if pixels is None and _is_read_here(kind):
        raise _unreadable(path, f"damaged or cut off, or an unusual {kind}")
    if pixels is None:
        raise _foreign(path, f"{kind} pictures such as this")
    return Picture(pixels, tuple(_remarks(path, glance.frames, complaints.text)))


def _is_read_here(kind: str) -> bool:
    """Tell whether OpenCV or Pillow can read intact files of a format."""
    return kind in _COMMON or (kind in _BUILT_IN and cv2.haveImageWriter(f"a{_BUILT_IN[kind]}"))


def _decode(data: bytes, path: Path, kind: str, glance: _Glance) -> np.ndarray | None:
    """Return the pixels, or None if neither OpenCV nor Pillow can read the file."""
    encoded = np.frombuffer(data, np.uint8)
    try:
        if kind in _MAYBE_FLOAT and glance.mode in (None, "F", "I"):
            values = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
            if values is not None and values.dtype not in (np.uint8, np.uint16):
                return _as_bytes(values, path)
        pixels = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    except cv2.error as error:
        if "MAX_IMAGE_" in str(error):
            raise PictureError(
                f"{path}: has more pixels than OpenCV reads",
                "make it smaller, or set OPENCV_IO_MAX_IMAGE_PIXELS to a larger number",
            ) from error
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from error
        pixels = None
    # Pillow reads formats that an OpenCV build may lack. It accepts truncated PNGs.
    return _decode_by_pillow(data) if pixels is None and kind != "PNG" else pixels


def _decode_by_pillow(data: bytes) -> np.ndarray | None:
    try:
        with _opened(data) as picture:
            upright = ImageOps.exif_transpose(picture)
            if upright.mode.startswith("I;16"):
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            if upright.mode in ("F", "I"):
                return None
            return np.ascontiguousarray(np.asarray(upright.convert("RGB"))[..., ::-1])
    except _PILLOW_ERRORS:
        return None


def _as_bytes(values: np.ndarray, path: Path) -> np.ndarray:
    """Return floating-point values from 0 to 1 as H x W x 3 levels.

    OpenCV would round them, and the picture would be black.
    """
    if values.dtype.kind != "f" or not (values.min() >= 0 and values.max() <= 1):
        raise PictureError(
            f"{path}: its values of type {values.dtype} are not all from 0 to 1, so the value of "
            "white is not known",
            "convert it to 8 or 16 bits",
        )
    levels = np.rint(values * 255).astype(np.uint8)
    if levels.ndim == 2:
        levels = levels[..., None]
    return np.ascontiguousarray(levels[..., :3]) if levels.shape[2] > 2 else levels[..., [0, 0, 0]]


@contextlib.contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """Open a file's content with Pillow, without its warnings about size and odd metadata."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data)) as picture:
            yield picture


def _glance(data: bytes) -> _Glance:
    """Inspect a file with Pillow. If Pillow cannot read it, OpenCV alone decides."""
    glance = _Glance()
    with contextlib.suppress(*_PILLOW_ERRORS), _opened(data) as picture:
        glance.mode = picture.mode
        if picture.format in ("JPEG", "MPO"):
            glance.cut = _is_cut(picture)
        glance.frames = getattr(picture, "n_frames", 1)
        if picture.format == "TIFF":
            glance.reduced = bool(picture.tag_v2.get(_SUBFILE, 0) & _REDUCED)
            glance.frames = max(_full_pages(picture), 1)
    return glance


def _is_cut(picture: Image.Image) -> bool:
    """Tell whether a JPEG's data end too early; OpenCV 4 returns the rest in grey.

    Decoding at an eighth of the size reads the data to their end at little cost.
    """
    picture.draft(None, (picture.width // 8, picture.height // 8))
    try:
        picture.load()
    except OSError as error:
        return "truncated" in str(error)
    return False


def _full_pages(picture: Image.Image) -> int:
    """Return how many pages of a TIFF are neither reduced copies nor masks."""
    pages = 0
    for page in range(picture.n_frames):
        picture.seek(page)
        pages += not picture.tag_v2.get(_SUBFILE, 0) & (_REDUCED | _MASK)
    return pages


def _remarks(path: Path, frames: int, complaints: str) -> Iterator[str]:
    if frames > 1:
        yield f"{path}: holds {frames} frames; the first is predicted"
    damage = [line.strip() for line in complaints.splitlines() if "corrupt" in line.lower()]
    if damage:
        yield f"{path}: may be damaged ({damage[0]}); it is predicted as it was read"


def _unreadable(path: os.PathLike, reason: str) -> PictureError:
    return PictureError(
        f"{path}: is not a readable picture ({reason})", "replace it or take it out"
    )


def _foreign(path: os.PathLike, what: str) -> PictureError:
    versions = f"OpenCV {cv2.__version__} and Pillow {Image.__version__}"
    return PictureError(f"{path}: {what} cannot be read by {versions}", "convert it to JPEG or PNG")
