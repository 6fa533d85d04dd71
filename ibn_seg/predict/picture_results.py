"""Makes the results for one picture: its labels, and the picture with coloured labels on it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ibn_seg.errors import UserError
from ibn_seg.predict.read_picture import PictureError
from ibn_seg.trust.confidence_files import heat_map

# Networks halve a picture up to five or six times. Below this size, little may be left of it.
_SMALL = 64  # pixels
_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")


def overlay(image: np.ndarray, labels: np.ndarray, palette: np.ndarray, opacity: float) -> Any:
    """Return a picture with the class colours laid over it.

    Args:
        image: H x W x 3 uint8, BGR.
        labels: H x W uint8 trainIds. Values without a colour leave the picture unchanged.
        palette: (classes, 3) uint8, RGB.
        opacity: The share of the colours.

    Returns:
        H x W x 3 uint8, BGR.
    """
    known = labels < len(palette)
    colours = palette[np.where(known, labels, 0)][..., ::-1]
    mixed = cv2.addWeighted(image, 1.0 - opacity, np.ascontiguousarray(colours), opacity, 0.0)
    return np.where(known[..., None], mixed, image)


def label_and_paint(
    segment: Callable[[np.ndarray], np.ndarray],
    palette: np.ndarray,
    image: np.ndarray,
    opacity: float,
    path: Path,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the trainIds of a picture, and the picture overlaid with their colours.

    Args:
        segment: The network.
        palette: (classes, 3) uint8, RGB.
        image: H x W x 3 uint8, BGR.
        opacity: The share of the colours.
        path: The file of the picture, for messages.

    Raises:
        PictureError: It needs more memory than there is, or is too small for the network.
    """

    def paint() -> tuple[np.ndarray, np.ndarray]:
        labels = segment(image)
        return labels, overlay(image, labels, palette, opacity)

    return explained_size(paint, image, path)


def label_and_measure(
    segment: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    palette: np.ndarray,
    image: np.ndarray,
    opacity: float,
    path: Path,
) -> tuple[np.ndarray, ...]:
    """Return what `label_and_paint` does, then labels, levels of confidence, and a heat map.

    Args:
        segment: The network, which returns labels and levels.
        palette: (classes, 3) uint8, RGB.
        image: H x W x 3 uint8, BGR.
        opacity: The share of the colours.
        path: The file of the picture, for messages.

    Raises:
        PictureError: It needs more memory than there is, or is too small for the network.
    """

    def measure() -> tuple[np.ndarray, ...]:
        labels, levels = segment(image)
        painted = overlay(image, labels, palette, opacity)
        return labels, painted, labels, levels, heat_map(levels)

    return explained_size(measure, image, path)


def explained_size(
    make: Callable[[], tuple[np.ndarray, ...]], image: np.ndarray, path: Path
) -> tuple[np.ndarray, ...]:
    """Return what `make` does; say in one line if the picture's size is why it cannot.

    Raises:
        PictureError: The picture needs more memory than there is, or is too small.
    """
    try:
        return make()
    except UserError:
        raise
    except (MemoryError, RuntimeError, ValueError, cv2.error) as error:
        explanation = _blame_size(error, image.shape, path)
        if explanation is None:
            raise
        raise explanation from error


def too_large(path: Path, size: str = "") -> PictureError:
    """Return the error for a picture that does not fit into memory."""
    return PictureError(
        f"{path}: {size}needs more memory than is free", "make it smaller or cut it into parts"
    )


def _blame_size(error: Exception, shape: tuple[int, ...], path: Path) -> PictureError | None:
    """Return a one-line error if the picture's size is the cause, else None."""
    height, width = shape[:2]
    size = f"a picture of {width}x{height} pixels"
    no_memory = isinstance(error, cv2.error) and error.code == cv2.Error.StsNoMem
    text = str(error)
    if (
        no_memory
        or isinstance(error, MemoryError)
        or any(part in text.lower() for part in _NO_MEMORY)
    ):
        return too_large(path, f"{size} ")
    if not isinstance(error, cv2.error) and min(height, width) < _SMALL:
        reason = text.splitlines()[0] if text else type(error).__name__
        return PictureError(
            f"{path}: the network cannot take {size} ({reason})", "enlarge it or take it out"
        )
    return None
