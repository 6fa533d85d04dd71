"""Spreads a network of timm over processes, for networks that do not fit one GPU (FSDP2)."""

from typing import TYPE_CHECKING

import torch
from torch import distributed

from ibn_seg.errors import EnvError
from ibn_seg.foundation.timm_models import is_plain
from ibn_seg.foundation.tuned_network import TunedNetwork

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh


def shard(backbone: TunedNetwork, mesh: "DeviceMesh") -> TunedNetwork:
    """Let each process of a mesh hold a part of every weight.

    The weights of a transformer's block are gathered before it runs, and given up behind it.
    Gradients are means over the processes, as in DDP. Call `start`, then this, and then make the
    optimiser. PyTorch does not shard numbers such as Rein's factor; every process keeps these.

    Args:
        backbone: The network, changed in place. Each process builds the same one.
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
    numbers = {value for value in backbone.parameters() if value.dim() == 0}
    # Convolutional networks are small: theirs are gathered at once.
    for block in backbone.network.blocks if is_plain(backbone.network) else ():
        fully_shard(block, mesh=mesh)
    fully_shard(backbone, mesh=mesh, ignored_params=numbers)
    group = mesh.get_group()
    for value in numbers:
        if value.requires_grad:
            value.register_post_accumulate_grad_hook(lambda value: _average(value, group))
    return backbone


def _average(value: torch.Tensor, group: distributed.ProcessGroup) -> None:
    distributed.all_reduce(value.grad, group=group)
    value.grad /= group.size()
