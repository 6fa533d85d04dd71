"""What the tests of the layers' passes share: inputs, and a step forward and backward."""

import torch
from torch import nn

FORMATS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}


def images(*shape: int, layout: str = "nchw", dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape).to(dtype).contiguous(memory_format=FORMATS[layout])


def randomised(layer: nn.Module) -> nn.Module:
    """Give a layer telling parameters and statistics."""
    for name, tensor in layer.state_dict().items():
        if "var" in name or "weight" in name:
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point():
            tensor.normal_()
    return layer


def everything(layer: nn.Module, x: torch.Tensor, weights: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return output, gradients and statistics of a step forward and backward."""
    x = x.detach().clone().requires_grad_()
    y = layer(x)
    y.backward(weights.to(y.dtype))
    found = {"y": y.detach(), "dx": x.grad}
    found.update({name: p.grad for name, p in layer.named_parameters()})
    return {**found, **dict(layer.named_buffers())}


def in_one_pass(y: torch.Tensor) -> bool:
    return "SinglePass" in y.grad_fn.name()
