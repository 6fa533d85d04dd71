"""Run networks of other libraries."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_flatten

from ibn_seg.errors import UserError

_SIDE = 64
_BATCH = 2
_RAISED = (
    RuntimeError, TypeError, ValueError, AttributeError, LookupError, AssertionError,
)  # fmt: skip


def whole_images(segmentor: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return an mmseg segmentor's logits, shape (N, classes, H, W), for images (N, 3, H, W)."""
    size = images.shape[2:]
    about = {"ori_shape": size, "img_shape": size, "pad_shape": size, "padding_size": [0] * 4}
    return segmentor.encode_decode(images, [about])


def example_of(model: nn.Module) -> torch.Tensor:
    """Return noise as input for a network, shape (2, C, 64, 64); every network gets the same.

    Raises:
        UserError: It has no convolution for images, so C is unknown.
    """
    convolutions = (module for module in model.modules() if isinstance(module, nn.Conv2d))
    first = next(convolutions, None)
    if first is None:
        raise UserError(
            f"{type(model).__name__} has no 2D convolution, so its input is not known",
            "give an example of its input: fuse(model, example=...)",
        )
    noise = torch.randn(
        _BATCH, first.in_channels, _SIDE, _SIDE, generator=torch.Generator().manual_seed(0)
    )
    return noise.to(first.weight.device, first.weight.dtype)


def runs(model: nn.Module, arguments: tuple, given: bool) -> list[Callable[[], Any]]:
    """Return the runs of a whole network: inference, then each auxiliary head of a segmentor.

    Args:
        model: The network. A segmentor of mmseg is run on whole images, as in inference.
        arguments: The arguments of its call.
        given: Whether the user gave these, for messages.
    """
    segmentor = hasattr(model, "encode_decode") and hasattr(model, "extract_feat")
    found = [lambda: whole_images(model, *arguments) if segmentor else model(*arguments)]
    if segmentor:
        heads = getattr(model, "auxiliary_head", None)
        heads = heads if isinstance(heads, nn.ModuleList) else [heads] if heads else []
        for head in heads:
            # Compute the features first, so that the watched backbone does not run twice.
            features = _explained(model, lambda: model.extract_feat(*arguments), given)
            found.append(lambda head=head, features=features: head(features))
    return [lambda run=run: _explained(model, run, given) for run in found]


def tensors(values: Any) -> list[torch.Tensor]:
    """Return the tensors in lists, tuples and dicts of any depth."""
    leaves, _ = tree_flatten(values)
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]


def _explained(model: nn.Module, run: Callable[[], Any], given: bool) -> Any:
    """Return the result of a run; any exception becomes a one-line error."""
    title = type(model).__name__
    try:
        result = run()
    except UserError:
        raise
    except _RAISED as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        what = "the example" if given else f"noise of {_SIDE}x{_SIDE} pixels"
        raise UserError(
            f"{title} cannot be run on {what} ({reason})",
            "give an example of its input: fuse(model, example=...)",
        ) from error
    if not tensors(result):
        raise UserError(
            f"{title} returns a {type(result).__name__} without tensors",
            "fuse a part of it that returns tensors",
        )
    return result
