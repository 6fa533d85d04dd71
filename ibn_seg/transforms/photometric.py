"""Photometric augmentation with torchvision's meaning, on BGR uint8 images, by OpenCV.

All random numbers come from numpy's global generator, as in mmcv's own transforms, so the training
loop's seed per sample controls them. Every operation uses whole numbers, or is exact in the type of
its computation. `tensor_operations` therefore gives the same levels on any device.
"""

import cv2
import numpy as np
from mmengine.registry import TRANSFORMS

from ibn_seg.errors import UserError
from ibn_seg.transforms.appearance import AppearanceTransform, Operation, check_range

# Parts of a level in which `adjust_hue` counts: the largest power of two that fits 16 bits.
HUE_STEPS = 16
# Pixels that are turned at once. The buffers of a whole 768x768 image may return to the system
# after each use, which costs more than the arithmetic.
_STRIP = 1 << 17


def adjust_brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """Scale an (H, W, 3) uint8 image: 0 gives black, 1 the image itself."""
    return cv2.LUT(image, blend_table(factor, 0.0))


def adjust_contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Blend an (H, W, 3) uint8 BGR image with its mean grey: 0 gives that grey, 1 the image."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return cv2.LUT(image, blend_table(factor, (1.0 - factor) * (cv2.sumElems(grey)[0] / grey.size)))


def adjust_saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """Blend an (H, W, 3) uint8 BGR image with its grey version: 0 gives grey, 1 the image."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    factor = exact_factor(factor)
    return cv2.addWeighted(image, factor, grey, 1.0 - factor, 0.0)


def adjust_hue(image: np.ndarray, shift: float) -> np.ndarray:
    """Rotate the hue of an (H, W, 3) uint8 BGR image by `shift` turns, -0.5..0.5.

    A rotation keeps the levels of the highest and the lowest channel; their difference is the
    chroma. In units of the chroma, the position on the colour circle is the hue of HSV. It runs in
    0..6 from red over green (2) and blue (4). Multiplied by the chroma it is a whole number that
    fits 16 bits. OpenCV's 8-bit HSV would be off by up to 12 levels; this is off by 1 at most.
    """
    rows = max(1, _STRIP // image.shape[1])
    table = turn_table(shift)
    turned = np.empty_like(image)
    for top in range(0, len(image), rows):
        turned[top : top + rows] = _turned(image[top : top + rows], table)
    return turned


def _turned(image: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return some rows of an image with their hue turned by a `turn_table`."""
    bands = blue, green, red = cv2.split(image)
    highest = cv2.max(cv2.max(blue, green), red)
    lowest = cv2.min(cv2.min(blue, green), red)
    chroma = cv2.subtract(highest, lowest)
    is_green, is_red = (cv2.compare(x, highest, cv2.CMP_EQ) for x in (green, red))
    chroma_16, blue, green, red = (x.astype(np.int16) for x in (chroma, *bands))
    double = chroma_16 + chroma_16
    triple = double + chroma_16
    # The position plus one chroma, so that no value is negative; `turn_table` subtracts it again.
    position = red - green
    position += double
    position += triple
    green -= blue
    green += chroma_16
    blue -= red
    blue += triple
    cv2.copyTo(blue, is_green, position)
    cv2.copyTo(green, is_red, position)
    for number in (position, chroma_16, double, triple):
        number *= HUE_STEPS
    turned = position.view(np.uint16)
    turned += cv2.LUT(chroma, table)
    # Under a full circle the difference wraps to a large number.
    over = np.subtract(turned, (triple + triple).view(np.uint16), out=red.view(np.uint16))
    np.minimum(turned, over, out=turned)
    levels = (
        double - cv2.absdiff(position, double + double),
        double - cv2.absdiff(position, double),
        cv2.absdiff(position, triple) - chroma_16,
    )
    return cv2.merge([_channel(level, chroma_16, lowest) for level in levels])


def _channel(level: np.ndarray, chroma: np.ndarray, lowest: np.ndarray) -> np.ndarray:
    """Return a channel whose level above the lowest, cut to 0..chroma, is given in steps."""
    np.maximum(level, 0, out=level)
    np.minimum(level, chroma, out=level)
    level += HUE_STEPS // 2
    level >>= HUE_STEPS.bit_length() - 1
    return cv2.add(level.astype(np.uint8), lowest)


def turn_table(shift: float) -> np.ndarray:
    """Return the steps of a rotation by chroma, less one chroma: (256,) uint16."""
    chroma = np.arange(256)
    full = 6 * HUE_STEPS * chroma
    steps = np.rint(full * (shift % 1.0)).astype(np.int64) - HUE_STEPS * chroma
    return (steps % np.maximum(full, 1)).astype(np.uint16)


def blend_table(factor: float, offset: float) -> np.ndarray:
    """Return the (256,) uint8 table of factor * value + offset, clipped as in torchvision."""
    return np.clip(factor * np.arange(256) + offset, 0, 255).astype(np.uint8)


def exact_factor(factor: float) -> float:
    """Round to 1/4096: float32 then holds products with levels exactly, for factors below 16."""
    return round(factor * 4096) / 4096


@TRANSFORMS.register_module()
class ColorJitter(AppearanceTransform):
    """Change brightness, contrast, saturation and hue, as torchvision's `ColorJitter`.

    Each of the four is applied once, in random order. Factors are uniform in [max(0, 1 - x), 1 +
    x]. The hue shift is uniform in [-hue, hue] turns. RobustNet (Choi et al., CVPR 2021) uses
    0.4/0.4/0.4/0.1 with probability 0.5.

    Required and modified key: `img`, (H, W, 3) uint8 BGR.

    Args:
        brightness: Half-width of the brightness factor, at least 0.
        contrast: Half-width of the contrast factor, at least 0.
        saturation: Half-width of the saturation factor, at least 0.
        hue: Half-width of the shift of the hue in turns, 0..0.5.
        prob: Probability with which an image is changed at all.
        on_device: See `AppearanceTransform`.

    Raises:
        UserError: A value is out of its range, or the image is not (H, W, 3) uint8.
    """

    def __init__(
        self,
        brightness: float = 0.4,
        contrast: float = 0.4,
        saturation: float = 0.4,
        hue: float = 0.1,
        prob: float = 1.0,
        on_device: bool = False,
    ) -> None:
        super().__init__(on_device)
        check_range("ColorJitter", "brightness", brightness, np.inf)
        check_range("ColorJitter", "contrast", contrast, np.inf)
        check_range("ColorJitter", "saturation", saturation, np.inf)
        check_range("ColorJitter", "hue", hue, 0.5)
        check_range("ColorJitter", "prob", prob, 1.0)
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation
        self.hue = hue
        self.prob = prob

    def draw(self) -> list[Operation]:
        """Draw ('brightness', 'contrast', 'saturation' or 'hue', number) for each change."""
        if np.random.random() >= self.prob:
            return []
        ranges = [
            ("brightness", max(0.0, 1 - self.brightness), 1 + self.brightness),
            ("contrast", max(0.0, 1 - self.contrast), 1 + self.contrast),
            ("saturation", max(0.0, 1 - self.saturation), 1 + self.saturation),
            ("hue", -self.hue, self.hue),
        ]
        order = [ranges[index] for index in np.random.permutation(len(ranges))]
        return [(name, np.random.uniform(low, high)) for name, low, high in order if low < high]

    def apply(self, image: np.ndarray, operation: Operation) -> np.ndarray:
        """Return the image after one of the four changes."""
        adjust = {
            "brightness": adjust_brightness,
            "contrast": adjust_contrast,
            "saturation": adjust_saturation,
            "hue": adjust_hue,
        }
        name, number = operation
        return adjust[name](image, number)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(brightness={self.brightness}, contrast={self.contrast}, "
            f"saturation={self.saturation}, hue={self.hue}, prob={self.prob}, "
            f"on_device={self.on_device})"
        )


@TRANSFORMS.register_module()
class RandomGaussianBlur(AppearanceTransform):
    """Blur by a Gaussian of random width, as RobustNet (Choi et al., CVPR 2021) does.

    Required and modified key: `img`, (H, W, 3) uint8.

    Args:
        sigma: Range of the standard deviation in pixels, drawn uniformly.
        prob: Probability with which an image is blurred at all.
        on_device: See `AppearanceTransform`.

    Raises:
        UserError: A value is out of its range, or the image is not (H, W, 3) uint8.
    """

    def __init__(
        self,
        sigma: tuple[float, float] = (0.15, 1.3),
        prob: float = 1.0,
        on_device: bool = False,
    ) -> None:
        super().__init__(on_device)
        if len(sigma) != 2 or not 0 < sigma[0] <= sigma[1]:
            raise UserError(
                f"RandomGaussianBlur: sigma={sigma!r}", "allowed: 0 < lowest <= highest"
            )
        check_range("RandomGaussianBlur", "prob", prob, 1.0)
        self.sigma = tuple(sigma)
        self.prob = prob

    def draw(self) -> list[Operation]:
        """Draw ('blur', standard deviation), or nothing."""
        return [("blur", np.random.uniform(*self.sigma))] if np.random.random() < self.prob else []

    def apply(self, image: np.ndarray, operation: Operation) -> np.ndarray:
        """Return the blurred image."""
        return cv2.GaussianBlur(image, (0, 0), operation[1])

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(sigma={self.sigma}, prob={self.prob}, "
            f"on_device={self.on_device})"
        )
