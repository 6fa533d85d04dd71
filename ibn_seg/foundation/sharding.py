"""Spreads a network of timm over processes, for networks that do not fit one GPU (FSDP2)."""

from typing import TYPE_CHECKING

import torch
from torch import distributed, nn

from ibn_seg.errors import EnvError
from ibn_seg.foundation.timm_models import is_plain
from ibn_seg.foundation.tuned_network import TunedNetwork

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh


def shard(network: nn.Module, mesh: "DeviceMesh") -> nn.Module:
    """Let each process of a mesh hold a part of every weight.

    The weights of a transformer's block are gathered before it runs, and given up behind it.
    Gradients are means over the processes, as in DDP. Load the weights (`TunedNetwork.start`), then
    call this, and then make the optimiser. PyTorch does not shard numbers such as Rein's factor;
    every process keeps these.

    Args:
        network: A `TunedNetwork`, or a network with one inside; changed in place. Each process
            builds the same one. It moves to the mesh's device, a block at a time.
        mesh: The processes, of one dimension.

    Returns:
        The network itself.

    Raises:
        EnvError: PyTorch is older than 2.7.
    """
    try:
        from torch.distributed.fsdp import fully_shard
    except ImportError as error:
        raise EnvError(f"sharding needs PyTorch 2.7 or newer ({error})", "update it") from error
    numbers = set(plain_numbers(network))
    for value in numbers:
        value.data = value.data.to(mesh.device_type)
    for block in _blocks(network):
        fully_shard(block, mesh=mesh)
    fully_shard(network, mesh=mesh, ignored_params=numbers)
    group = mesh.get_group()
    for value in numbers:
        if value.requires_grad:
            value.register_post_accumulate_grad_hook(lambda value: _average(value, group))
    return network


def plain_numbers(network: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that are single numbers; every process keeps these."""
    return [value for value in network.parameters() if value.dim() == 0]


def whole_tensor(value: torch.Tensor) -> torch.Tensor:
    """Return the whole of a tensor of which each process holds a part, and any other as it is.

    Every process must call it.
    """
    return value.full_tensor() if hasattr(value, "full_tensor") else value


def _blocks(network: nn.Module) -> list[nn.Module]:
    """Return the blocks of plain transformers.

    Convolutional networks are small: theirs are gathered at once.
    """
    parts = (part for part in network.modules() if isinstance(part, TunedNetwork))
    return [block for part in parts if is_plain(part.network) for block in part.network.blocks]


def _average(value: torch.Tensor, group: distributed.ProcessGroup) -> None:
    distributed.all_reduce(value.grad, group=group)
    value.grad /= group.size()
