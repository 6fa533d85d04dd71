"""Random erasing (Zhong et al., AAAI 2020): a rectangle of the picture is painted over."""

import math
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS

from ibn_seg.errors import UserError

# BoT writes ImageNet's means into the normalised picture. There they are a light grey.
FILL = (0.485, 0.456, 0.406)
AREA = (0.02, 0.4)
RATIO = (0.3, 1 / 0.3)
TRIES = 100


def drawn_rectangle(
    height: int,
    width: int,
    generator: Any,
    area: tuple[float, float] = AREA,
    ratio: tuple[float, float] = RATIO,
) -> tuple[slice, slice] | None:
    """Draw a rectangle that is lower and narrower than the picture.

    Args:
        height: Height of the picture.
        width: Its width.
        generator: Has NumPy's `uniform` and `randint`, such as `np.random`.
        area: Smallest and largest share of the picture's area, drawn uniformly.
        ratio: Smallest and largest height over width, drawn uniformly.

    Returns:
        Rows and columns, or None if 100 draws gave only rectangles that are too large.
    """
    for _ in range(TRIES):
        pixels = generator.uniform(*area) * height * width
        shape = generator.uniform(*ratio)
        rows, columns = round(math.sqrt(pixels * shape)), round(math.sqrt(pixels / shape))
        if 0 < rows < height and 0 < columns < width:
            top = generator.randint(0, height - rows + 1)
            left = generator.randint(0, width - columns + 1)
            return slice(top, top + rows), slice(left, left + columns)
    return None


@TRANSFORMS.register_module()
class PaintRectangle(BaseTransform):
    """Paint over a random rectangle of `img`, (H, W, 3) float, in place.

    It helps at home and hurts across domains: leave it out of trainings for transfer.

    Args:
        prob: Share of pictures that are painted.
        fill: The painted values, one per channel, in the unit of `img`.
        area: Smallest and largest share of the picture's area.
        ratio: Smallest and largest height over width.

    Raises:
        UserError: A value is out of range.
    """

    def __init__(
        self,
        prob: float = 0.5,
        fill: tuple[float, ...] = FILL,
        area: tuple[float, float] = AREA,
        ratio: tuple[float, float] = RATIO,
    ) -> None:
        if not 0 <= prob <= 1:
            raise UserError(f"PaintRectangle: prob={prob!r}", "allowed: 0 to 1")
        if not 0 < area[0] <= area[1] <= 1 or not 0 < ratio[0] <= ratio[1]:
            raise UserError(
                f"PaintRectangle: area={area}, ratio={ratio}", "allowed: 0 < low <= high"
            )
        self.prob, self.fill, self.area, self.ratio = prob, fill, tuple(area), tuple(ratio)

    def transform(self, results: dict) -> dict:
        """Paint, with NumPy's global generator, which the seed of sample and position decides."""
        image = results["img"]
        if np.random.uniform() < self.prob:
            place = drawn_rectangle(*image.shape[:2], np.random, self.area, self.ratio)
            if place is not None:
                image[place] = self.fill
        return results
