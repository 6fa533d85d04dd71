"""ISW's mask: which covariances change with the appearance of an image.

Source: Choi et al., CVPR 2021 (RobustNet), section 3.3, and its released code.
"""

import contextlib
from collections.abc import Iterable

import torch
from torch import nn

from ibn_seg.errors import UserError
from ibn_seg.layers.clusters import cluster_numbers
from ibn_seg.layers.whitening.covariance_loss import instance_covariance, upper_triangle
from ibn_seg.layers.whitening.instance_whitening import InstanceWhitening
from ibn_seg.layers.wide import wide


def pair_variance(unchanged: torch.Tensor, changed: torch.Tensor) -> torch.Tensor:
    """Return the unbiased variance of each covariance between an image and its changed version.

    Of two values that is (difference)^2 / 2.

    Args:
        unchanged: Instance-normalised maps of images, (N, C, H, W).
        changed: The same of the images after a change of colours and sharpness.

    Returns:
        The mean over images, (C, C): zero on and below the diagonal.
    """
    difference = instance_covariance(unchanged) - instance_covariance(changed)
    variance = (difference.square() / 2).mean(0)
    return variance * upper_triangle(variance.size(0), variance.device)


def sensitive_entries(
    variance: torch.Tensor, clusters: int
) -> tuple[torch.Tensor, tuple[float, ...]]:
    """Return the entries outside the cluster of the lowest variances.

    All entries are clustered, the zeros on and below the diagonal among them, as in the release.

    Args:
        variance: The mean of `pair_variance` over images, (C, C).
        clusters: Clusters of the optimal k-means: 3 for GTA5, 2 for Cityscapes in the paper.

    Returns:
        The mask (C, C) bool, and the centroids, rising.
    """
    numbers = wide(variance).double().cpu().numpy()
    label, centroids = cluster_numbers(numbers, clusters)
    return torch.from_numpy(label > 0).to(variance.device), tuple(map(float, centroids))


def common_mask(masks: list[torch.Tensor]) -> torch.Tensor:
    """Return the entries that all trials selected.

    Args:
        masks: The masks of the trials, (C, C) bool.

    Raises:
        UserError: No entry is common. The released code would divide by 0 and give NaN.
    """
    common = torch.stack(masks).all(0)
    if not common.any():
        raise UserError(
            f"ISW: no covariance was sensitive in all of {len(masks)} trials",
            "use more images, fewer trials or fewer clusters",
        )
    return common


def whitening_layers(network: nn.Module) -> list[InstanceWhitening]:
    """Return the layers of IW, IRW or ISW in a network, in order."""
    return [module for module in network.modules() if isinstance(module, InstanceWhitening)]


class _SeenAllError(Exception):
    """Ends a forward pass behind the last layer that is looked at."""


@torch.no_grad()
def pair_variances(
    network: nn.Module, pairs: Iterable[tuple[torch.Tensor, torch.Tensor]]
) -> list[torch.Tensor]:
    """Return the mean of `pair_variance` over images for each whitening layer of a network.

    The network is put into evaluation mode. Both versions of an image go in as one batch, as in the
    release. Nothing behind the last layer is computed.

    Args:
        network: Takes normalised images.
        pairs: An image and its changed version, (1, 3, H, W) each.

    Returns:
        A tensor (C, C) for each layer, in their order.

    Raises:
        UserError: There are no pairs.
    """
    network.eval()
    layers, kept = whitening_layers(network), {}

    def keep(layer: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        kept[layer] = output.clone()
        if len(kept) == len(layers):
            raise _SeenAllError

    handles = [layer.register_forward_hook(keep) for layer in layers]
    sums, count = [0.0] * len(layers), 0
    try:
        for unchanged, changed in pairs:
            with contextlib.suppress(_SeenAllError):
                network(torch.cat((unchanged, changed)))
            half = len(unchanged)
            for place, layer in enumerate(layers):
                maps = kept.pop(layer)
                sums[place] = sums[place] + pair_variance(maps[:half], maps[half:])
            count += 1
    finally:
        for handle in handles:
            handle.remove()
    if not count:
        raise UserError("ISW: no image for its statistics", "check the data set")
    return [total / count for total in sums]
