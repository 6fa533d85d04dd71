"""Batch norm with the statistics of all processes, on CPUs too."""

from collections.abc import Callable
from typing import Self

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from ibn_seg.errors import UserError
from ibn_seg.layers.plain_instance import is_tensor


class SynchronisedBatchNorm(_BatchNorm):
    """`nn.SyncBatchNorm` that works on CPUs as well, with the same arguments and state dict.

    Each process normalises its part of the batch with the statistics of the whole batch. A part may
    have any size, even empty. Output, running statistics and gradients together equal those of one
    process with the whole batch. On a GPU it runs `nn.SyncBatchNorm`'s own code. In evaluation
    mode, in a single process and in a group of one it is a plain batch norm.

    It is no subclass of `nn.SyncBatchNorm`, because `DistributedDataParallel` refuses that class on
    CPUs. Every process of the group has to call it the same number of times, backward passes
    included. It can be differentiated twice, forward (`torch.func.jvp`), and by `torch.func.grad`.
    As with `nn.BatchNorm2d`, the running statistics must not be updated inside `torch.func`. Pass
    them through `functional_call`, or use `track_running_stats=False`.

    `torch.fx` traces it in evaluation mode alone, and a scripted or traced one evaluates only.

    Args:
        num_features: Number of channels.
        eps: Added to the variance.
        momentum: Share of the new statistics in the running ones; None for their plain average.
        affine: Whether there are a scale and a shift.
        track_running_stats: Whether there are running statistics.
        process_group: The processes that share statistics. Default: all.

    Shape:
        Input and output are (N, num_features, ...).
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: dist.ProcessGroup | None = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats)
        self.process_group = process_group

    @classmethod
    def of(cls, norm: _BatchNorm, process_group: dist.ProcessGroup | None = None) -> Self:
        """Return a synchronised norm with the tensors, settings and mode of `norm`.

        Raises:
            UserError: `norm` does more than normalise, such as timm's norms with an activation.
        """
        if any(True for _ in norm.children()):
            raise UserError(
                f"a {type(norm).__name__} does more than a batch norm: it cannot be synchronised",
                "use the converter of its own library",
            )
        made = cls(norm.num_features, norm.eps, norm.momentum, False, False, process_group)
        made.affine, made.track_running_stats = norm.affine, norm.track_running_stats
        for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            setattr(made, name, getattr(norm, name))
        return made.train(norm.training)

    @classmethod
    def convert_sync_batchnorm(
        cls, module: nn.Module, process_group: dist.ProcessGroup | None = None
    ) -> nn.Module:
        """Return `module` with every batch norm synchronised, including those inside `IBN`.

        It works like `nn.SyncBatchNorm.convert_sync_batchnorm`, and on the networks of this package
        too. Parameters and buffers stay the same tensors. `module` itself is changed unless it is a
        batch norm.
        """
        return _replaced(
            module,
            lambda norm: isinstance(norm, _BatchNorm),
            lambda norm: cls.of(norm, process_group),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise `x`, shape (N, num_features, ...)."""
        if not torch.jit.is_scripting():
            return self._synchronised(x)
        if self.training:
            raise RuntimeError("a scripted SynchronisedBatchNorm evaluates only: call eval()")
        mean, var = self.running_mean, self.running_var
        own = mean is None or var is None
        return F.batch_norm(x, mean, var, self.weight, self.bias, training=own, eps=self.eps)

    def _synchronised(self, x: torch.Tensor) -> torch.Tensor:
        """Return the same as `forward`, outside of TorchScript."""
        if self.training and not is_tensor(x):
            raise UserError(
                "a SynchronisedBatchNorm in training mode cannot be traced or scripted",
                "call eval() of the network first, or build it with plain batch norms",
            )
        if not self.training or not (dist.is_available() and dist.is_initialized()):
            return super().forward(x)
        group = self.process_group or dist.group.WORLD
        if dist.get_world_size(group) == 1:
            return super().forward(x)
        if x.device.type != "cpu":
            return nn.SyncBatchNorm.forward(self, x)
        self._check_input_dim(x)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        count, mean, var = _statistics(wide, group)
        if self.track_running_stats:
            self._track(count, mean, var)
        scale = torch.rsqrt(var + self.eps)
        if self.weight is not None:
            scale = scale * self.weight
        shift = -mean * scale
        if self.bias is not None:
            shift = shift + self.bias
        shape = (1, -1, *(1,) * (x.dim() - 2))
        return torch.addcmul(shift.view(shape), wide, scale.view(shape)).to(x.dtype)

    def _track(self, count: torch.Tensor, mean: torch.Tensor, var: torch.Tensor) -> None:
        """Count the batch in the running statistics; the variance there is unbiased."""
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            share = self.momentum
            if share is None:
                share = 1 / self.num_batches_tracked.item()
            unbiased = var * (count / (count - 1).clamp(min=1))
            for running, new in ((self.running_mean, mean), (self.running_var, unbiased)):
                running.lerp_(new.detach().to(running.dtype), share)

    def _check_input_dim(self, x: torch.Tensor) -> None:
        if not is_tensor(x):
            return  # `torch.fx` cannot follow
        if x.dim() < 2:
            raise ValueError(f"expected at least 2D input (got {x.dim()}D input)")

    def _check_non_zero_input_channels(self, x: torch.Tensor) -> None:
        """Make the checks of `nn.SyncBatchNorm`, whose code calls this."""
        if x.size(1) == 0:
            raise ValueError("SyncBatchNorm number of input channels should be non-zero")


def for_cpu(model: nn.Module) -> nn.Module:
    """Change `model` so that every `nn.SyncBatchNorm` works on CPUs, and return it."""
    return _replaced(
        model,
        lambda norm: isinstance(norm, nn.SyncBatchNorm),
        lambda norm: SynchronisedBatchNorm.of(norm, norm.process_group),
    )


def summed(x: torch.Tensor, group: dist.ProcessGroup | None = None) -> torch.Tensor:
    """Return the sum of a tensor over processes, with its derivative; default: over all."""
    return _Sum.apply(x, group or dist.group.WORLD)


class _Sum(torch.autograd.Function):
    """The sum of a tensor over processes; its derivative is the sum of the derivatives."""

    @staticmethod
    def forward(x: torch.Tensor, group: dist.ProcessGroup) -> torch.Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def setup_context(
        ctx: torch.autograd.function.FunctionCtx, inputs: tuple, output: torch.Tensor
    ) -> None:
        ctx.group = inputs[1]

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: torch.Tensor) -> tuple:
        return _Sum.apply(gradient, ctx.group), None

    @staticmethod
    def jvp(
        ctx: torch.autograd.function.FunctionCtx, tangent: torch.Tensor, _: None
    ) -> torch.Tensor:
        return _Sum.apply(tangent, ctx.group)


def _statistics(
    x: torch.Tensor, group: dist.ProcessGroup
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return count, mean and biased variance of each channel over all processes.

    One message combines the moments of the parts around the common mean, so a large mean costs no
    digits. Source: Chan, Golub and LeVeque, 1979, equation 2.1.
    """
    dims = [0, *range(2, x.dim())]
    if x.numel():
        var, mean = torch.var_mean(x, dims, correction=0)
    else:
        mean = var = x.sum(dims)  # zeros that are part of the backward pass
    row = torch.cat((mean, var, mean.new_full((1,), x.numel() // x.size(1))))
    place = row.new_zeros(dist.get_world_size(group), 1)
    place[dist.get_rank(group)] = 1
    rows = _Sum.apply(place * row, group)
    means, variances, counts = rows.split((x.size(1), x.size(1), 1), dim=1)
    count = counts.sum().clamp(min=1)
    mean = (counts * means).sum(0) / count
    var = (counts * (variances + (means - mean).square())).sum(0) / count
    return count, mean, var


def _replaced(
    module: nn.Module,
    meant: Callable[[nn.Module], bool],
    made: Callable[[_BatchNorm], nn.Module],
    known: dict[nn.Module, nn.Module] | None = None,
) -> nn.Module:
    """Return `module` with its batch norms replaced, each once under all its names."""
    known = {} if known is None else known
    if module not in known:
        known[module] = made(module) if meant(module) else module
        # `named_children` leaves out the second name of a module.
        for name, child in list(module._modules.items()):
            if child is not None:
                setattr(known[module], name, _replaced(child, meant, made, known))
    return known[module]
