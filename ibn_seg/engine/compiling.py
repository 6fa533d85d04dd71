"""Compiles the parts of a network that take and give tensors, for training alone.

mmengine's own way compiles the whole training step. Its Python changes from step to step, such as
the learning rate, so it would be compiled again and again.
"""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

# The parts of a segmentor of mmseg, or of a classifier.
_PARTS = ("backbone", "neck", "decode_head", "auxiliary_head", "head")


def compile_parts(network: nn.Module, options: Mapping[str, Any]) -> int:
    """Compile the parts of a network in place; in evaluation they run as they are.

    Args:
        network: A network with parts such as `backbone`. Keys of its weights stay.
        options: Arguments of `torch.compile`.

    Returns:
        The number of compiled parts.
    """
    parts = list(_parts_of(network))
    for part in parts:
        part.forward = _in_training(part, torch.compile(part.forward, **options))
    return len(parts)


def _parts_of(network: nn.Module) -> Iterator[nn.Module]:
    for name in _PARTS:
        part = getattr(network, name, None)
        if isinstance(part, nn.ModuleList):
            yield from part
        elif isinstance(part, nn.Module):
            yield part


def _in_training(part: nn.Module, compiled: Any) -> Any:
    """Return a forward that is the compiled one in training, else the plain one."""
    plain = part.forward

    @functools.wraps(plain)
    def forward(*args: Any, **kwargs: Any) -> Any:
        return (compiled if part.training else plain)(*args, **kwargs)

    return forward
