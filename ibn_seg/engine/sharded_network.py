"""Lets the processes of a training share one network (FSDP2), by one key of its config."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import EMAHook
from mmengine.model import BaseDataPreprocessor
from mmengine.optim import OptimWrapper
from mmengine.registry import MODEL_WRAPPERS
from mmengine.runner import Runner
from mmengine.utils import apply_to
from torch import nn

from ibn_seg.errors import UserError, unknown
from ibn_seg.foundation.sharding import plain_numbers, shard, whole_tensor
from ibn_seg.foundation.small_checkpoint import tuned_part
from ibn_seg.type_names import is_named

_NAME = "FullyShardedNetwork"
_KEY = "model_wrapper_cfg"
_OF_MMENGINE = "MMFullyShardedDataParallel"


@MODEL_WRAPPERS.register_module()
class FullyShardedNetwork(nn.Module):
    """Each process holds a part of every weight, its gradient and the optimiser's state.

    In a config: `model_wrapper_cfg = dict(type='FullyShardedNetwork')`. `StrictRunner` calls
    `share` once weights and the optimiser's state are loaded. Until then each process has the whole
    network on its CPU. Trainings give the results of DDP within rounding, and their checkpoints are
    the same. A single process ignores the key, as it does with mmengine's wrappers.

    mmengine 0.10.7 has FSDP1 alone, in `MMFullyShardedDataParallel`. Its `Runner.save_checkpoint`
    asks the first process alone for `model.module.state_dict()`. That gives a part of the weights.

    Args:
        module: A segmentor with a `TimmBackbone`.

    Raises:
        UserError: It has another backbone.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        if tuned_part(module) is None:
            raise UserError(
                f"{_KEY}: {_NAME} shares networks of type TimmBackbone alone",
                f"leave {_KEY} out, or take such a backbone",
            )
        self.module = module
        self.shared = False

    def share(self, optimizer: torch.optim.Optimizer) -> None:
        """Keep this process's part alone, of the weights and of the optimiser's state.

        Args:
            optimizer: Of the network's parameters; it is changed in place.

        Raises:
            EnvError: PyTorch is older than 2.7.
        """
        kind = get_device()
        mesh = torch.distributed.init_device_mesh(kind, (get_world_size(),))
        groups, states = _taken_out(optimizer, self.module)
        shard(self.module, mesh)
        for part in self.module.modules():
            if isinstance(part, BaseDataPreprocessor):
                part.to(kind)
        parts = list(self.module.parameters())
        for group, places in zip(optimizer.param_groups, groups, strict=True):
            group["params"] = [parts[place] for place in places]
        for place, state in states.items():
            optimizer.state[parts[place]] = {
                key: _like(value, parts[place]) for key, value in state.items()
            }
        self.shared = True

    def train(self, mode: bool = True) -> "FullyShardedNetwork":
        """Set training or eval mode; in eval mode the weights stay whole behind the first pass.

        Ranks may need a different number of passes for their pictures, such as of windows. A rank
        that gathers weights would wait for the others.
        """
        super().train(mode)
        for part in self.module.modules() if self.shared else ():
            if hasattr(part, "set_reshard_after_forward"):
                part.reshard()
                # PyTorch keeps what belongs to no block whole until the backward pass.
                if part is not self.module:
                    part.set_reshard_after_forward(mode, recurse=False)
        return self

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the network."""
        return self.module(*args, **kwargs)

    def train_step(self, data: Any, optim_wrapper: OptimWrapper) -> dict[str, torch.Tensor]:
        """Take a training step; see mmengine's `BaseModel`."""
        self._check_shared()
        return self.module.train_step(data, optim_wrapper)

    def val_step(self, data: Any) -> list:
        """Return the predictions of a batch for validation."""
        self._check_shared()
        return self.module.val_step(data)

    def test_step(self, data: Any) -> list:
        """Return the predictions of a batch for a test."""
        self._check_shared()
        return self.module.test_step(data)

    @contextlib.contextmanager
    def whole_states(self, optim_wrapper: OptimWrapper) -> Iterator[None]:
        """Let `state_dict` of network and optimiser give whole tensors in the block.

        Every rank must enter it. mmengine asks for the states on the first rank alone, where
        nothing could be gathered.

        Args:
            optim_wrapper: The wrapper of the optimiser.
        """
        owners = (self.module, optim_wrapper)
        states = [_whole_state(owner.state_dict()) for owner in owners]
        for owner, state in zip(owners, states, strict=True):
            owner.state_dict = lambda state=state: state
        try:
            yield
        finally:
            for owner in owners:
                del owner.state_dict  # the class's own is behind it

    def _check_shared(self) -> None:
        if not self.shared:
            raise UserError(
                f"{_KEY}: {_NAME} is for trainings by ibn-seg, or with runner_type='StrictRunner'",
                f"leave {_KEY} out",
            )


def wants_shares(given: Mapping[str, Any] | None) -> bool:
    """Tell whether `model_wrapper_cfg` of a config asks for a `FullyShardedNetwork`.

    Raises:
        UserError: There is no such wrapper, or it is mmengine's for FSDP1.
    """
    kind = (given or {}).get("type")
    if kind is None:
        return False
    if is_named(kind, _OF_MMENGINE):
        raise UserError(
            f"{_KEY}: checkpoints of {_OF_MMENGINE} would hold a part of the weights",
            f"take type='{_NAME}'",
        )
    if isinstance(kind, str) and MODEL_WRAPPERS.get(kind) is None:
        raise unknown(f"{_KEY}.type", kind, sorted(MODEL_WRAPPERS.module_dict))
    return is_named(kind, _NAME)


def check_sharing(runner: Runner) -> None:
    """Raise for settings of a training that a shared network cannot follow.

    Args:
        runner: Its model is a `FullyShardedNetwork` that is not shared yet.

    Raises:
        UserError: The training is compiled, averages weights, or clips the gradients of Rein.
    """
    if runner.cfg.get("compile"):
        raise UserError(f"{_KEY}: a {_NAME} is not compiled", "leave --compile out")
    if any(isinstance(hook, EMAHook) for hook in runner.hooks):
        raise UserError(f"{_KEY}: weights of a {_NAME} are not averaged", "leave the EMAHook out")
    numbers = [value for value in plain_numbers(runner.model) if value.requires_grad]
    if numbers and runner.optim_wrapper.clip_grad_kwargs:
        # PyTorch takes no norm of parts and whole tensors together.
        raise UserError(
            f"{_KEY}: Rein's factor in a {_NAME} cannot be clipped",
            "leave optim_wrapper.clip_grad out",
        )


def _taken_out(
    optimizer: torch.optim.Optimizer, network: nn.Module
) -> tuple[list[list[int]], dict[int, Any]]:
    """Take the parameters out of an optimiser, because it would keep the whole ones in memory.

    Returns:
        The places, among the network's parameters, of those of each group; and the states by place.
    """
    place_of = {value: place for place, value in enumerate(network.parameters())}
    groups = [[place_of[value] for value in group["params"]] for group in optimizer.param_groups]
    states = {place_of[value]: state for value, state in optimizer.state.items()}
    for group in optimizer.param_groups:
        group["params"] = []
    optimizer.state.clear()
    return groups, states


def _like(value: Any, parameter: torch.Tensor) -> Any:
    """Return this process's part of an entry of an optimiser's state.

    Args:
        value: The entry; each process has the same one.
        parameter: Its parameter. A tensor of the same shape is divided in the same way.
    """
    same = isinstance(value, torch.Tensor) and value.shape == parameter.shape
    if not same or not hasattr(parameter, "device_mesh"):
        return value.to(parameter.device) if same else value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value, parameter.device_mesh, parameter.placements, src_data_rank=None)


def _whole_state(state: Any) -> Any:
    """Return a state with whole tensors, on the CPU; only the first rank keeps them."""
    keep = is_main_process()

    def gather(value: torch.Tensor) -> torch.Tensor | None:
        whole = whole_tensor(value.detach())
        return whole.cpu() if keep else None

    return apply_to(state, lambda value: isinstance(value, torch.Tensor), gather)
