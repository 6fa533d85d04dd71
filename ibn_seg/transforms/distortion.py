"""mmseg's `PhotoMetricDistortion` on uint8 throughout: equal pixels, same draws, less time."""

from collections.abc import Sequence

import cv2
import numpy as np
from mmengine.registry import TRANSFORMS

from ibn_seg.errors import UserError
from ibn_seg.transforms.appearance import AppearanceTransform, Operation, check_pair

HUES = 180  # OpenCV's 8-bit hue counts in steps of two degrees.


@TRANSFORMS.register_module()
class Uint8PhotoMetricDistortion(AppearanceTransform):
    """Distort brightness, contrast, saturation and hue, each with probability 0.5.

    For the same state of numpy's generator, it gives the same result as mmseg's
    `PhotoMetricDistortion` and draws in the same order. Every step except the colour conversions is
    a table of 256 values. Consecutive steps share one table.

    Required and modified key: `img`, (H, W, 3) uint8 BGR.

    Args:
        brightness_delta: The largest change of all channels, up or down.
        contrast_range: Lowest and highest factor of all channels.
        saturation_range: Lowest and highest factor of the saturation.
        hue_delta: Largest turn of the hue, in steps of two degrees.
        on_device: See `AppearanceTransform`.

    Raises:
        UserError: The image is not (H, W, 3) uint8.
    """

    def __init__(
        self,
        brightness_delta: int = 32,
        contrast_range: Sequence[float] = (0.5, 1.5),
        saturation_range: Sequence[float] = (0.5, 1.5),
        hue_delta: int = 18,
        on_device: bool = False,
    ) -> None:
        super().__init__(on_device)
        check_pair("Uint8PhotoMetricDistortion", "contrast_range", contrast_range)
        check_pair("Uint8PhotoMetricDistortion", "saturation_range", saturation_range)
        if not isinstance(hue_delta, int) or hue_delta < 1 or brightness_delta < 0:
            raise UserError(
                f"Uint8PhotoMetricDistortion: {brightness_delta=}, {hue_delta=}",
                "allowed: 0 or more, and whole numbers from 1",
            )
        self.brightness_delta = brightness_delta
        self.contrast_range = tuple(contrast_range)
        self.saturation_range = tuple(saturation_range)
        self.hue_delta = hue_delta

    def draw(self) -> list[Operation]:
        """Draw ('levels', table) for all channels, ('hsv', channel, table) for one of HSV."""
        # The order of the draws is mmseg's.
        operations: list[Operation] = []
        table = _ramp()
        if np.random.randint(2):
            table = _scaled(
                table, 1, np.random.uniform(-self.brightness_delta, self.brightness_delta)
            )
        contrast_first = np.random.randint(2) == 1
        if contrast_first:
            table = self._contrast(table)
        operations.append(("levels", table))
        if np.random.randint(2):
            factor = np.random.uniform(*self.saturation_range)
            operations.append(("hsv", 1, _scaled(_ramp(), factor, 0)))
        if np.random.randint(2):
            turn = np.random.randint(-self.hue_delta, self.hue_delta)
            operations.append(("hsv", 0, ((np.arange(256) + turn) % HUES).astype(np.uint8)))
        if not contrast_first:
            operations.append(("levels", self._contrast(_ramp())))
        return [drawn for drawn in operations if not _changes_nothing(drawn)]

    def apply(self, image: np.ndarray, operation: Operation) -> np.ndarray:
        """Return the image after a table was applied to all channels, or to one of its HSV form."""
        if operation[0] == "levels":
            return cv2.LUT(image, operation[1])
        _, channel, table = operation
        tables = np.stack([_ramp()] * 3, axis=-1)[None]
        tables[..., channel] = table
        hsv = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), tables)
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)

    def _contrast(self, table: np.ndarray) -> np.ndarray:
        """Return a table followed by a random contrast."""
        if np.random.randint(2):
            return _scaled(table, np.random.uniform(*self.contrast_range), 0)
        return table

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(brightness_delta={self.brightness_delta}, "
            f"contrast_range={self.contrast_range}, saturation_range={self.saturation_range}, "
            f"hue_delta={self.hue_delta}, on_device={self.on_device})"
        )


def _ramp() -> np.ndarray:
    return np.arange(256, dtype=np.uint8)


def _scaled(table: np.ndarray, factor: float, offset: float) -> np.ndarray:
    """Return a (256,) uint8 table with a scaling added, in float32 and clipped as in mmseg."""
    return np.clip(table.astype(np.float32) * factor + offset, 0, 255).astype(np.uint8)


def _changes_nothing(operation: Operation) -> bool:
    """Tell whether an operation changes no image; a conversion to HSV always may."""
    return operation[0] == "levels" and np.array_equal(operation[1], _ramp())
