"""The functions of SHADE: hallucinated styles from basis styles that lie far apart.

Source: Zhao et al., ECCV 2022 (SHADE), arXiv:2204.02548, and its code. There is no layer of it: its
recipe needs a second network, which would change what other methods keep equal.
"""

import torch

from ibn_seg.layers.wide import full_precision, wide


def hallucinated_style(
    x: torch.Tensor,
    weights: torch.Tensor,
    basis_mean: torch.Tensor,
    basis_std: torch.Tensor,
    eps: float = 1e-7,
) -> torch.Tensor:
    """Return maps whose statistics are weighted sums of basis styles.

    An image's own statistics are constants for the gradient; the variance is unbiased.

    Args:
        x: Feature maps, (N, C, H, W).
        weights: The share of each basis style, (N, K); Dirichlet(1/K) in SHADE.
        basis_mean: The means of the basis styles, (K, C).
        basis_std: Their standard deviations, (K, C).
        eps: Added to an image's own standard deviation.

    Returns:
        (N, C, H, W), at least float32.
    """
    with full_precision(x):
        x = wide(x)
        std, mean = (value.detach() for value in torch.std_mean(x, (2, 3), keepdim=True))
        new_mean, new_std = (weights @ basis for basis in (basis_mean, basis_std))
        return (x - mean) / (std + eps) * new_std[..., None, None] + new_mean[..., None, None]


def farthest_points(points: torch.Tensor, count: int, first: int) -> torch.Tensor:
    """Return indices of points, each the farthest from all chosen before.

    Args:
        points: (M, D).
        count: How many to choose.
        first: The index of the first.

    Returns:
        (count,) int64.
    """
    chosen = torch.empty(count, dtype=torch.long, device=points.device)
    nearest = torch.full((len(points),), torch.inf, dtype=points.dtype, device=points.device)
    index = first
    for place in range(count):
        chosen[place] = index
        distances = (points - points[index]).square().sum(1)
        nearest = torch.minimum(nearest, distances)
        index = int(nearest.argmax())
    return chosen
