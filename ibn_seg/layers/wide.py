"""Statistics in full precision: float32 under autocast, float64 where the maps are float64."""

from contextlib import AbstractContextManager

import torch

from ibn_seg.errors import UserError
from ibn_seg.layers.plain_instance import is_tensor


def wide(x: torch.Tensor) -> torch.Tensor:
    """Return a tensor in float32, or in its own type if that is wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def restored(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return the result `y` of a layer in the type and the memory format of its input `x`."""
    last = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if last else torch.contiguous_format
    return y.to(x.dtype).contiguous(memory_format=layout)


def full_precision(x: torch.Tensor) -> AbstractContextManager:
    """Return a context in which products on the device of `x` keep their type under autocast.

    Raises:
        UserError: `torch.fx` traces the layer; it cannot follow the context.
    """
    if not is_tensor(x):
        raise UserError(
            "layers such as SW, IterNorm and SelfNorm cannot be traced by torch.fx, nor scripted",
            "use torch.export.export or torch.jit.trace",
        )
    return torch.autocast(x.device.type, enabled=False)


def moments(x: torch.Tensor, eps: float, correction: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation of each channel of each image.

    Args:
        x: Feature maps, (N, C, H, W).
        eps: Added to the variance, inside the root.
        correction: 1 divides the squares by H W - 1 (unbiased), 0 by H W. A map of one pixel has
            no unbiased variance; it counts as 0.

    Returns:
        Two tensors of shape (N, C, 1, 1), at least float32.
    """
    if x.size(2) * x.size(3) == 1:
        correction = 0
    var, mean = torch.var_mean(wide(x), (2, 3), correction=correction, keepdim=True)
    return mean, (var + eps).sqrt()
