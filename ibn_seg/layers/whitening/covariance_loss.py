"""The losses of IW, IRW and ISW: off-diagonal covariances of instance-normalised maps.

Source: Choi et al., CVPR 2021 (RobustNet), arXiv:2103.15597, and its released code.
"""

import torch

from ibn_seg.layers.wide import full_precision, wide


def instance_covariance(whitened: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    """Return the covariance of the channels of each image.

    It divides by H W - 1, whereas instance norm divides by H W. So the diagonal is not exactly 1.

    Args:
        whitened: Maps after an instance norm without scale and shift, (N, C, H, W).
        eps: Added to the diagonal.

    Returns:
        (N, C, C), at least float32.
    """
    with full_precision(whitened):
        rows = wide(whitened).flatten(2)
        identity = torch.eye(rows.size(1), dtype=rows.dtype, device=rows.device)
        return rows @ rows.transpose(1, 2) / (rows.size(2) - 1) + eps * identity


def upper_triangle(channels: int, device: torch.device | None = None) -> torch.Tensor:
    """Return the mask of IW and IRW: True strictly above the diagonal, (channels, channels)."""
    ones = torch.ones(channels, channels, dtype=torch.bool, device=device)
    return ones.triu(1)


def relaxed_margin(channels: int, divisor: float) -> int:
    """Return IRW's margin: so many of the pairs of channels may correlate fully.

    Args:
        channels: Number of channels.
        divisor: 64 for GTA5, 32 for Cityscapes in the paper; 0 gives IW's margin of 0.
    """
    return int(channels * (channels - 1) / 2 // divisor) if divisor else 0


def whitening_loss(
    whitened: torch.Tensor, mask: torch.Tensor, margin: float = 0.0, eps: float = 1e-5
) -> torch.Tensor:
    """Return the mean over images of max((sum of masked |covariance| - margin) / n, 0).

    n is the number of selected entries. Without any the loss is 0; the released code gives NaN.

    Args:
        whitened: Maps after an instance norm without scale and shift, (N, C, H, W).
        mask: The selected entries of the covariance, (C, C) bool.
        margin: What an image may have without loss.
        eps: Added to the diagonal of the covariance.

    Returns:
        A scalar, at least float32.
    """
    return masked_loss(instance_covariance(whitened, eps), mask, margin)


def masked_loss(covariance: torch.Tensor, mask: torch.Tensor, margin: float) -> torch.Tensor:
    """Return the loss of covariances (N, C, C); see `whitening_loss`."""
    chosen = mask.to(covariance.dtype)
    sums = (covariance * chosen).abs().sum((1, 2))
    return ((sums - margin) / chosen.sum().clamp(min=1)).clamp(min=0).mean()
