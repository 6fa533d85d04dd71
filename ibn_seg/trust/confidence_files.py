"""Pictures of confidence: BRAVO's pair of PNGs, and a heat map to look at.

`NAME_pred.png` is 8-bit grey, the class of each pixel. `NAME_conf.png` is 16-bit grey at the same
size: level L stands for the confidence (L + 0.5) / 65536. `NAME_heat.png` is a colour picture: the
brighter, the less sure.
"""

import os
from pathlib import Path

import cv2
import numpy as np

from ibn_seg.errors import UserError

PREDICTION, CONFIDENCE, HEAT = "pred", "conf", "heat"
LEVEL_COUNT = 65536


def paired_name(name: str, kind: str) -> str:
    """Return the name of a picture of a pair, such as D/X_conf.png for D/X.png and 'conf'."""
    return f"{name.removesuffix('.png')}_{kind}.png"


def heat_map(levels: np.ndarray) -> np.ndarray:
    """Return a picture of (H, W) uint16 levels, (H, W, 3) uint8 BGR; sure pixels are black."""
    return cv2.applyColorMap(255 - (levels >> 8).astype(np.uint8), cv2.COLORMAP_INFERNO)


def read_levels(path: str | os.PathLike, shape: tuple[int, int]) -> np.ndarray:
    """Return the levels of a 16-bit picture of confidence, (H, W) uint16.

    Args:
        path: A grey PNG of 16 bits.
        shape: Height and width that it must have.

    Raises:
        UserError: It cannot be read, or is of another kind or size.
    """
    try:
        data = np.frombuffer(Path(path).read_bytes(), np.uint8)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})", "check it") from error
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if image is None:
        raise UserError(f"{path}: not a picture, or damaged", "write a 16-bit grey PNG")
    if image.dtype != np.uint16 or image.ndim != 2:
        bits, channels = 8 * image.dtype.itemsize, 1 if image.ndim == 2 else image.shape[2]
        raise UserError(
            f"{path}: confidence of {bits} bits in {channels} channels",
            "write 16-bit grey; with 8 bits most pixels of a network have the same level",
        )
    if image.shape != tuple(shape):
        sizes = " pixels for a prediction of ".join(
            f"{one[1]}x{one[0]}" for one in (image.shape, shape)
        )
        raise UserError(f"{path}: {sizes}", "both must have the picture's size")
    return image
