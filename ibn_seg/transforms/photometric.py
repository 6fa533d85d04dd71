"""Photometric augmentation with torchvision's meaning, on BGR uint8 images, by OpenCV.

All randomness is drawn from numpy's global generator, as in mmcv's own transforms, so that the
training loop's seed per sample governs it.
"""

from collections.abc import Callable

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS

from ibn_seg.errors import UserError


def adjust_brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """Scale an (H, W, 3) uint8 image: 0 gives black, 1 the image itself."""
    return cv2.LUT(image, _blend_table(factor, 0.0))


def adjust_contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Blend an (H, W, 3) uint8 BGR image with its mean grey: 0 gives that grey, 1 the image."""
    mean = cv2.mean(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))[0]
    return cv2.LUT(image, _blend_table(factor, (1.0 - factor) * mean))


def adjust_saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """Blend an (H, W, 3) uint8 BGR image with its grey version: 0 gives grey, 1 the image."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return cv2.addWeighted(image, factor, cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), 1.0 - factor, 0.0)


def adjust_hue(image: np.ndarray, shift: float) -> np.ndarray:
    """Rotate the hue of an (H, W, 3) uint8 BGR image by `shift` turns, -0.5..0.5."""
    # 8-bit HSV is four times faster but off by up to 12 levels; this is off by 1 at most.
    hsv = cv2.cvtColor(image.astype(np.float32), cv2.COLOR_BGR2HSV)
    hue = hsv[..., 0]
    hue += 360.0 * shift
    np.mod(hue, 360.0, out=hue)
    return cv2.convertScaleAbs(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR))


@TRANSFORMS.register_module()
class ColorJitter(BaseTransform):
    """Change brightness, contrast, saturation and hue, as torchvision's `ColorJitter`.

    Each of the four is applied once, in random order. Factors are uniform in
    [max(0, 1 - x), 1 + x], the shift of the hue uniform in [-hue, hue] turns. RobustNet (Choi et
    al., CVPR 2021) uses 0.4/0.4/0.4/0.1 with probability 0.5.

    Required and modified key: `img`, (H, W, 3) uint8 BGR.

    Args:
        brightness: Half-width of the brightness factor, at least 0.
        contrast: Half-width of the contrast factor, at least 0.
        saturation: Half-width of the saturation factor, at least 0.
        hue: Half-width of the shift of the hue in turns, 0..0.5.
        prob: Probability with which an image is changed at all.

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
    ) -> None:
        _check_range("ColorJitter", "brightness", brightness, np.inf)
        _check_range("ColorJitter", "contrast", contrast, np.inf)
        _check_range("ColorJitter", "saturation", saturation, np.inf)
        _check_range("ColorJitter", "hue", hue, 0.5)
        _check_range("ColorJitter", "prob", prob, 1.0)
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation
        self.hue = hue
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Jitter `results['img']`."""
        image = uint8_image(results, "ColorJitter")
        if np.random.random() >= self.prob:
            return results
        steps: list[tuple[Callable, float, float]] = [
            (adjust_brightness, max(0.0, 1 - self.brightness), 1 + self.brightness),
            (adjust_contrast, max(0.0, 1 - self.contrast), 1 + self.contrast),
            (adjust_saturation, max(0.0, 1 - self.saturation), 1 + self.saturation),
            (adjust_hue, -self.hue, self.hue),
        ]
        for index in np.random.permutation(len(steps)):
            adjust, low, high = steps[index]
            if low < high:
                image = adjust(image, np.random.uniform(low, high))
        results["img"] = image
        return results

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(brightness={self.brightness}, contrast={self.contrast}, "
            f"saturation={self.saturation}, hue={self.hue}, prob={self.prob})"
        )


@TRANSFORMS.register_module()
class RandomGaussianBlur(BaseTransform):
    """Blur by a Gaussian of random width, as RobustNet (Choi et al., CVPR 2021) does.

    Required and modified key: `img`, (H, W, 3) uint8.

    Args:
        sigma: Range of the standard deviation in pixels, drawn uniformly.
        prob: Probability with which an image is blurred at all.

    Raises:
        UserError: A value is out of its range, or the image is not (H, W, 3) uint8.
    """

    def __init__(self, sigma: tuple[float, float] = (0.15, 1.3), prob: float = 1.0) -> None:
        if len(sigma) != 2 or not 0 < sigma[0] <= sigma[1]:
            raise UserError(
                f"RandomGaussianBlur: sigma={sigma!r}", "allowed: 0 < lowest <= highest"
            )
        _check_range("RandomGaussianBlur", "prob", prob, 1.0)
        self.sigma = tuple(sigma)
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Blur `results['img']`."""
        image = uint8_image(results, "RandomGaussianBlur")
        if np.random.random() < self.prob:
            results["img"] = cv2.GaussianBlur(image, (0, 0), np.random.uniform(*self.sigma))
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(sigma={self.sigma}, prob={self.prob})"


def _blend_table(factor: float, offset: float) -> np.ndarray:
    """Return the (256,) uint8 table of factor * value + offset, cut off as torchvision does."""
    return np.clip(factor * np.arange(256) + offset, 0, 255).astype(np.uint8)


def _check_range(owner: str, name: str, value: float, highest: float) -> None:
    """Raise the error for a setting outside 0..highest."""
    if not 0 <= value <= highest:
        allowed = "0 or more" if highest == np.inf else f"0..{highest:g}"
        raise UserError(f"{owner}: {name}={value!r}", f"allowed: {allowed}")


def uint8_image(results: dict, owner: str) -> np.ndarray:
    """Return `results['img']` if it is the kind of image that these transforms work on."""
    image = results["img"]
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise UserError(
            f"{owner}: image of shape {image.shape} and type {image.dtype}",
            "allowed: (H, W, 3) uint8; put it after LoadImageFromFile(to_float32=False)",
        )
    return image
