"""Read values from label files: palette and grey PNGs, 16-bit channels, panoptic segments."""

import contextlib
import io
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ibn_seg.datasets.labels import LabelTable
from ibn_seg.errors import UserError

# COCO's panoptic format: a segment's number is R + 256 G + 65536 B.
_PANOPTIC_BASE = 256

# The errors that Pillow raises for damaged pictures and for implausibly large ones.
PICTURE_ERRORS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


class UnknownColorError(UserError):
    """A coloured label shows a colour that its table does not know."""


def read_values(
    path: str | os.PathLike,
    table: LabelTable | None = None,
    segments: Mapping[int, int] | None = None,
) -> np.ndarray:
    """Return the values in a label file, (H, W) uint8, read-only.

    Args:
        path: The file.
        table: Says how the file holds the values. Default: as indices or grey values.
        segments: For the encoding 'panoptic', the value of each segment number.

    Raises:
        UserError: The file cannot be read or is another kind of picture.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    return decode_values(data, path, table, segments)


def decode_values(
    data: bytes,
    path: str | os.PathLike,
    table: LabelTable | None = None,
    segments: Mapping[int, int] | None = None,
) -> np.ndarray:
    """Return the values in a label file's bytes; `path` names the file in messages."""
    if table is not None and table.colors is not None:
        return _colors(data, path, table.colors)
    return READERS["index" if table is None else table.encoding](data, path, segments)


def map_ids(ids: np.ndarray, table: LabelTable, path: str | os.PathLike) -> np.ndarray:
    """Return the trainIds of a file's ids, (H, W) uint8.

    Raises:
        UserError: A value is not in the table; `path` names the file in the message.
    """
    known = table.known.astype(np.uint8)
    if not known.all() and cv2.countNonZero(cv2.LUT(ids, known)) != ids.size:
        values = np.unique(ids)
        bad = values[~table.known[values]]
        raise UserError(
            f"{path}: value {bad[0]} is not a {table.kind}"
            + (f" ({bad.size} such values)" if bad.size > 1 else ""),
            f"allowed: {table.allowed}; unpack or make this label file again",
        )
    return cv2.LUT(ids, table.train_ids)


def check_image_file(path: str | os.PathLike) -> None:
    """Check a picture file's structure and, for PNG, the checksum of every chunk.

    The decoders treat damaged files differently: some return the part that they could read, others
    print to the terminal and return nothing. At 2048x1024 this check takes 1.6 ms for an image and
    0.04 ms for a label. Decoding the image takes 44 ms (one core).

    Raises:
        UserError: The file is missing, truncated or damaged.
    """
    try:
        with Image.open(path) as picture:
            picture.verify()
    except PICTURE_ERRORS as error:
        errno = getattr(error, "errno", None)
        reason = error.strerror if errno else " ".join(str(error).split())
        problem = "cannot be read" if errno else "truncated or damaged picture"
        raise UserError(
            f"{path}: {problem} ({reason})", "unpack or download this file again"
        ) from error


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Return an image as mmcv's `LoadImageFromFile` does: (H, W, 3) uint8 BGR, upright.

    Raises:
        UserError: OpenCV cannot decode it.
    """
    data = np.frombuffer(Path(path).read_bytes(), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise UserError(
            f"{path}: OpenCV cannot decode this image", "save it as PNG or JPEG, or check it"
        )
    return image


@contextlib.contextmanager
def explained_decoding(path: str | os.PathLike) -> Iterator[None]:
    """Raise a one-line error if OpenCV cannot decode an image; mmcv's loader only asserts it.

    Raises:
        UserError: It is so.
    """
    try:
        yield
    except (AssertionError, AttributeError):
        read_image(path)
        raise


def _index(data: bytes, path: str | os.PathLike, segments: object) -> np.ndarray:
    """Read a palette or 8-bit grey picture; the palette's colours do not matter."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            mode = picture.mode
            ids = np.asarray(picture) if mode in ("P", "L") else None
    except PICTURE_ERRORS as error:
        raise _unreadable(path, error) from error
    if ids is None:
        raise UserError(
            f"{path}: not a label file, its pixels are of mode {mode!r}",
            "allowed: palette ('P') and 8-bit grey ('L') PNGs of ids, not coloured or 16-bit ones",
        )
    return ids


def _first_channel_of_16_bits(data: bytes, path: str | os.PathLike, segments: object) -> np.ndarray:
    """Read a 16-bit RGB PNG whose red channel is the class, as in SYNTHIA.

    OpenCV returns blue first; Pillow would cut the values to 8 bits.
    """
    picture = _unchanged(data, path)
    if picture.dtype != np.uint16 or picture.ndim != 3:
        raise UserError(
            f"{path}: not a label file, {_describe(picture)}",
            "allowed: 16-bit PNGs with the class in the first channel, as in GT/LABELS",
        )
    red = picture[..., 2]
    if red.max(initial=0) > 255:
        raise UserError(f"{path}: value {red.max()} is not a class", "unpack this file again")
    return red.astype(np.uint8)


def _panoptic(
    data: bytes, path: str | os.PathLike, segments: Mapping[int, int] | None
) -> np.ndarray:
    """Read a coloured PNG of segment numbers; pixels of no segment get 0."""
    picture = _unchanged(data, path)
    if picture.dtype != np.uint8 or picture.ndim != 3:
        raise UserError(
            f"{path}: not a panoptic label file, {_describe(picture)}",
            "allowed: RGB PNGs of segment numbers, with their panoptic.json",
        )
    # Blue, green, red: the number's bytes from the highest to the lowest.
    numbers = picture[..., :3].astype(np.uint32) @ np.uint32([_PANOPTIC_BASE**2, _PANOPTIC_BASE, 1])
    found, places = np.unique(numbers, return_inverse=True)
    known = segments or {}
    values = np.array([known.get(int(number), 0) for number in found], np.uint8)
    return values[places].reshape(numbers.shape)


def _colors(data: bytes, path: str | os.PathLike, colors: np.ndarray) -> np.ndarray:
    """Read a coloured picture as the places of its colours in a list of them, (V, 3) RGB."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            mode = picture.mode
            rgb = np.asarray(picture.convert("RGB")) if mode in ("RGB", "RGBA", "P") else None
    except PICTURE_ERRORS as error:
        raise _unreadable(path, error) from error
    if rgb is None:
        raise UserError(
            f"{path}: not a coloured label file, its pixels are of mode {mode!r}",
            "allowed: RGB and palette PNGs that show each class in its colour",
        )
    weights = np.uint32([_PANOPTIC_BASE**2, _PANOPTIC_BASE, 1])
    numbers, known = rgb.astype(np.uint32) @ weights, colors.astype(np.uint32) @ weights
    order = np.argsort(known)
    places = np.minimum(np.searchsorted(known, numbers, sorter=order), len(known) - 1)
    values = order[places].astype(np.uint8)
    odd = known[values] != numbers
    if odd.any():
        row, column = np.argwhere(odd)[0]
        raise UnknownColorError(
            f"{path}: the colour {rgb[row, column].tolist()} at row {row}, column {column} is in "
            "no table",
            "add it to the classes or to void_colors, or make this label file again",
        )
    return values


def _unchanged(data: bytes, path: str | os.PathLike) -> np.ndarray:
    encoded = np.frombuffer(data, np.uint8)
    picture = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED) if data else None
    if picture is None:
        raise _unreadable(path, Image.UnidentifiedImageError())
    return picture


def _unreadable(path: str | os.PathLike, error: Exception) -> UserError:
    """Return the error for a file that no reader of pictures takes."""
    # Pillow's own words name a place in memory in place of the file.
    unknown = isinstance(error, Image.UnidentifiedImageError)
    reason = "it is empty or of another kind" if unknown else getattr(error, "strerror", None)
    return UserError(
        f"{path}: cannot be read as a picture ({reason or ' '.join(str(error).split())})",
        "make or download this file again",
    )


def _describe(picture: np.ndarray) -> str:
    channels = 1 if picture.ndim == 2 else picture.shape[2]
    return f"it has {channels} channel{'s' if channels > 1 else ''} of {picture.dtype}"


READERS: Mapping[str, Callable[..., np.ndarray]] = {
    "index": _index,
    "first channel of 16 bits": _first_channel_of_16_bits,
    "panoptic": _panoptic,
}
# The encoding 'colors' is read by a table's own colours.
