"""DSU and NP+: add noise to feature statistics, as large as the batch makes plausible."""

import numpy as np
import torch

from ibn_seg.layers.style.draws import on_device
from ibn_seg.layers.style.randomiser import Randomiser
from ibn_seg.layers.wide import full_precision, moments, wide


def uncertain_statistics(
    x: torch.Tensor, mean_noise: torch.Tensor, std_noise: torch.Tensor, eps: float = 1e-6
) -> torch.Tensor:
    """Return maps whose statistics moved by noise of the batch's own deviation.

    The gradient goes through everything. Source: Li et al., ICLR 2022 (DSU), arXiv:2202.03958, and
    its code.

    Args:
        x: Feature maps, (N, C, H, W), of at least two images.
        mean_noise: Standard normal numbers for the means, (N, C).
        std_noise: The same for the standard deviations.
        eps: Added to all variances, which are unbiased.

    Returns:
        (N, C, H, W), at least float32.
    """
    with full_precision(x):
        x = wide(x)
        mean, std = moments(x, eps)
        mean_deviation = (mean.var(0, keepdim=True) + eps).sqrt()
        std_deviation = (std.var(0, keepdim=True) + eps).sqrt()
        new_mean = mean + mean_noise[..., None, None] * mean_deviation
        new_std = std + std_noise[..., None, None] * std_deviation
        return (x - mean) / std * new_std + new_mean


def perturbed_statistics(
    x: torch.Tensor, alpha: torch.Tensor, beta_noise: torch.Tensor, scale: float = 1.5
) -> torch.Tensor:
    """Return alpha (x - mean) + beta mean with beta = 1 + beta_noise scale D / max(D).

    D is the unbiased standard deviation of the means over the batch, by channel. The gradient goes
    through everything. Source: NP+ in the code of MRFP; the equation of its paper differs.

    Args:
        x: Feature maps, (N, C, H, W), of at least two images.
        alpha: Factors of the contrast, (N, C, 1, 1).
        beta_noise: Noise of the means, of the same shape.
        scale: Factor of the noise of the means.

    Returns:
        (N, C, H, W), at least float32.
    """
    with full_precision(x):
        x = wide(x)
        mean = x.mean((2, 3), keepdim=True)
        deviation = mean.std(0, keepdim=True)
        # Maps without any deviation, such as two equal images, would divide 0 by 0.
        largest = deviation.amax(1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
        beta = 1 + beta_noise * scale * deviation / largest
        return alpha * (x - mean) + beta * mean


def _normal(layer: Randomiser, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw two standard normal numbers for each image and channel: two tensors (N, C)."""
    images = layer.draws.of_images(layer.number, len(x))
    noise = np.stack([image.standard_normal((2, x.size(1))) for image in images])
    first, second = on_device(noise, x).unbind(1)
    return first, second


class DSU(Randomiser):
    """Domain shifts with uncertainty; see `uncertain_statistics`.

    A batch of one image has no deviation and stays as it is; the released code gives NaN.

    Args:
        p: Probability of a change, once per batch and layer.
        eps: Added to the variances.
        factor: Factor of the noise.
    """

    least_images = 2

    def __init__(self, p: float = 0.5, eps: float = 1e-6, factor: float = 1.0) -> None:
        super().__init__(p)
        self.eps = eps
        self.factor = factor

    def draw(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw the noise of means and standard deviations."""
        first, second = _normal(self, x)
        return self.factor * first, self.factor * second

    def change(self, x: torch.Tensor, drawn: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Return the maps with moved statistics."""
        return uncertain_statistics(x, *drawn, self.eps)


class NormalizationPerturbationPlus(Randomiser):
    """NP+; see `perturbed_statistics`. All its layers in a network share one gate.

    A batch of one image has no deviation and stays as it is; the released code gives NaN.

    Args:
        p: Probability of a change, once per batch for all layers.
        std: Standard deviation of both noises.
        scale: Factor of the noise of the means.
    """

    least_images = 2
    common_gate = True

    def __init__(self, p: float = 0.5, std: float = 0.75, scale: float = 1.5) -> None:
        super().__init__(p)
        self.std = std
        self.scale = scale

    def draw(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw the factors of the contrast, and the noise of the means."""
        first, second = (self.std * noise[..., None, None] for noise in _normal(self, x))
        return 1 + first, second

    def change(self, x: torch.Tensor, drawn: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Return the perturbed maps."""
        return perturbed_statistics(x, *drawn, self.scale)
