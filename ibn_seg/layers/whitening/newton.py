"""The whitening matrix of a covariance, by Newton's iteration."""

import torch


def inverse_root(covariance: torch.Tensor, steps: int) -> torch.Tensor:
    """Return an approximation of covariance^(-1/2).

    Newton's iteration on the covariance over its trace, which makes it converge. It starts from the
    identity: P <- 1.5 P - 0.5 P^3 S. Source: Huang et al., CVPR 2019 (IterNorm), equation 4.

    Args:
        covariance: Positive definite matrices, (..., k, k).
        steps: How many steps, T of the papers; both use 5.

    Returns:
        Matrices of the same shape.
    """
    trace = covariance.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    normed = covariance / trace
    root = torch.eye(covariance.size(-1), dtype=covariance.dtype, device=covariance.device)
    root = root.expand_as(covariance)
    for _ in range(steps):
        root = 1.5 * root - 0.5 * (root @ root @ root @ normed)
    return root / trace.sqrt()


def group_size(channels: int, wanted: int) -> int:
    """Return the channels of a group: `wanted`, halved until it divides `channels`.

    Source: the released code of IterNorm.
    """
    size = wanted
    while channels % size:
        size //= 2
    return size


def by_channel(x: torch.Tensor, groups: int) -> torch.Tensor:
    """Return feature maps (N, C, H, W) as rows of channels, (groups, C / groups, N H W)."""
    rows = x.numel() // x.size(1)
    return x.transpose(0, 1).reshape(groups, x.size(1) // groups, rows)


def covariance_of(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean of rows (..., k, m), and their covariance, divided by m."""
    mean = rows.mean(-1, keepdim=True)
    centred = rows - mean
    return mean, centred @ centred.transpose(-1, -2) / rows.size(-1)
