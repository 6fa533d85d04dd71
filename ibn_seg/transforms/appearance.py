"""Appearance changes: drawn by the data worker, applied there or on the network's device."""

import abc
from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from ibn_seg.errors import UserError

# Where a sample keeps the changes still to be made to its image; one of `PackSegInputs.meta_keys`.
RECORD = "appearance"
# (name, numbers or tables): a drawn change of one image. Both `AppearanceTransform.apply` and
# `tensor_operations.applied` know the meaning of each name, and give the same levels.
Operation = tuple


class AppearanceTransform(BaseTransform):
    """Base of the transforms that change colours and sharpness of an image, not its geometry.

    With `on_device=True` the image stays unchanged. The drawn changes go into the sample's record,
    and `AppearancePreProcessor` applies them to the batch on the network's device. The draws are
    the same, and so are the samples. All later steps except the packing step must then have it too,
    and the packing step's `meta_keys` must name 'appearance'. If the record would be lost, training
    stops with an error. Off by default: it is slower on a CPU, where it was tested, and has never
    been run on a GPU.

    Args:
        on_device: Leave the pixels to the data preprocessor.

    Raises:
        UserError: The image is not (H, W, 3) uint8.
    """

    def __init__(self, on_device: bool = False) -> None:
        if not isinstance(on_device, bool):
            raise UserError(f"{type(self).__name__}: {on_device=}", "allowed: True, False")
        self.on_device = on_device

    @abc.abstractmethod
    def draw(self) -> list[Operation]:
        """Draw an image's changes from numpy's global generator, in order."""

    @abc.abstractmethod
    def apply(self, image: np.ndarray, operation: Operation) -> np.ndarray:
        """Return an (H, W, 3) uint8 BGR image after a drawn operation."""

    def transform(self, results: dict) -> dict:
        """Change `results['img']`, or add the change to the record."""
        image = uint8_image(results, type(self).__name__)
        operations = self.draw()
        if self.on_device:
            results[RECORD] = [*results.get(RECORD, ()), *operations]
            return results
        for operation in operations:
            image = self.apply(image, operation)
        results["img"] = image
        return results


def check_range(owner: str, name: str, value: float, highest: float) -> None:
    """Raise the error for a setting outside 0..highest."""
    if not 0 <= value <= highest:
        allowed = "0 or more" if highest == np.inf else f"0..{highest:g}"
        raise UserError(f"{owner}: {name}={value!r}", f"allowed: {allowed}")


def check_pair(owner: str, name: str, pair: Sequence[float]) -> None:
    """Raise an error unless it is a (lowest, highest) of 0 or more."""
    if len(pair) != 2 or not 0 <= pair[0] <= pair[1]:
        raise UserError(f"{owner}: {name}={pair!r}", "give (lowest, highest)")


def uint8_image(results: dict, owner: str) -> np.ndarray:
    """Return `results['img']` if these transforms can work on it."""
    image = results["img"]
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise UserError(
            f"{owner}: image of shape {image.shape} and type {image.dtype}",
            "allowed: (H, W, 3) uint8; put it after LoadImageFromFile(to_float32=False)",
        )
    return image
