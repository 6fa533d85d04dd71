"""Computes features of a backbone's layers, by depth, as one number per channel."""

import functools
from typing import Any

import numpy as np
import torch
from torch import nn

from ibn_seg.errors import UserError
from ibn_seg.models.backbone import Backbone


class DepthFeatures:
    """Runs a backbone and returns the spatial mean of every layer's channels.

    For our backbones, the layers are `Backbone.depth_points`: stem, residual blocks, dense layers
    and transitions. BN, IBN-a and IBN-b of one depth have equal names. For other backbones, the
    layers are the returned feature maps, `stage1` and so on.

    Args:
        backbone: The network, in eval mode.
    """

    def __init__(self, backbone: nn.Module) -> None:
        self._backbone = backbone
        self._points = backbone.depth_points() if isinstance(backbone, Backbone) else None

    @torch.inference_mode()
    def __call__(self, images: torch.Tensor) -> dict[str, np.ndarray]:
        """Return (N, channels) float64 for each layer, from the first to the last.

        Args:
            images: (N, C, H, W), as the network's input.

        Raises:
            UserError: The backbone returns no feature maps.
        """
        if self._points is None:
            return _returned(self._backbone(images), type(self._backbone).__name__)
        found: dict[str, np.ndarray] = {}
        handles = [
            self._backbone.get_submodule(path).register_forward_hook(
                functools.partial(_keep, found, name)
            )
            for name, path in self._points.items()
        ]
        try:
            self._backbone(images)
        finally:
            for handle in handles:
                handle.remove()
        return {name: found[name] for name in self._points}


def _keep(
    found: dict[str, np.ndarray], name: str, module: nn.Module, inputs: Any, output: torch.Tensor
) -> None:
    """Keep a layer's means at once, because later layers may change the output in place."""
    found[name] = _spatial_mean(output)


def _spatial_mean(features: torch.Tensor) -> np.ndarray:
    """Return the mean over the positions of (N, C, H, W), summed in float64."""
    return features.mean(dim=(2, 3), dtype=torch.float64).cpu().numpy()


def _returned(outputs: Any, name: str) -> dict[str, np.ndarray]:
    """Return the means of the feature maps that a backbone returned."""
    maps = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    if not all(isinstance(one, torch.Tensor) and one.dim() == 4 for one in maps):
        raise UserError(
            f"backbone {name} returns no feature maps of shape (N, C, H, W)",
            "the divergence needs a backbone with stages, such as those of `ibn-seg models`",
        )
    return {f"stage{k}": _spatial_mean(one) for k, one in enumerate(maps, start=1)}
