"""The common parts of all networks: returned features, frozen stages, norms in eval mode."""

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.fx
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ibn_seg.errors import UserError
from ibn_seg.layers.placement import Placement
from ibn_seg.models.weight_rules import WeightRules

# Output stride -> strides, dilations of the four stages (Chen et al., arXiv:1706.05587).
OUTPUT_STRIDES: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = {
    32: ((1, 2, 2, 2), (1, 1, 1, 1)),
    16: ((1, 2, 2, 1), (1, 1, 1, 2)),
    8: ((1, 2, 1, 1), (1, 1, 2, 4)),
}


@dataclass(frozen=True)
class FeatureInfo:
    """One feature map of a backbone: its channels, stride and module path."""

    channels: int
    stride: int
    module: str


class Backbone(nn.Module, abc.ABC):
    """A network that returns logits if it has a classifier, and feature maps otherwise.

    It is divided into a stem, the stem's pooling and stages. So hosts can use more than the output
    of `forward`.

    Attributes:
        classifier_name: Name of the linear classifier; present only if `num_classes` was given.
        weight_rules: The form of this family's checkpoints.
        depth: Number of layers.
        placement: Where the instance norms are.
        stage_blocks: Number of blocks or layers of each stage.
        out_indices: Stages (from 0) whose outputs are returned.
        stem_info: Channels, stride and module path of the stem's output.
        feature_info: Channels, stride and module path of each returned feature map.
        frozen_stages: Frozen are the stem (0) and the first stages (1 and more); -1: nothing.
        norm_eval: Whether batch norms stay in eval mode while training.
    """

    classifier_name: str
    weight_rules: WeightRules
    depth: int
    placement: Placement
    stage_blocks: tuple[int, ...]
    out_indices: tuple[int, ...]
    stem_info: FeatureInfo
    feature_info: tuple[FeatureInfo, ...]
    frozen_stages: int
    norm_eval: bool

    @abc.abstractmethod
    def run_stem(self, x: torch.Tensor) -> torch.Tensor:
        """Return the stem's output at stride 2, before its pooling."""

    @abc.abstractmethod
    def pool_stem(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input of the first stage, from the result of `run_stem`."""

    @abc.abstractmethod
    def run_stage(self, stage: int, x: torch.Tensor) -> torch.Tensor:
        """Return the output of a stage (from 0), from the previous stage's output."""

    def forward(self, x: torch.Tensor) -> Any:
        """Return logits or feature maps of images, shape (N, in_channels, H, W)."""
        x = self.pool_stem(self.run_stem(x))
        features = []
        for stage in range(len(self.stage_blocks)):
            x = self.run_stage(stage, x)
            if stage in self.out_indices:
                features.append(x)
        if hasattr(self, self.classifier_name):
            return getattr(self, self.classifier_name)(x.mean(dim=(2, 3)))
        return tuple(features)

    def __prepare_scriptable__(self) -> nn.Module:
        """Return this network with its steps written out, as `torch.jit.script` asks for.

        TorchScript cannot follow loops over names. The modules and their keys are the same.
        """
        return torch.fx.symbolic_trace(self)

    def train(self, mode: bool = True) -> Self:
        """Set the mode; frozen stages and, with `norm_eval`, batch norms stay in eval mode."""
        super().train(mode)
        self.freeze_stages()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def freeze_stages(self) -> None:
        """Put the frozen part in eval mode and stop its gradients."""
        for module in self.frozen_modules():
            module.eval()
            module.requires_grad_(False)

    @abc.abstractmethod
    def depth_points(self) -> dict[str, str]:
        """Return module paths by layer name, in the order of depth: stem, blocks or dense layers.

        The names depend only on family and depth, so BN, IBN-a and IBN-b can be compared layer by
        layer. The module at each path is called once in a forward pass.
        """

    @abc.abstractmethod
    def frozen_modules(self) -> list[nn.Module]:
        """Return the modules that `frozen_stages` names."""

    @abc.abstractmethod
    def reset_parameters(self) -> None:
        """Start the weights from random values."""

    def start_residuals(self) -> None:
        """Make residual blocks start as their shortcut alone, if the network has and wants this."""


def reset_convolutions_and_norms(network: nn.Module) -> None:
    """Start convolutions from Kaiming's normal (fan-out), batch norms from the identity."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, _BatchNorm):
            module.reset_parameters()


def check_stages(
    num_stages: int,
    strides: Sequence[int],
    dilations: Sequence[int],
    out_indices: Sequence[int],
    frozen_stages: int,
) -> None:
    """Raise a `UserError` if these do not describe a network of `num_stages` stages."""
    for name, values in (("strides", strides), ("dilations", dilations)):
        if len(values) != num_stages:
            raise UserError(
                f"{name}={tuple(values)} does not describe {num_stages} stages",
                f"give {num_stages} numbers, one per stage",
            )
    if isinstance(out_indices, (str, int)) or not all(isinstance(i, int) for i in out_indices):
        raise UserError(f"out_indices={out_indices!r} is no list of whole numbers", "such as (3,)")
    if not isinstance(frozen_stages, int):
        raise UserError(f"frozen_stages={frozen_stages!r} is no whole number", "such as -1 (none)")
    if not out_indices or not all(0 <= index < num_stages for index in out_indices):
        raise UserError(
            f"out_indices={tuple(out_indices)} names stages that are not there",
            f"allowed: 0 to {num_stages - 1}",
        )
    if not -1 <= frozen_stages <= num_stages:
        raise UserError(
            f"frozen_stages={frozen_stages} is out of range",
            f"allowed: -1 (none), 0 (the stem) to {num_stages} (all stages)",
        )
