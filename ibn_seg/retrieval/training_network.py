"""The strong baseline as mmengine's model: takes pictures, returns its losses."""

from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.model import BaseModel
from mmengine.registry import MODELS

from ibn_seg.reid.bnneck import LAST_STRIDE, strong_baseline
from ibn_seg.reid.retrieval_losses import (
    CENTER_RATE,
    CENTER_WEIGHT,
    MARGIN,
    SMOOTHING,
    CenterLoss,
    smoothed_cross_entropy,
    triplet_loss,
)


@MODELS.register_module()
class StrongBaselineTrainer(BaseModel):
    """Learn to tell identities apart: smoothed cross entropy, triplet and center loss.

    The centres move by their own rule after every batch, with the mean over all processes. They
    are no trained parameter, so the optimiser and DDP leave them alone.

    Args:
        model: The name of the network.
        num_classes: Number of identities.
        pretrained: Start from the authors' published ImageNet weights.
        smoothing: Share of the target that is spread over all identities.
        margin: Margin of the triplet loss.
        center_weight: Weight of the center loss; 0 for none.
        last_stride: Stride of the last stage.

    Raises:
        UserError: An unknown name, or no weights were published.
        EnvError: The weights cannot be downloaded.
    """

    def __init__(
        self,
        model: str,
        num_classes: int,
        pretrained: bool = False,
        smoothing: float = SMOOTHING,
        margin: float = MARGIN,
        center_weight: float = CENTER_WEIGHT,
        last_stride: int = LAST_STRIDE,
    ) -> None:
        super().__init__()
        self.network = strong_baseline(model, num_classes, pretrained, last_stride=last_stride)
        self.smoothing, self.margin = smoothing, margin
        self.center = None
        if center_weight:
            self.center = CenterLoss(num_classes, self.network.channels, center_weight)
            self.center.requires_grad_(False)

    def forward(
        self, inputs: torch.Tensor, labels: torch.Tensor | None = None, mode: str = "tensor"
    ) -> Any:
        """Return features, or the losses by name with `mode='loss'`.

        Args:
            inputs: Normalised pictures, (N, 3, H, W).
            labels: The identities, (N,) int64; not needed for 'tensor'.
            mode: 'tensor' or 'loss'.
        """
        if mode != "loss":
            return self.network(inputs)
        scores, features = self.network(inputs)
        # Distances of half precision would be too coarse for a margin of 0.3.
        with torch.autocast(inputs.device.type, enabled=False):
            return self._losses(scores.float(), features.float(), labels)

    def _losses(
        self, scores: torch.Tensor, features: torch.Tensor, labels: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Return the losses by name, and move the centres."""
        losses = {
            "loss_identity": smoothed_cross_entropy(scores, labels, self.smoothing),
            "loss_triplet": triplet_loss(features, labels, self.margin),
        }
        if self.center is not None:
            losses["loss_center"] = self.center(features, labels)
            self._move_centers(features.detach(), labels)
        return losses

    def _move_centers(self, features: torch.Tensor, labels: torch.Tensor) -> None:
        gradient = self.center.center_gradient(features, labels)
        all_reduce(gradient, "mean")
        self.center.centers.grad = gradient
        self.center.step(CENTER_RATE)
