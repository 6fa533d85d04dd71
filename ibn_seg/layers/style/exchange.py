"""AdaIN, pAdaIN and CrossNorm: give an image the feature statistics of another."""

from collections.abc import Sequence

import numpy as np
import torch

from ibn_seg.errors import UserError
from ibn_seg.layers.style.draws import partners
from ibn_seg.layers.style.randomiser import Randomiser
from ibn_seg.layers.wide import full_precision, moments, wide

# Rows from, columns from, rows to, columns to; the ends are exclusive.
Box = tuple[int, int, int, int]


def adain(x: torch.Tensor, style: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    """Return maps with the channel statistics of other maps.

    Unbiased variances, eps inside both roots, gradients through both. Source: Huang and Belongie,
    ICCV 2017, arXiv:1703.06868, as in the code of WildNet.

    Args:
        x: Feature maps, (N, C, H, W).
        style: The maps with the wanted statistics, (N, C, any, any).
        eps: Added to the variances.

    Returns:
        (N, C, H, W), at least float32.
    """
    with full_precision(x):
        x = wide(x)
        mean, std = moments(x, eps)
        new_mean, new_std = moments(style, eps)
        return (x - mean) / std * new_std + new_mean


def permuted_adain(x: torch.Tensor, partner: Sequence[int], eps: float = 1e-5) -> torch.Tensor:
    """Return maps with the statistics of each image's partner, which are constants.

    The content's standard deviation gets eps once more, outside the root. Source: Nuriel et al.,
    CVPR 2021 (pAdaIN), arXiv:2010.05785, and its code.

    Args:
        x: Feature maps, (N, C, H, W).
        partner: The partner of each image.
        eps: Added to the unbiased variances.

    Returns:
        (N, C, H, W), at least float32.
    """
    with full_precision(x):
        x = wide(x)
        mean, std = moments(x, eps)
        new_mean, new_std = mean.detach()[list(partner)], std.detach()[list(partner)]
        return (x - mean) / (std + eps) * new_std + new_mean


def cross_norm(
    x: torch.Tensor, partner: Sequence[int], box: Box | None = None, eps: float = 1e-5
) -> torch.Tensor:
    """Return maps with the statistics of each image's partner, or of a box of it.

    Source: Tang et al., ICCV 2021 (CrossNorm and SelfNorm), arXiv:2102.02811, and its code.

    Args:
        x: Feature maps, (N, C, H, W).
        partner: The partner of each image.
        box: The part of the partner whose statistics count; None: the whole map.
        eps: Added to the unbiased variances.

    Returns:
        (N, C, H, W), at least float32.
    """
    style = x[list(partner)]
    if box is not None:
        top, left, bottom, right = box
        style = style[:, :, top:bottom, left:right]
    return adain(x, style, eps)


class PAdaIN(Randomiser):
    """Permuted AdaIN; see `permuted_adain`.

    Args:
        p: Probability of a change, once per batch and layer.
        eps: Added to the variances.
    """

    def __init__(self, p: float = 0.01, eps: float = 1e-5) -> None:
        super().__init__(p)
        self.eps = eps

    def draw(self, x: torch.Tensor) -> list[int]:
        """Draw each image's partner."""
        batch = self.draws.of_batch(self.number)
        batch.random()  # the gate's number
        return partners(batch, len(x))

    def change(self, x: torch.Tensor, drawn: list[int]) -> torch.Tensor:
        """Return the maps with their partners' statistics."""
        return permuted_adain(x, drawn, self.eps)


class CrossNorm(Randomiser):
    """CrossNorm; see `cross_norm`. In a batch, one of its layers or none is active.

    Args:
        p: Probability that a batch is changed, by one of the layers.
        crop: 'neither', or 'style' for the statistics of a box of the partner.
        beta: Both parameters of the Beta distribution of the box's area.
        least: The least share of the map in the box, exclusive.
        eps: Added to the variances.

    Raises:
        UserError: A value is out of its range.
    """

    def __init__(
        self,
        p: float = 0.5,
        crop: str = "neither",
        beta: float = 1.0,
        least: float = 0.1,
        eps: float = 1e-5,
    ) -> None:
        super().__init__(p)
        if crop not in ("neither", "style") or beta <= 0 or not 0 <= least < 1:
            raise UserError(
                f"CrossNorm: {crop=}, {beta=}, {least=}",
                "allowed: neither or style, beta above 0, least in 0..1",
            )
        self.crop = crop
        self.beta = beta
        self.least = least
        self.eps = eps

    def is_open(self) -> bool:
        """Draw whether the batch is changed, and by this layer."""
        batch = self.draws.of_batch(self.first)
        active = self.first + batch.integers(self.places)
        return batch.random() < self.p and active == self.number

    def draw(self, x: torch.Tensor) -> tuple[list[int], Box | None]:
        """Draw each image's partner, and the box."""
        batch = self.draws.of_batch(self.number)
        batch.random(2)  # the gate's numbers
        partner = partners(batch, len(x))
        return partner, self._box(batch, *x.shape[2:]) if self.crop == "style" else None

    def change(self, x: torch.Tensor, drawn: tuple[list[int], Box | None]) -> torch.Tensor:
        """Return the maps with their partners' statistics."""
        return cross_norm(x, *drawn, self.eps)

    def _box(self, batch: np.random.Generator, height: int, width: int) -> Box:
        """Draw a box with the map's aspect, cut at its border, of more than the least share."""
        while True:
            side = np.sqrt(batch.beta(self.beta, self.beta))
            tall, wide_ = int(height * side), int(width * side)
            row, column = batch.integers(height), batch.integers(width)
            box = (
                max(row - tall // 2, 0), max(column - wide_ // 2, 0),
                min(row + tall // 2, height), min(column + wide_ // 2, width),
            )  # fmt: skip
            area = (box[2] - box[0]) * (box[3] - box[1])
            # A single pixel has no variance.
            if area > max(self.least * height * width, 1) or height * width < 4:
                return box if area > 1 else (0, 0, height, width)
