"""Affine instance norm of feature maps."""

import torch
from torch import nn

from ibn_seg.layers import single_pass


class InstanceNorm(nn.InstanceNorm2d):
    """`nn.InstanceNorm2d` with scale and shift, which keeps channels-last memory and is faster.

    Where `single_pass.usable` agrees, it runs in single passes of C.

    Args:
        num_features: Number of channels.
        eps: Added to the variance.

    Shape:
        Input and output are (N, num_features, H, W) with H * W > 1.
    """

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__(num_features, eps, affine=True)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Normalise `input`; the result has the same shape."""
        if torch.jit.is_scripting():
            self._check_input_dim(input)
            return self._apply_instance_norm(input)
        return self._normalised(input)

    @torch.jit.unused
    def _normalised(self, x: torch.Tensor) -> torch.Tensor:
        if not isinstance(x, torch.Tensor):  # what `torch.fx` traces with
            return self._apply_instance_norm(x)
        if single_pass.usable(x, self):
            return single_pass.normalise(x, self)
        return kept(with_right_gradients(super().forward(x)), x)


def with_right_gradients(y: torch.Tensor) -> torch.Tensor:
    """Return `y`, which PyTorch's instance norm has made, in a way that gradients are right.

    Of one sample PyTorch (2.1 to 2.14 at least) returns wrong gradients without a word when the
    gradient of `y` is channels-last.
    """
    if not single_pass.is_compiling() and y.requires_grad:
        y.register_hook(torch.Tensor.contiguous)
    return y


def kept(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return `y` in the memory format of `x`; PyTorch's instance norm makes NCHW of all."""
    if not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last):
        return y.contiguous(memory_format=torch.channels_last)
    return y
