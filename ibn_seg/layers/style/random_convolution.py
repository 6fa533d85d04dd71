"""RandConv: a small random convolution of the normalised images."""

import numpy as np
import torch
from torch.nn import functional as F

from ibn_seg.errors import UserError
from ibn_seg.layers.style.draws import on_device
from ibn_seg.layers.style.randomiser import Randomiser
from ibn_seg.layers.wide import full_precision, wide

KERNELS = (1, 3, 5, 7)


def random_convolution(
    images: torch.Tensor, weight: torch.Tensor, share: float = 1.0
) -> torch.Tensor:
    """Return share * (images * weight) + (1 - share) * images, with zeros around the images.

    Nothing is clipped or normalised again. Source: Xu et al., ICLR 2021 (RandConv),
    arXiv:2007.13003, and its code.

    Args:
        images: Normalised images, (N, C, H, W).
        weight: The kernel, (C, C, k, k) with odd k.
        share: The share of the convolved image; 1: nothing of the original is left.

    Returns:
        (N, C, H, W), at least float32.
    """
    with full_precision(images):
        images = wide(images)
        changed = F.conv2d(images, weight.to(images.dtype), padding=weight.size(-1) // 2)
        return share * changed + (1 - share) * images


class RandConv(Randomiser):
    """One random convolution per batch; see `random_convolution`. It stands before the network.

    The kernel's side is uniform in `kernel_sizes`; weights are normal with variance 1 / (C k^2).

    Args:
        p: Probability of a change: 1 for 'mix', 0.5 for 'img' in the paper.
        mixing: 'mix': the share is uniform in 0..1. Else ('img') nothing of the original is left.
        kernel_sizes: Odd sides to choose from.

    Raises:
        UserError: A kernel has no centre.
    """

    def __init__(
        self, p: float = 1.0, mixing: bool = True, kernel_sizes: tuple[int, ...] = KERNELS
    ) -> None:
        super().__init__(p)
        if not kernel_sizes or not all(
            isinstance(size, int) and size > 0 and size % 2 for size in kernel_sizes
        ):
            raise UserError(f"RandConv: {kernel_sizes=}", "give odd whole numbers, such as 1, 3")
        self.mixing = mixing
        self.kernel_sizes = tuple(kernel_sizes)

    def draw(self, x: torch.Tensor) -> tuple[torch.Tensor, float]:
        """Draw the kernel and the share."""
        batch = self.draws.of_batch(self.number)
        batch.random()  # the gate's number
        side = int(batch.choice(self.kernel_sizes))
        channels = x.size(1)
        weight = batch.standard_normal((channels, channels, side, side))
        share = float(batch.random()) if self.mixing else 1.0
        return on_device(weight / np.sqrt(channels * side * side), x), share

    def change(self, x: torch.Tensor, drawn: tuple[torch.Tensor, float]) -> torch.Tensor:
        """Return the convolved images."""
        return random_convolution(x, *drawn)
