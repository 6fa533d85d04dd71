"""EXIF orientation: images are turned upright, as OpenCV does, and labels stay as stored.

A file's EXIF is not parsed here. The orientation is read from OpenCV's output instead, because
readers treat damaged EXIF differently. OpenCV 5.0 turns JPEG, PNG and WebP, but not AVIF. TIFF is
always turned, by libtiff in OpenCV and by Pillow.
"""

import io
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

# Where EXIF begins in JPEG, PNG and WebP; PNG may have it after the pixels.
_EXIF = (b"Exif", b"eXIf", b"EXIF")
_TIFF = (b"II*\0", b"MM\0*")
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Turned:
    """An image that is turned or mirrored while it is loaded.

    Attributes:
        size: Its width and height after loading.
        stored: Its width and height in the file.
    """

    size: tuple[int, int]
    stored: tuple[int, int]

    def explains(self, label: tuple[int, int]) -> bool:
        """Return whether a label of this width and height fits the image only as it is stored."""
        return label == self.stored != self.size


def may_be_turned(data: bytes) -> bool:
    """Return whether a picture's bytes may hold an orientation; a quick look."""
    return data.startswith(_TIFF) or any(mark in data for mark in _EXIF)


def turned(data: bytes) -> Turned | None:
    """Return how OpenCV turns an image, or None if it does not turn or cannot read it.

    Args:
        data: The file's bytes.
    """
    if not may_be_turned(data):
        return None
    encoded = np.frombuffer(data, np.uint8)
    loaded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    if loaded is None:
        return None
    height, width = loaded.shape[:2]
    if data.startswith(_TIFF):
        orientation = _tag(data)
        stored = (height, width) if orientation > 4 else (width, height)
        return Turned((width, height), stored) if 2 <= orientation <= 8 else None
    plain = cv2.imdecode(encoded, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if np.array_equal(loaded, plain):
        return None
    return Turned((width, height), plain.shape[1::-1])


def advice_on_sizes(
    path: str | os.PathLike, image: tuple[int, int], label: tuple[int, int]
) -> str | None:
    """Return what to do about a label of another size if EXIF is the reason, or None.

    Args:
        path: The image.
        image: Its width and height after loading.
        label: The label's width and height.
    """
    try:
        found = turned(Path(path).read_bytes())
    except OSError:
        return None
    if found is None:
        return None
    if image == found.size and found.explains(label):
        return "EXIF turns the image upright; turn the label as well, or remove the image's EXIF"
    if image == found.stored and label == found.size:
        return (
            "EXIF would turn the image upright and its loading step ignores that; load it with "
            "imdecode_backend='cv2' and color_type='color'"
        )
    return None


def _tag(data: bytes) -> int:
    """Return the orientation in a TIFF file; 1 if there is none."""
    with Image.open(io.BytesIO(data)) as picture:
        value = picture.getexif().get(_ORIENTATION, 1)
    return value if isinstance(value, int) else 1
