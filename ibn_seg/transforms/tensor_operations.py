"""Apply the draws of `AppearanceTransform`s in PyTorch, on any device, with OpenCV's levels.

Images are (3, H, W) int32 tensors of levels 0..255, blue first. All arithmetic uses whole numbers
or is exact in its type, so it is the same on every device. Nothing waits for a GPU.
"""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import torch

from ibn_seg.errors import UserError
from ibn_seg.transforms.appearance import Operation
from ibn_seg.transforms.distortion import HUES
from ibn_seg.transforms.photometric import HUE_STEPS, blend_table, exact_factor, turn_table

# OpenCV's shares of blue, green and red in grey, in parts of 2^15 (color_rgb.simd.hpp).
_GREY = (3735, 19235, 9798)


def applied(image: torch.Tensor, operations: Sequence[Operation]) -> torch.Tensor:
    """Return an image after the operations drawn for it.

    Args:
        image: (3, H, W) BGR levels, uint8, or whole numbers 0..255 of another type.
        operations: The draws of `AppearanceTransform.draw`, in order.

    Returns:
        (3, H, W) of the image's type.

    Raises:
        UserError: The image does not have three channels, or an operation's name is unknown.
    """
    if not operations:
        return image
    if image.ndim != 3 or image.shape[0] != 3:
        raise UserError(
            f"AppearancePreProcessor: image of shape {tuple(image.shape)}", "allowed: (3, H, W)"
        )
    levels = image.int()
    for name, *drawn in operations:
        if name not in _OPERATIONS:
            raise UserError(f"AppearancePreProcessor: operation {name!r} is not known")
        levels = _OPERATIONS[name](levels, *drawn)
    return levels.to(image.dtype)


def _looked_up(image: torch.Tensor, table: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Return the entry of a table of 256 numbers for each number of a tensor."""
    table = torch.as_tensor(table, device=image.device).int()
    return table.index_select(0, image.reshape(-1)).view(image.shape)


def _brightness(image: torch.Tensor, factor: float) -> torch.Tensor:
    return _looked_up(image, blend_table(factor, 0.0))


def _contrast(image: torch.Tensor, factor: float) -> torch.Tensor:
    mean = _grey(image).sum(dtype=torch.int64).double() / image[0].numel()
    # `blend_table` with the mean as its centre. The order of the sums decides the last bit.
    ramp = torch.arange(256, dtype=torch.float64, device=image.device)
    return _looked_up(image, (factor * ramp + (1.0 - factor) * mean).clamp(0, 255))


def _saturation(image: torch.Tensor, factor: float) -> torch.Tensor:
    factor = exact_factor(factor)
    blended = image.float() * factor + _grey(image).float() * (1.0 - factor)
    return blended.round().clamp(0, 255).int()


def _hue(image: torch.Tensor, shift: float) -> torch.Tensor:
    """See `photometric.adjust_hue`."""
    lowest = image.amin(0)
    chroma = image.amax(0) - lowest
    position = _circle(image, chroma) * HUE_STEPS
    # The table has one chroma less, so it is added here; whole circles do not matter.
    position += _looked_up(chroma, turn_table(shift).astype(np.int32)) + chroma * HUE_STEPS
    one = chroma * HUE_STEPS
    position = torch.where(one > 0, position.remainder((6 * one).clamp(min=1)), 0)
    levels = torch.stack([
        2 * one - (position - 4 * one).abs(),
        2 * one - (position - 2 * one).abs(),
        (position - 3 * one).abs() - one,
    ])  # fmt: skip
    levels = torch.minimum(levels.clamp(min=0), one)
    return ((levels + HUE_STEPS // 2) // HUE_STEPS) + lowest


def _circle(image: torch.Tensor, chroma: torch.Tensor) -> torch.Tensor:
    """Return the positions on the colour circle, (H, W), -1..5 times the chroma."""
    blue, green, red = image
    highest = image.amax(0)
    position = torch.where(green == highest, blue - red + 2 * chroma, red - green + 4 * chroma)
    return torch.where(red == highest, green - blue, position)


def _grey(image: torch.Tensor) -> torch.Tensor:
    """Return OpenCV's 8-bit grey of a BGR image, (H, W)."""
    blue, green, red = (share * band for share, band in zip(_GREY, image, strict=True))
    return (blue + green + red + (1 << 14)) >> 15


def _hsv(image: torch.Tensor, channel: int, table: np.ndarray) -> torch.Tensor:
    """Return an image with a table applied to one channel of OpenCV's 8-bit HSV."""
    hsv = _to_hsv(image)
    hsv[channel] = _looked_up(hsv[channel], table)
    return _from_hsv(*hsv)


def _to_hsv(image: torch.Tensor) -> list[torch.Tensor]:
    """Return OpenCV's 8-bit hue (0..179), saturation and value, (H, W) each."""
    highest = image.amax(0)
    chroma = highest - image.amin(0)
    # OpenCV divides by tables of reciprocals in parts of 2^12 (color_hsv.simd.hpp).
    divisors = np.maximum(np.arange(256), 1)
    by_chroma, by_value = (np.rint(count * 4096 / divisors) for count in (HUES / 6, 255))
    saturation = (chroma * _looked_up(highest, by_value) + 2048) >> 12
    hue = (_circle(image, chroma) * _looked_up(chroma, by_chroma) + 2048) >> 12
    return [torch.where(hue < 0, hue + HUES, hue), saturation, highest]


def _from_hsv(hue: torch.Tensor, saturation: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Return the BGR image of OpenCV's 8-bit HSV channels.

    OpenCV converts by vectors, and pixel by pixel at the end of a row that they do not fill. The
    two differ by a level in three of four colours. A level affects the next conversion's hue, so
    both are taken from OpenCV itself, as tables of all colours.
    """
    height, width = hue.shape
    index = (hue * 256 + saturation) * 256 + value
    end = _vector_columns(width)
    parts = [
        _bgr_table(index.device, vectors).index_select(0, columns.reshape(-1)).view(height, -1, 3)
        for columns, vectors in ((index[:, :end], True), (index[:, end:], False))
        if columns.numel()
    ]
    return torch.cat(parts, dim=1).permute(2, 0, 1).int()


@lru_cache(maxsize=4)
def _bgr_table(device: torch.device, vectors: bool) -> torch.Tensor:
    """Return the BGR form of every 8-bit HSV colour, (180 * 256 * 256, 3) uint8: 35 MB."""
    hue, rest = np.divmod(np.arange(HUES << 16), 1 << 16)
    colors = np.stack([hue, rest >> 8, rest & 255], axis=-1).astype(np.uint8)
    # In a picture of one column no vector is filled.
    colors = colors.reshape((HUES, -1, 3) if vectors else (-1, 1, 3))
    return torch.from_numpy(cv2.cvtColor(colors, cv2.COLOR_HSV2BGR).reshape(-1, 3)).to(device)


@lru_cache(maxsize=64)
def _vector_columns(width: int) -> int:
    """Return the number of columns of a picture that OpenCV converts from HSV by vectors."""
    saturations = np.arange(256, dtype=np.uint8)[:, None]
    colors = np.stack([np.full_like(saturations, 7), saturations, saturations], axis=-1)
    by_vectors, found = (
        cv2.cvtColor(np.repeat(colors, columns, axis=1), cv2.COLOR_HSV2BGR)
        for columns in (4096, width)
    )
    differs = (found != by_vectors[:, :1]).any(axis=(0, 2))
    return int(differs.argmax()) if differs.any() else width


def _blur(image: torch.Tensor, sigma: float) -> torch.Tensor:
    """Blur as OpenCV does for 8-bit images: with whole numbers, mirrored at the borders."""
    taps = gaussian_taps(sigma)
    for axis in (2, 1):
        length = image.shape[axis]
        mirrored = np.pad(np.arange(length), len(taps) // 2, mode="reflect")
        mirrored = torch.from_numpy(mirrored).to(image.device)
        padded = image.index_select(axis, mirrored)
        image = sum(
            tap * padded.narrow(axis, offset, length) for offset, tap in enumerate(taps) if tap
        )
    return (image + (1 << 15)) >> 16


def gaussian_taps(sigma: float) -> list[int]:
    """Return OpenCV's blur weights for 8-bit images, as multiples of 1/256.

    They are measured, because OpenCV spreads their rounding errors in its own way.
    """
    side = 4 * int(np.ceil(sigma)) + 2
    row = np.zeros((1, 2 * side + 1), np.uint8)
    row[0, side] = 255
    taps = cv2.GaussianBlur(row, (0, 0), sigma)[0].tolist()
    taps[side] += 256 - sum(taps)
    used = np.flatnonzero(taps)
    return taps[used[0] : used[-1] + 1]


_OPERATIONS = {
    "brightness": _brightness,
    "contrast": _contrast,
    "saturation": _saturation,
    "hue": _hue,
    "levels": _looked_up,
    "hsv": _hsv,
    "blur": _blur,
}
