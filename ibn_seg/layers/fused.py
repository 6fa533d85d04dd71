"""Modules that `ibn_seg.fuse` puts in place of norms; for inference only."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from ibn_seg.errors import UserError
from ibn_seg.layers import plain_instance
from ibn_seg.layers.ibn import IBN
from ibn_seg.layers.plain_instance import (
    is_compiling,
    is_tensor,
    is_trivial,
    with_right_gradients,
)
from ibn_seg.layers.single_pass import has_relu, is_watched, with_relu


class _OfFused(nn.Module):
    """A module of a fused network, which loads only the state of networks fused in the same way."""

    # Names of tensors that the original norm had and this module lacks.
    gone = ("running_mean",)

    def _load_from_state_dict(self, state: Mapping[str, Any], prefix: str, *args: Any) -> None:
        for name in self.gone:
            if f"{prefix}{name}" in state:
                raise UserError(
                    f"{prefix}{name} is for a network that is not fused: its batch norms are"
                    " parts of the convolutions here",
                    "load the weights first, then fuse",
                )
        super()._load_from_state_dict(state, prefix, *args)


class Folded(_OfFused):
    """Replaces a batch norm that was folded into the convolution before it; does nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return `x`."""
        return x


class ScaleShift(_OfFused):
    """A batch norm in evaluation mode, as one scale and one shift per channel.

    Args:
        norm: The batch norm, with running statistics.
        relu: Apply a ReLU to the result.

    Attributes:
        weight: The scale, shape (C,).
        bias: The shift, shape (C,).

    Shape:
        Input and output are (N, C, ...); the memory format is kept.
    """

    def __init__(self, norm: _BatchNorm, relu: bool = False) -> None:
        super().__init__()
        scale, shift = scale_and_shift(norm)
        dtype = norm.running_mean.dtype if norm.weight is None else norm.weight.dtype
        self.weight = nn.Parameter(scale.to(dtype), requires_grad=False)
        self.bias = nn.Parameter(shift.to(dtype), requires_grad=False)
        self.relu = relu
        # PyTorch's kernel for batch norms is one pass in both memory formats; `x * a + b` is not.
        self.register_buffer("mean", torch.zeros_like(self.bias), persistent=False)
        self.register_buffer("var", torch.ones_like(self.weight), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scale and shift the channels of `x`, then apply a ReLU if requested."""
        x = functional.batch_norm(x, self.mean, self.var, self.weight, self.bias, False, 0.0, 0.0)
        return x.relu_() if self.relu else x

    def extra_repr(self) -> str:
        """Describe it when printed."""
        return f"{len(self.weight)}, relu={self.relu}"


class FusedInstanceNorm(_OfFused):
    """An instance norm without running statistics that keeps the memory format.

    Args:
        norm: The instance norm.
        relu: Apply a ReLU to the result.
        overwrite: Write the result over the input, which nothing else may read.

    Shape:
        Input and output are (N, C, H, W), or (C, H, W).
    """

    gone = ()

    def __init__(
        self, norm: nn.InstanceNorm2d, relu: bool = False, overwrite: bool = False
    ) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.channels = norm.num_features
        self.relu = relu
        self.overwrite = overwrite

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise each channel of each image."""
        if not torch.jit.is_scripting() and is_tensor(x) and not torch.jit.is_tracing():
            return self._run(x)
        x = plain_instance.normalised(x, self.weight, self.bias, self.eps, False)
        return x.relu_() if self.relu else x

    def _run(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise in the fastest way that fits; a recorded graph would fix that way."""
        if x.dim() == 3:
            return self._run(x.unsqueeze(0)).squeeze(0)
        if has_relu(x):
            y = with_relu(x, self.channels, self, relu=self.relu)
            if y is not None:
                return y
        if self.direct(x):
            x = _normalise(x, self.weight, self.bias, self.eps, self.overwrite)
        elif is_trivial(x, training=False):
            x = plain_instance.normalised(x, self.weight, self.bias, self.eps, False)
        else:
            x = with_right_gradients(
                functional.instance_norm(x, None, None, self.weight, self.bias, eps=self.eps)
            )
        return x.relu_() if self.relu else x

    def direct(self, x: torch.Tensor) -> bool:
        """Return whether overwriting tensors is allowed, precise enough and worthwhile.

        Compilers, exporters and tracers handle the plain formulation better. It also keeps
        statistics of half-precision inputs in float32, and gradients where needed.
        """
        if is_compiling() or torch.jit.is_tracing() or is_watched():
            return False
        tensors = [x] if self.weight is None else [x, self.weight]
        graph = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
        return x.dtype in (torch.float32, torch.float64) and not graph

    def extra_repr(self) -> str:
        """Describe it when printed."""
        return f"{self.channels}, eps={self.eps}, relu={self.relu}, overwrite={self.overwrite}"


class FusedIBN(nn.Module):
    """An `IBN` in evaluation mode; its batch-norm channels need little or no work.

    If the batch norm is folded into the convolution before it, the instance norm overwrites its own
    channels of that output. The other channels stay untouched, so nothing is copied or
    concatenated.

    Args:
        ibn: The layer.
        relu: Apply a ReLU to the result.
        folded: Whether the batch norm is folded into the convolution before it. No other layer may
            read that convolution's output.

    Attributes:
        IN: The instance norm, with the tensors of `ibn`'s instance norm.
        BN: `Folded`, or the batch norm as a `ScaleShift`.

    Shape:
        Input and output are (N, channels, H, W); the memory format is kept.
    """

    def __init__(self, ibn: IBN, relu: bool = False, folded: bool = False) -> None:
        super().__init__()
        self.channels, self.split, self.instance_first = ibn.channels, ibn.split, ibn.instance_first
        self.IN = FusedInstanceNorm(ibn.IN, overwrite=folded)
        self.BN = Folded() if folded else ScaleShift(ibn.BN)
        self.relu = relu
        self.folded = folded

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise `x`; with `folded` it may be overwritten."""
        if not torch.jit.is_scripting() and is_tensor(x):
            y = self._overwritten(x)
            if y is not None:
                return y
        head, tail = x.split(self.split, dim=1)
        if self.instance_first:
            x = torch.cat((self.IN(head), self.BN(tail)), dim=1)
        else:
            x = torch.cat((self.BN(head), self.IN(tail)), dim=1)
        return x.relu_() if self.relu else x

    def _overwritten(self, x: torch.Tensor) -> torch.Tensor | None:
        """Return the result if no parts have to be concatenated, or None."""
        if has_relu(x):
            first = 0 if self.instance_first else self.split[0]
            batch = None if self.folded else self.BN
            y = with_relu(x, self.channels, self.IN, batch, first, self.relu)
            if y is not None:
                return y
        if not (self.folded and self.IN.direct(x)):
            return None
        head, tail = x.split(self.split, dim=1)
        self.IN(head if self.instance_first else tail)
        return x.relu_() if self.relu else x

    def extra_repr(self) -> str:
        """Describe it when printed."""
        order = "" if self.instance_first else ", instance_first=False"
        return f"{self.channels}, relu={self.relu}{order}"


def scale_and_shift(norm: _BatchNorm) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the scale and shift of a batch norm in evaluation mode, in float64."""
    scale = torch.rsqrt(norm.running_var.detach().double() + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight.detach().double()
    shift = -norm.running_mean.detach().double() * scale
    if norm.bias is not None:
        shift = shift + norm.bias.detach().double()
    return scale, shift


def _normalise(
    x: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    eps: float,
    overwrite: bool,
) -> torch.Tensor:
    """Return the instance norm of `x`, by passes that are fast for any memory layout."""
    size = x.shape[2] * x.shape[3]
    mean = x.mean((2, 3), keepdim=True)
    # Subtract the mean first: with a large mean, the mean of squares loses too many digits.
    x = x.sub_(mean) if overwrite else x - mean
    var = torch.linalg.vector_norm(x, dim=(2, 3), keepdim=True).square_().div_(size)
    scale = torch.rsqrt(var + eps)
    if weight is not None:
        scale = scale * weight.view(1, -1, 1, 1)
    if bias is None:
        return x.mul_(scale)
    return torch.addcmul(bias.view(1, -1, 1, 1), x, scale, out=x)
