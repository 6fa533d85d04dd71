"""Instance norm without scale and shift, and the layer that adds a covariance loss to it."""

import torch
from torch import nn

from ibn_seg.layers import plain_instance
from ibn_seg.layers.whitening.covariance_loss import (
    instance_covariance,
    masked_loss,
    relaxed_margin,
    upper_triangle,
)
from ibn_seg.layers.wide import wide


class StandardisingNorm(nn.Module):
    """Instance norm without scale and shift: RobustNet's code 3.

    It has no parameters and no state, so training and evaluation are the same. Statistics are at
    least float32; the variance is biased.

    Args:
        num_features: Number of channels.
        eps: Added to the variance.

    Shape:
        Input and output are (N, num_features, H, W). In training mode H * W > 1.
    """

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise `x`, shape (N, num_features, H, W)."""
        return self.standardise(x)

    def standardise(self, x: torch.Tensor) -> torch.Tensor:
        """Return the same as `forward`; TorchScript does not support `super()`."""
        if torch.jit.is_tracing():
            # ONNX has no instance norm without scale and shift.
            ones, zeros = (x.new_full((self.num_features,), value) for value in (1.0, 0.0))
            return plain_instance.normalised(x, ones, zeros, self.eps, self.training)
        y = plain_instance.normalised(x, None, None, self.eps, self.training)
        return plain_instance.kept(y, x)

    def extra_repr(self) -> str:
        """Describe the settings when printed."""
        return str(self.num_features)


class InstanceWhitening(StandardisingNorm):
    """`StandardisingNorm` that keeps the loss of its output while training: IW, IRW and ISW.

    Source: Choi et al., CVPR 2021 (RobustNet), arXiv:2103.15597. The map that goes on is a copy,
    because an in-place ReLU behind the layer would spoil the kept one.

    Args:
        num_features: Number of channels.
        eps: Added to the variance, and to the diagonal of the covariance.
        divisor: IRW's divisor of the margin: 64 for GTA5, 32 for Cityscapes. 0: no margin.
        sensitive: ISW: the mask begins empty and is set later. Else it is the upper triangle.

    Attributes:
        mask: The selected entries of the covariance, (C, C) bool. ISW's is part of the state dict.
        loss: The loss of the last forward pass in training mode, a scalar; None without one.
        watched: Whether a loss is wanted; off by default, so the layer alone costs nothing.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        divisor: float = 0,
        sensitive: bool = False,
    ) -> None:
        super().__init__(num_features, eps)
        self.margin = relaxed_margin(num_features, divisor)
        self.sensitive = sensitive
        mask = upper_triangle(num_features)
        if sensitive:
            mask = torch.zeros_like(mask)
        self.register_buffer("mask", mask, persistent=sensitive)
        self.loss: torch.Tensor | None = None
        self.watched = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise `x`, shape (N, num_features, H, W)."""
        if not self.watched or not self.training or torch.jit.is_scripting():
            return self.standardise(x)
        return self.measured(x)

    @torch.jit.ignore
    def measured(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise `x` and keep the loss."""
        kept = self.standardise(wide(x))
        self.loss = masked_loss(instance_covariance(kept, self.eps), self.mask, self.margin)
        return kept.to(x.dtype, copy=True)

    def take_loss(self) -> torch.Tensor | None:
        """Return the kept loss once."""
        loss, self.loss = self.loss, None
        return loss
