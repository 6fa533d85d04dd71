"""Fold batch norms in evaluation mode into the convolutions before them."""

import copy

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ibn_seg.layers.fused import scale_and_shift
from ibn_seg.layers.ibn import IBN
from ibn_seg.layers.instance import InstanceNorm
from ibn_seg.layers.plain_instance import PlainInstanceNorm
from ibn_seg.layers.sync import SynchronisedBatchNorm
from ibn_seg.surgery.norms import TAIL, ActivatedIBN, ActivatedInstanceNorm2d

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, *_TRANSPOSED)
# Classes of other libraries that pad differently or treat empty batches differently.
_ALIKE = {
    ("timm.layers.conv2d_same", "Conv2dSame"),
    ("mmcv.cnn.bricks.wrappers", "Conv2d"),
    ("mmcv.cnn.bricks.wrappers", "Conv3d"),
    ("mmcv.cnn.bricks.wrappers", "ConvTranspose2d"),
    ("mmcv.cnn.bricks.wrappers", "ConvTranspose3d"),
}
# Classes that only check their input differently: mmengine's have a class of their own.
_BATCH_NORMS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    SynchronisedBatchNorm,
)
_INSTANCE_NORMS = (nn.InstanceNorm2d, PlainInstanceNorm, InstanceNorm, ActivatedInstanceNorm2d)
# timm's norms, which end in dropout and activation.
_ACTIVATED = ("BatchNormAct2d", "SyncBatchNormAct")


def is_convolution(module: nn.Module) -> bool:
    """Return whether scaling the filters of `module` scales its output, and it has no hooks."""
    kind = type(module)
    known = kind in _CONVOLUTIONS or (kind.__module__, kind.__name__) in _ALIKE
    return known and not has_hooks(module)


def is_norm(module: nn.Module) -> bool:
    """Return whether `module` is a norm of a kind that is handled here."""
    return isinstance(module, (IBN, _BatchNorm, nn.InstanceNorm2d))


def obstacle(norm: nn.Module) -> str | None:
    """Return why a norm cannot be rewritten for inference, or None if it can."""
    if has_hooks(norm):
        return "it has hooks"
    if isinstance(norm, IBN):
        if type(norm) not in (IBN, ActivatedIBN):
            return f"a {type(norm).__name__} may do more than IBN"
        reasons = (obstacle(part) for part in (norm.IN, norm.BN))
        return next((f"in it, {reason}" for reason in reasons if reason), None)
    if isinstance(norm, nn.InstanceNorm2d):
        if type(norm) not in _INSTANCE_NORMS:
            return f"a {type(norm).__name__} may do more than an instance norm"
        return "it has running statistics" if norm.running_mean is not None else None
    if norm.training:
        return "it is in training mode"
    if norm.running_mean is None or norm.running_var is None:
        return "it has no running statistics"
    plain = any(type(norm).forward in (kind.forward, _BatchNorm.forward) for kind in _BATCH_NORMS)
    if not plain and type(norm).__name__ not in _ACTIVATED:
        return f"a {type(norm).__name__} may do more than a batch norm"
    others = [name for name, _ in norm.named_children() if name not in TAIL]
    return f"it has parts of its own: {', '.join(others)}" if others else None


def has_hooks(module: nn.Module) -> bool:
    """Return whether hooks read or change a module's input or output.

    Old parametrisations count as well, such as `torch.nn.utils.weight_norm`.
    """
    return bool(module._forward_hooks or module._forward_pre_hooks)


def folded(conv: nn.Module, norm: nn.Module) -> nn.Module:
    """Return a copy of `conv` that includes the effect of `norm` on its output.

    Args:
        conv: A convolution, see `is_convolution`; also grouped, dilated, transposed, with a bias.
        norm: A batch norm in evaluation mode, or an `IBN`. For an `IBN` only the filters of the
            batch norm's channels change.
    """
    if isinstance(norm, IBN):
        first = norm.split[0]
        part = slice(first, None) if norm.instance_first else slice(first)
        norm = norm.BN
    else:
        part = slice(None)
    scale = conv.weight.new_ones(conv.out_channels, dtype=torch.float64)
    shift = torch.zeros_like(scale)
    scale[part], shift[part] = scale_and_shift(norm)
    weight = conv.weight.detach()
    wide = weight.double()
    if isinstance(conv, _TRANSPOSED):
        # (in, out / groups, ...), the groups along the first axis.
        grouped = wide.unflatten(0, (conv.groups, -1))
        factors = scale.view(conv.groups, 1, -1, *(1,) * (weight.dim() - 2))
        wide = (grouped * factors).flatten(0, 1)
    else:
        wide = wide * scale.view(-1, *(1,) * (weight.dim() - 1))
    if conv.bias is not None:
        shift = shift + conv.bias.detach().double() * scale
    made = copy.deepcopy(conv)
    scaled = torch.empty_like(weight).copy_(wide)  # in the memory format of the filters
    made.weight = nn.Parameter(scaled, conv.weight.requires_grad)
    made.bias = nn.Parameter(shift.to(weight.dtype), conv.weight.requires_grad)
    return made
