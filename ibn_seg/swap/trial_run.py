"""Tests whether a config's whole model builds and runs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from ibn_seg.errors import UserError
from ibn_seg.swap.hosts import build, first_line

if TYPE_CHECKING:
    from mmengine.registry import Registry

_SIZE = 64


def run_model(model: Mapping[str, Any], registry: "Registry") -> str:
    """Build a config's model and put a small image through all of it.

    A segmentor runs `encode_decode` and every auxiliary head. A model of another kind runs up to
    the features that its heads get.

    Returns:
        The shapes in and out, as text for the user.

    Raises:
        UserError: The model cannot be built, or does not run.
    """
    from mmengine.model import revert_sync_batchnorm

    network = build(registry, model)
    kind = type(network).__name__
    try:
        network = revert_sync_batchnorm(network).eval()
        image = torch.zeros(1, _image_channels(model), _SIZE, _SIZE)
        with torch.no_grad():
            outputs = _forward(network, image)
    except Exception as error:  # other projects' networks raise anything
        raise UserError(f"{kind} does not run ({first_line(error)})") from error
    return f"{_shape(image)} -> {', '.join(map(_shape, outputs))}"


def _forward(network: Any, image: torch.Tensor) -> list[torch.Tensor]:
    """Return logits, or feature maps if the model is not a segmentor."""
    if not hasattr(network, "encode_decode"):
        features = network.extract_feat(image)
        return [features] if isinstance(features, torch.Tensor) else list(features)
    size = tuple(image.shape[-2:])
    meta = {"img_shape": size, "ori_shape": size, "pad_shape": size, "batch_input_shape": size}
    logits = network.encode_decode(image, [meta])
    if network.with_auxiliary_head:
        features = network.extract_feat(image)
        heads = network.auxiliary_head
        for head in heads if isinstance(heads, torch.nn.ModuleList) else [heads]:
            head(features)
    return [logits]


def _image_channels(model: Mapping[str, Any]) -> int:
    return model["backbone"].get("in_channels", 3)


def _shape(tensor: torch.Tensor) -> str:
    return "x".join(map(str, tensor.shape))
