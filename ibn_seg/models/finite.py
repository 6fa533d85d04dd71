"""Report loaded weights that are NaN or infinite; a network would accept them silently."""

import sys

import torch
import torch.distributed as dist
from torch import nn


def say_not_finite(network: nn.Module, path: object) -> None:
    """Name in one line on stderr any loaded weights that are NaN or infinite.

    Args:
        network: A network with its weights loaded. Its parameters and buffers are checked.
        path: Where they came from.
    """
    if dist.is_available() and dist.is_initialized() and dist.get_rank():
        return
    state = network.state_dict()
    broken = [key for key, value in state.items() if not _is_finite(value)]
    if broken:
        hold = "holds" if len(broken) == 1 else "hold"
        print(
            f"{path}: {len(broken)} of {len(state)} tensors {hold} NaN or infinite values "
            f"(first: {broken[0]}); use another checkpoint",
            file=sys.stderr,
        )


def _is_finite(value: object) -> bool:
    """Tell whether a value of a state dict has only finite numbers; counters always have."""
    if not isinstance(value, torch.Tensor) or value.is_meta or value.is_quantized:
        return True
    has_others = value.is_floating_point() or value.is_complex()
    return not has_others or bool(torch.isfinite(value).all())
