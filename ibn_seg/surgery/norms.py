"""Instance norms and IBN made from a batch norm of any class."""

import copy

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.lazy import LazyModuleMixin

from ibn_seg.errors import UserError
from ibn_seg.layers.ibn import IBN
from ibn_seg.layers.instance import InstanceNorm

# Layers that timm's `BatchNormAct2d` applies to the normalised channels, in this order.
TAIL = ("drop", "act")


class ActivatedIBN(IBN):
    """IBN in place of a batch norm that applies dropout and activation itself (timm).

    Attributes:
        drop: The dropout.
        act: The activation.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise and activate `x`, shape (N, channels, H, W); the result has the same shape."""
        return self.act(self.drop(self.normalise(x)))


class ActivatedInstanceNorm2d(InstanceNorm):
    """Instance norm in place of a batch norm that applies dropout and activation itself (timm).

    Attributes:
        drop: The dropout.
        act: The activation.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise and activate `x`, shape (N, channels, H, W); the result has the same shape."""
        return self.act(self.drop(self.normalise_fast(x)))


def check_batch_norm(name: str, norm: nn.Module) -> None:
    """Raise a `UserError` unless `norm` is a batch norm that can be split."""
    kind = type(norm).__name__
    if not isinstance(norm, _BatchNorm):
        raise UserError(f"{name} is a {kind}, not a batch norm", "only batch norms can become IBN")
    if isinstance(norm, LazyModuleMixin):
        raise UserError(f"{name} is a {kind} without channels yet", "run the model once first")
    others = [child for child, _ in norm.named_children() if child not in TAIL]
    if others:
        raise UserError(
            f"{name} is a {kind} with parts that a plain batch norm does not have:"
            f" {', '.join(others)}",
            "remove parametrisations and wrappers first",
        )


def split_norm(norm: _BatchNorm, ratio: float, instance_first: bool) -> IBN:
    """Return the IBN that replaces `norm`; `norm` itself is not changed.

    Each channel keeps its scale and shift. The inner batch norm has the class and settings of
    `norm` and, for its channels, the running statistics. The instance norm is the one of `IBN`.
    Device, dtype, training flag and requires_grad are kept.

    Raises:
        UserError: `ratio` leaves one of the two without a channel.
    """
    channels = norm.num_features

    def part(count: int) -> nn.Module:
        return _part(norm, slice(channels - count, None) if instance_first else slice(count))

    layer = ActivatedIBN if _has_tail(norm) else IBN
    ibn = layer(channels, ratio, part, instance_first)
    cut = ibn.split[0]
    _take_affine(ibn.IN, norm, slice(cut) if instance_first else slice(cut, None))
    return _finish(ibn, norm)


def instance_norm(norm: _BatchNorm) -> InstanceNorm:
    """Return the affine instance norm that replaces `norm`, with its scale and shift."""
    layer = ActivatedInstanceNorm2d if _has_tail(norm) else InstanceNorm
    instance = layer(norm.num_features)
    _take_affine(instance, norm, slice(None))
    return _finish(instance, norm)


def identity_norm(norm: _BatchNorm) -> InstanceNorm:
    """Return an affine instance norm for the channels of `norm`, with scale 1 and shift 0.

    It has the device, dtype, training flag and requires_grad of `norm`.
    """
    instance = InstanceNorm(norm.num_features)
    _take_affine(instance, norm, slice(None))
    with torch.no_grad():
        instance.weight.fill_(1)
        instance.bias.fill_(0)
    return instance.train(norm.training)


def _has_tail(norm: nn.Module) -> bool:
    return any(hasattr(norm, name) for name in TAIL)


def _part(norm: _BatchNorm, channels: slice) -> _BatchNorm:
    """Return a copy of `norm` for some of its channels, without dropout and activation."""
    group = getattr(norm, "process_group", None)
    # The processes of a SyncBatchNorm are shared, because they cannot be copied.
    part = copy.deepcopy(norm, {id(group): group})
    for name, parameter in norm.named_parameters(recurse=False):
        setattr(part, name, _narrowed(parameter, channels))
    for name, buffer in norm.named_buffers(recurse=False):
        if buffer.dim():  # not the counter of batches
            setattr(part, name, buffer[channels].clone())
    part.num_features = len(range(norm.num_features)[channels])
    for name in TAIL:
        if hasattr(part, name):
            setattr(part, name, nn.Identity())
    return part


def _take_affine(instance: nn.InstanceNorm2d, norm: _BatchNorm, channels: slice) -> None:
    """Give an instance norm the scale and shift of some channels of a batch norm.

    If the batch norm has none (`affine=False`), the instance norm keeps its own, on the same
    device.
    """
    if norm.affine:
        instance.weight = _narrowed(norm.weight, channels)
        instance.bias = _narrowed(norm.bias, channels)
    elif norm.running_mean is not None:
        instance.to(norm.running_mean.device, norm.running_mean.dtype)


def _narrowed(parameter: nn.Parameter, channels: slice) -> nn.Parameter:
    return nn.Parameter(parameter.detach()[channels].clone(), parameter.requires_grad)


def _finish(layer: nn.Module, norm: _BatchNorm) -> nn.Module:
    """Give the layer the training flag of `norm` and the layers it applies after normalising."""
    layer.train(norm.training)
    for name in TAIL:
        if _has_tail(norm):
            setattr(layer, name, copy.deepcopy(getattr(norm, name, None)) or nn.Identity())
    return layer
