"""Instance and batch norm of one tensor in single passes, with the same in plain PyTorch.

On CPUs the passes are written in C, for float32 tensors that are contiguous or channels-last. On
GPUs they are written in Triton, also for half precision; only the switch turns these on. The plain
layers do the rest. They also run wherever something looks into them: hooks, `torch.compile`,
tracing, `torch.func`.
"""

import functools
import logging

import torch
from torch import nn
from torch.autograd import forward_ad
from torch.nn import functional as F
from torch.nn.modules import module as nn_module
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext

from ibn_seg.layers import native, native_passes
from ibn_seg.layers.passes import Passes, Plan
from ibn_seg.layers.plain_instance import PlainInstanceNorm, is_compiling, is_tensor

_FORWARDS = (PlainInstanceNorm.forward, nn.InstanceNorm2d.forward, nn.BatchNorm2d.forward)
_GLOBAL_HOOKS = [
    getattr(nn_module, f"_global_{name}_hooks")
    for name in ("forward", "forward_pre", "backward", "backward_pre")
]
# Types of devices whose passes take a flag `relu`.
_WITH_RELU = ("cuda",)
_log = logging.getLogger(__name__)


def usable(x: torch.Tensor, instance: nn.InstanceNorm2d, batch: _BatchNorm | None = None) -> bool:
    """Return whether single passes can replace these norms for `x`.

    With a batch norm, both norms are parts of a layer and would not be called.
    """
    # First, so that `torch.compile` sees only this line.
    if is_compiling() or not is_tensor(x):
        return False
    if batch is not None and not (_may_be_skipped(instance) and _may_be_skipped(batch)):
        return False
    return (
        _is_image(x, instance.num_features + (batch.num_features if batch else 0))
        and not instance.track_running_stats
        and _are_plain(instance.num_features, x.device, instance.weight, instance.bias)
        and (batch is None or _is_known(batch, x.device))
        and _offered(x) is not None
    )


def has_relu(x: torch.Tensor) -> bool:
    """Return whether there are passes for the device of `x` that can apply a ReLU."""
    return not is_compiling() and x.device.type in _WITH_RELU


def with_relu(
    x: torch.Tensor,
    channels: int,
    instance: nn.Module,
    batch: nn.Module | None = None,
    first: int = 0,
    relu: bool = True,
) -> torch.Tensor | None:
    """Return norms made by `ibn_seg.fuse` and a ReLU applied to `x` in one pass, or None.

    Call it only if `has_relu` has agreed. It returns None if `usable` would not agree, or if
    gradients are needed.

    Args:
        x: The input, shape (N, channels, H, W).
        channels: Its number of channels.
        instance: The `FusedInstanceNorm` of the channels from `first` on.
        batch: The `ScaleShift` of the others; None leaves them as they are.
        first: The first channel of the instance norm.
        relu: Whether there is a ReLU.
    """
    tensors = [instance.weight, instance.bias]
    others = [None] * 4 if batch is None else [batch.weight, batch.bias, batch.mean, batch.var]
    rest = channels - instance.channels
    if (
        _is_image(x, channels)
        and _are_plain(instance.channels, x.device, *tensors)
        and (batch is None or _are_plain(rest, x.device, *others))
        and not (torch.is_grad_enabled() and any(t.requires_grad for t in (x, *tensors)))
        and not _is_hooked(instance)
        and (batch is None or not _is_hooked(batch))
        and (passes := _offered(x)) is not None
    ):
        plan = Plan(first, first + instance.channels, instance.eps, batch_statistics=False)
        return passes.forward(x, tensors + others, None, plan, relu=relu)[0]
    return None


def _offered(x: torch.Tensor) -> Passes | None:
    """Return the passes for `x` if the switch allows them and nothing looks into the layers."""
    if is_watched() or not native.allowed(x.device.type):
        return None
    passes = _passes(x.device)
    return passes if passes is not None and passes.takes(x) else None


def _passes(device: torch.device) -> Passes | None:
    """Return the passes for a device, or None if there are none."""
    if device.type == "cpu":
        return native_passes
    return _triton_passes() if device.type == "cuda" else None


@functools.cache
def _triton_passes() -> Passes | None:
    try:
        from ibn_seg.layers import triton_passes
    except ImportError as error:
        _log.warning("%s=triton: the plain layers are used: %s", native.SWITCH, error)
        return None
    return triton_passes


def _may_be_skipped(norm: nn.Module) -> bool:
    """Return whether a norm is PyTorch's own class and has no hooks waiting for its call."""
    return (
        type(norm).forward in _FORWARDS and "forward" not in norm.__dict__ and not _is_hooked(norm)
    )


def _is_hooked(norm: nn.Module) -> bool:
    return bool(
        norm._forward_hooks
        or norm._forward_pre_hooks
        or norm._backward_hooks
        or norm._backward_pre_hooks
        or any(_GLOBAL_HOOKS)
    )


def is_watched() -> bool:
    """Return whether something follows PyTorch's operations one by one."""
    return (
        torch._C._are_functorch_transforms_active()
        or torch._C._len_torch_dispatch_stack() > 0
        # A default device is a mode too, but it follows only functions that make tensors.
        or any(not isinstance(mode, DeviceContext) for mode in _get_current_function_mode_stack())
        or forward_ad._current_level >= 0
    )


def _is_image(x: torch.Tensor, channels: int) -> bool:
    """Return whether `x` is a batch of feature maps and an ordinary tensor in memory."""
    return (
        not torch.jit.is_tracing()
        and _is_plain(x, x.device)
        and x.dim() == 4
        and x.size(1) == channels
        and x.numel() > 0
        and x.size(2) * x.size(3) > 1  # else PyTorch raises an error
    )


def _is_plain(x: torch.Tensor, device: torch.device) -> bool:
    return (
        type(x) in (torch.Tensor, nn.Parameter)
        and x.device == device
        and x.layout == torch.strided
        and torch._C._has_storage(x)  # batches of gradients have none
    )


def _are_plain(size: int, device: torch.device, *tensors: torch.Tensor | None) -> bool:
    return all(
        t is not None
        and t.dtype == torch.float32
        and _is_plain(t, device)
        and t.shape == (size,)
        and t.is_contiguous()
        for t in tensors
    )


def _is_known(norm: _BatchNorm, device: torch.device) -> bool:
    """Return whether the batch norm has a scale, a shift and all running statistics or none."""
    size, running = norm.num_features, (norm.running_mean, norm.running_var)
    return _are_plain(size, device, norm.weight, norm.bias) and (
        running == (None, None) if running[0] is None else _are_plain(size, device, *running)
    )


def normalise(
    x: torch.Tensor, instance: nn.InstanceNorm2d, batch: _BatchNorm | None = None, first: int = 0
) -> torch.Tensor:
    """Return the norms applied to their channels of `x`; call it only if `usable` has agreed.

    Running statistics are updated as in `nn.BatchNorm2d`. The result has the memory format of `x`.

    Args:
        x: The input, shape (N, C, H, W).
        instance: The norm of the channels from `first` on.
        batch: The norm of the other channels; None if there are none.
        first: The first channel of the instance norm.
    """
    last = first + instance.num_features
    if batch is None:
        plan = Plan(first, last, instance.eps)
        return _run(x, instance.weight, instance.bias, None, None, None, None, None, plan)
    own = batch.training or batch.running_mean is None
    plan = Plan(first, last, instance.eps, batch.eps, own)
    found = batch.weight.new_empty((2, batch.num_features)) if own else None
    y = _run(
        x, instance.weight, instance.bias, batch.weight, batch.bias,
        batch.running_mean, batch.running_var, found, plan,
    )  # fmt: skip
    if batch.training and batch.track_running_stats:
        _track(batch, *found)
    return y


def _run(x: torch.Tensor, *arguments: torch.Tensor | Plan | None) -> torch.Tensor:
    """Run the passes, and keep what a backward pass needs if one will follow."""
    if torch.is_grad_enabled() and any(
        t is not None and t.requires_grad for t in (x, *arguments[:4])
    ):
        return _SinglePass.apply(x, *arguments)
    *tensors, found, plan = arguments
    return _passes(x.device).forward(x, tensors, found, plan)[0]


@torch.no_grad()
def _track(batch: _BatchNorm, mean: torch.Tensor, var: torch.Tensor) -> None:
    """Count the batch in the running statistics."""
    share = batch.momentum
    if batch.num_batches_tracked is not None:
        batch.num_batches_tracked.add_(1)
        if share is None:
            share = 1.0 / float(batch.num_batches_tracked)
    if share is not None and batch.running_mean is not None:
        batch.running_mean.mul_(1 - share).add_(mean, alpha=share)
        batch.running_var.mul_(1 - share).add_(var, alpha=share)


class _SinglePass(torch.autograd.Function):
    """The passes forward and backward; PyTorch computes second-order derivatives."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        x: torch.Tensor,
        *arguments: torch.Tensor | Plan | None,
    ) -> torch.Tensor:
        *tensors, found, plan = arguments
        y, moments = _passes(x.device).forward(x, tensors, found, plan)
        instance_weight, _, batch_weight, _, running_mean, running_var = tensors
        if plan.batch_statistics:
            running_mean = running_var = None
        ctx.save_for_backward(x, instance_weight, batch_weight, moments, running_mean, running_var)
        ctx.plan = plan
        return y

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, dy: torch.Tensor
    ) -> tuple[torch.Tensor | None, ...]:
        x, *weights, moments, running_mean, running_var = ctx.saved_tensors
        needed = ctx.needs_input_grad[:5]
        if torch.is_grad_enabled() or is_watched() or not _is_like(dy, x):
            running = (running_mean, running_var)
            gradients = gradients_in_torch(x, dy, weights, running, ctx.plan, needed)
        else:
            passes = _passes(x.device)
            gradients = passes.backward(x, dy, weights, moments, ctx.plan, needed)
        return (*gradients, None, None, None, None)


def _is_like(dy: torch.Tensor, x: torch.Tensor) -> bool:
    return dy.dtype == x.dtype and _is_plain(dy, x.device)


def gradients_in_torch(
    x: torch.Tensor,
    dy: torch.Tensor,
    weights: list[torch.Tensor | None],
    running: tuple[torch.Tensor | None, torch.Tensor | None],
    plan: Plan,
    needed: tuple[bool, ...],
) -> list[torch.Tensor | None]:
    """Return the same as the backward pass, by functions that can be differentiated again.

    Args:
        x: The input, shape (N, C, H, W).
        dy: Gradient of the output, of the same shape.
        weights: Scale of the instance norm and of the batch norm; the latter is None without one.
        running: Mean and variance of the batch norm, or None if it uses the batch's own.
        plan: The plan of the forward pass.
        needed: Which gradients are wanted: of x, then scale and shift of both norms.
    """
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        shifts = [None if w is None else torch.zeros_like(w, requires_grad=True) for w in weights]
        inputs = [x, weights[0], shifts[0], weights[1], shifts[1]]
        inputs = [
            t if t is None or t.requires_grad else t.detach().requires_grad_() for t in inputs
        ]
        y = in_torch(*inputs, *running, plan)
        wanted = [t for t, need in zip(inputs, needed, strict=True) if need]
        found = iter(torch.autograd.grad(y, wanted, dy, create_graph=again))
    return [next(found) if need else None for need in needed]


def in_torch(
    x: torch.Tensor,
    instance_weight: torch.Tensor,
    instance_bias: torch.Tensor,
    batch_weight: torch.Tensor | None,
    batch_bias: torch.Tensor | None,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    plan: Plan,
) -> torch.Tensor:
    """Return the same as the passes, by PyTorch's operations; nothing is updated."""
    head, inner, tail = x.split((plan.first, plan.last - plan.first, x.size(1) - plan.last), 1)
    inner = F.instance_norm(
        inner.contiguous(), weight=instance_weight, bias=instance_bias, eps=plan.instance_eps
    )
    if batch_weight is None:
        return inner
    outer = F.batch_norm(
        torch.cat((head, tail), 1), running_mean, running_var, batch_weight, batch_bias,
        training=plan.batch_statistics, eps=plan.batch_eps,
    )  # fmt: skip
    return torch.cat((outer[:, : plan.first], inner, outer[:, plan.first :]), 1)
