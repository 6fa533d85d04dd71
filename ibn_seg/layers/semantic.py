"""SAN and SAW: norms by semantic regions, and whitening of the channels that tell classes.

Source: Peng et al., CVPR 2022 (SAN-SAW), arXiv:2204.00822, and its code. The released code is not
the paper's method in three points. Each has an option here, and the default is the paper's.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ibn_seg.errors import UserError
from ibn_seg.layers.clusters import cluster_numbers
from ibn_seg.layers.plain_instance import is_compiling
from ibn_seg.layers.whitening.covariance_loss import upper_triangle, whitening_loss
from ibn_seg.layers.wide import full_precision, restored, wide

# TrainIds of road, sky, building, sidewalk and vegetation.
SELECTED_CLASSES = (0, 10, 2, 1, 8)


class SemanticAwareNorm(nn.Module):
    """SAN: each selected class's region is refined by attention and instance-normalised.

    Args:
        inplanes: Number of channels.
        selected_classes: Indices of the classes.
        regions: Clusters of the k-means that finds a region; all but the lowest belong to it. 0:
            the region is the whole map, as in the released code, whose k-means always fails.
        own_branches: Each class has its own attention. Else all use the first, as in the released
            code, and the others get no gradient.
        eps: Added to the variance.

    Shape:
        Input and output are (N, inplanes, H, W).
    """

    def __init__(
        self,
        inplanes: int,
        selected_classes: Sequence[int] = SELECTED_CLASSES,
        regions: int = 5,
        own_branches: bool = True,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.selected_classes = tuple(selected_classes)
        self.regions = regions
        self.own_branches = own_branches
        self.norm = nn.InstanceNorm2d(inplanes, eps=eps, affine=True)
        self.CFR_branches = nn.ModuleList(
            nn.Conv2d(3, 1, 7, padding=3, bias=False) for _ in self.selected_classes
        )
        if not own_branches:
            # They get no gradient, which replicas over processes would wait for.
            self.CFR_branches[1:].requires_grad_(False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start the convolutions from N(0, 0.01^2), the norm from the identity."""
        for branch in self.CFR_branches:
            nn.init.normal_(branch.weight, std=0.01)
        self.norm.reset_parameters()

    def forward(self, x: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the normalised maps.

        Args:
            x: Feature maps, (N, inplanes, H, W).
            scores: Class scores before the softmax, (N, K, H, W).
        """
        with full_precision(x):
            maps, shares = wide(x), wide(scores).softmax(1)
            total = torch.zeros_like(maps)
            for place, index in enumerate(self.selected_classes):
                share = shares[:, index : index + 1]
                refined = self._refined(maps, share, place)
                total = total + self.norm(refined * self.region(refined))
            return restored(total.relu(), x)

    def _refined(self, x: torch.Tensor, share: torch.Tensor, place: int) -> torch.Tensor:
        """Return the maps times a class's probability and attention."""
        weighted = x * share
        described = torch.cat(
            (weighted.mean(1, keepdim=True), weighted.amax(1, keepdim=True), share), 1
        )
        branch = self.CFR_branches[place if self.own_branches else 0]
        return weighted * branch(described).sigmoid()

    def region(self, refined: torch.Tensor) -> torch.Tensor:
        """Return 1 inside a class's region, else 0: (N, 1, H, W).

        In training the heat of the whole batch is clustered, as in the paper's code. In evaluation
        each image has clusters of its own: a prediction may not depend on other test images.
        """
        heat = refined.detach().mean(1, keepdim=True)
        if not self.regions:
            return torch.ones_like(heat)
        if torch.jit.is_tracing() or is_compiling():
            raise UserError(
                "SAN finds its regions by k-means, which a recorded network cannot hold",
                "use the network in eager mode, or 'SAN-SAW (released)'",
            )
        parts = heat.split(len(heat) if self.training else 1)
        labels = [cluster_numbers(part.cpu().numpy(), self.regions)[0] for part in parts]
        return torch.from_numpy(np.concatenate(labels) > 0).to(heat)

    def target(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return what the output should be: the norm of each class's true region.

        Args:
            x: Feature maps, (N, inplanes, H, W).
            labels: TrainIds at the size of the maps, (N, H, W).
        """
        with full_precision(x):
            maps = wide(x)
            parts = [
                self.norm(maps * (labels == index)[:, None].to(maps))
                for index in self.selected_classes
            ]
            return sum(parts).relu()


def semantic_whitening_loss(
    x: torch.Tensor,
    classifier: torch.Tensor,
    selected_classes: Sequence[int] = SELECTED_CLASSES,
    relax_denom: float = 2.0,
    eps: float = 1e-5,
) -> torch.Tensor:
    """Return SAW's loss: the sum over groups of channels of their whitening loss.

    Group r has the r-th most important channel of each selected class, by the absolute weight of
    the classifier. There are as many groups as channels per class. Each map is multiplied by the
    sigmoid of that weight. There is no instance norm.

    Args:
        x: The output of SAN, (N, C, H, W).
        classifier: The weight of the classifier of class scores, (K, C, 1, 1).
        selected_classes: Indices of the classes.
        relax_denom: Divisor of the number of pairs in a group, whose quotient is the margin.
        eps: Added to the diagonal of the covariance.

    Returns:
        A scalar, at least float32.
    """
    weight = wide(classifier).flatten(1)[list(selected_classes)].abs()
    ranked, order = weight.sort(dim=1, descending=True)
    mask = upper_triangle(len(weight), x.device)
    margin = mask.sum().item() // relax_denom if relax_denom else 0
    shares = ranked.sigmoid()
    losses = [
        whitening_loss(wide(x)[:, order[:, r]] * shares[:, r].view(-1, 1, 1), mask, margin, eps)
        for r in range(x.size(1) // len(weight))
    ]
    return torch.stack(losses).sum()


def resized_labels(labels: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return trainIds (N, H, W) at another size, by the nearest pixel."""
    return F.interpolate(labels[:, None].float(), size, mode="nearest")[:, 0].long()
