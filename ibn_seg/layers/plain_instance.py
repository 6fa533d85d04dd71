"""Instance norm in PyTorch's own operations, also for `torch.fx` and TorchScript."""

from typing import Any, Optional

import torch
import torch.fx
from torch import nn
from torch.nn import functional as F

# In PyTorch 2.1 it is in another module.
is_compiling = getattr(torch.compiler, "is_compiling", None) or torch._utils.is_compiling


class PlainInstanceNorm(nn.InstanceNorm2d):
    """`nn.InstanceNorm2d` with scale and shift that accepts the same inputs as a batch norm.

    That includes empty batches and, in evaluation mode, maps of one pixel. `torch.fx` records it as
    one call of `normalised`; TorchScript compiles that function.

    Args:
        num_features: Number of channels.
        eps: Added to the variance.

    Shape:
        Input and output are (N, num_features, H, W), or (num_features, H, W). In training mode
        H * W > 1.
    """

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__(num_features, eps, affine=True)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Normalise `input`; the result has the same shape."""
        return self.normalise(input)

    def normalise(self, x: torch.Tensor) -> torch.Tensor:
        """Return the same as `forward`; TorchScript does not support `super()`."""
        if not torch.jit.is_scripting():
            if not is_tensor(x):
                # Users may later change the mode of a module made by `torch.fx`: allow one pixel in
                # both modes.
                return normalised(x, self.weight, self.bias, self.eps, False)
            if not torch.jit.is_tracing() and not is_trivial(x, self.training):
                return with_right_gradients(self._by_pytorch(x))
        return normalised(x, self.weight, self.bias, self.eps, self.training)

    @torch.jit.ignore
    def _by_pytorch(self, x: torch.Tensor) -> torch.Tensor:
        if x.dim() == 4 and x.size(1) == self.num_features:
            # The same as PyTorch's `forward`, which PyTorch 2.1 cannot compile in a class of ours.
            return F.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)
        return super().forward(x)


@torch.fx.wrap
def normalised(
    x: torch.Tensor,
    weight: Optional[torch.Tensor],  # noqa: UP045 - TorchScript of PyTorch 2.1 knows no `|`
    bias: Optional[torch.Tensor],  # noqa: UP045
    eps: float,
    training: bool,
) -> torch.Tensor:
    """Return the instance norm of `x`, with right gradients in every memory format.

    The mean of a one-pixel map is the pixel itself, so only the shift remains.

    Args:
        x: The input, shape (N, C, H, W) or (C, H, W).
        weight: The scale, shape (C,).
        bias: The shift, shape (C,).
        eps: Added to the variance.
        training: Whether a map of one pixel is an error.

    Raises:
        ValueError: `x` has another number of dimensions, or has one pixel while training.
    """
    if x.dim() != 3 and x.dim() != 4:
        raise ValueError(f"expected 3D or 4D input (got {x.dim()}D input)")
    batch = x.unsqueeze(0) if x.dim() == 3 else x
    if is_trivial(batch, training):
        y = batch - batch  # zero, or NaN if `x` is not finite
        if weight is not None:
            y = y * weight.view(1, -1, 1, 1)
        if bias is not None:
            y = y + bias.view(1, -1, 1, 1)
        y = y.to(x.dtype)
    else:
        # For feature maps of one sample PyTorch's own gradient is wrong (see
        # `with_right_gradients`). For rows it is right, and the results are the same.
        rows = F.instance_norm(batch.flatten(2), weight=weight, bias=bias, eps=eps)
        y = rows.view(batch.shape)
    return y.squeeze(0) if x.dim() == 3 else y


def is_tensor(x: Any) -> bool:
    """Return whether `x` is a tensor, not something that `torch.fx` traces with."""
    return isinstance(x, torch.Tensor)


def is_trivial(x: torch.Tensor, training: bool) -> bool:
    """Return whether PyTorch's instance norm refuses `x` although a batch norm does not.

    It also does so with empty batches and, in any mode, with maps of one pixel.
    """
    if x.dim() == 4 and x.size(0) == 0:
        return True
    return not training and x.dim() > 2 and x.size(-1) * x.size(-2) == 1


def with_right_gradients(y: torch.Tensor) -> torch.Tensor:
    """Return `y`, the output of PyTorch's instance norm, so that its gradients are right.

    For one sample PyTorch (at least 2.1 to 2.14) silently returns wrong gradients if the gradient
    of `y` is channels-last.
    """
    if not is_compiling() and y.requires_grad:
        y.register_hook(torch.Tensor.contiguous)
    return y


@torch.fx.wrap
def kept(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return `y` in the memory format of `x`; PyTorch's instance norm always returns NCHW."""
    if not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last):
        return y.contiguous(memory_format=torch.channels_last)
    return y
