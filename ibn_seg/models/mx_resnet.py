"""The networks of IBN-Net.mxnet: close to the paper's by name, and not the same functions.

Source: https://github.com/bruinxiong/IBN-Net.mxnet at e138250, its four symbol files.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ibn_seg.errors import UserError
from ibn_seg.layers.placement import Placement
from ibn_seg.models.blocks import BasicBlock, BlockLayers, Bottleneck, NormFactory
from ibn_seg.models.mx_blocks import (
    GroupedBlock,
    PreactivationBasicBlock,
    PreactivationBottleneck,
)
from ibn_seg.models.mx_network import BlockFactory, MXDesign, MXNetwork


class MXResNet(MXNetwork):
    """The source's `resnet_ibn_a`: pre-activation blocks; IBN is the first norm of a block.

    So IBN sees the sum of all earlier blocks, where the paper's IBN-a sees the block's first
    convolution. The depths 18 and 34 of the source have no instance norm.
    """

    family = "MX-ResNet"

    def pool_stem(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input of the first stage, which is activated."""
        return self._activated(0, super().pool_stem(x))

    def run_stage(self, stage: int, x: torch.Tensor) -> torch.Tensor:
        """Return the activated output of a stage (from 0), from the previous stage's output."""
        return self._activated(stage + 1, super().run_stage(stage, x))

    def _activated(self, stage: int, x: torch.Tensor) -> torch.Tensor:
        """Return the norm and ReLU that the source computes at the start of a stage."""
        if stage == len(self.stage_names):
            return self.last_relu(self.last_norm(x))
        return getattr(self, self.stage_names[stage])[0].activate(x)

    def _placement(
        self, ibn: str | None, ibn_stages: Sequence[str | None] | None, stages: int
    ) -> Placement:
        return _without_additions(self.family, super()._placement(ibn, ibn_stages, stages))

    def _block(self) -> BlockFactory:
        return PreactivationBottleneck if self.bottleneck else PreactivationBasicBlock

    def _projection(self, stage: int, in_channels: int, layers: BlockLayers) -> nn.Sequential:
        return nn.Sequential(self._shortcut(stage, in_channels, layers))

    def _add_end(self, norm: NormFactory) -> None:
        self.last_norm = norm(self.filters[-1])
        self.last_relu = nn.ReLU(inplace=True)

    def _feature_module(self, stage: int) -> str:
        last = stage == len(self.stage_names) - 1
        return "last_relu" if last else f"{self.stage_names[stage + 1]}.0.relu1"


class MXResNeXt(MXNetwork):
    """The source's `resnext_ibn_a` and `resnext_ibn_b`; their blocks differ.

    Blocks of variant b have three convolutions and an instance norm after the addition. All others
    have two, and IBN is a block's first layer. The depths 18 and 34 of the source have no instance
    norm.

    Args:
        depth: Number of layers.
        groups: Groups of the 3x3 convolutions, from depth 50.
        mx: The other arguments of `MXNetwork`.

    Raises:
        UserError: An argument is unknown or does not fit the others.
    """

    family = "MX-ResNeXt"

    def __init__(self, depth: int, groups: int = 32, **mx: Any) -> None:
        super().__init__(depth, design=MXDesign(groups), **mx)

    def _block(self) -> BlockFactory:
        if not self.bottleneck:
            return BasicBlock
        widths = [f // 2 for f in self.filters]
        if not self.placement.adds_norms():
            widths += [self.stem_channels, *self.filters[:-1]]
        if self.design.groups < 1 or any(width % self.design.groups for width in widths):
            raise UserError(
                f"groups={self.design.groups} of {self.family} do not divide its widths {widths}",
                "give a number that divides them all",
            )
        return _three_convolutions if self.placement.adds_norms() else GroupedBlock


class MXResNeXtWD(MXResNeXt):
    """The source's `resnext_ibn_a_w_d_v2`: a deep stem, 3x3 projections and dropout.

    Args:
        depth: Number of layers.
        groups: Groups of the 3x3 convolutions, from depth 50.
        dropout: Share of the classifier's inputs that training drops.
        shortcut: Kernel of the projections from the second stage on.
        mx: The other arguments of `MXNetwork`.

    Raises:
        UserError: An argument is unknown or does not fit the others.
    """

    family = "MX-ResNeXt-WD"
    default_stem = "deep"

    def __init__(
        self, depth: int, groups: int = 32, dropout: float = 0.2, shortcut: int = 3, **mx: Any
    ) -> None:
        # Not MXResNeXt's constructor, which sets another design.
        MXNetwork.__init__(self, depth, design=MXDesign(groups, shortcut, dropout), **mx)


def _three_convolutions(in_channels: int, channels: int, *args: Any, **options: Any) -> Bottleneck:
    """Return a bottleneck of the ResNet family, whose 3x3 convolution has half of the channels."""
    return Bottleneck(in_channels, channels // Bottleneck.expansion, *args, **options)


def _without_additions(family: str, placement: Placement) -> Placement:
    """Return a placement without norms after additions.

    Raises:
        UserError: It has some.
    """
    if placement.adds_norms():
        marks = ", ".join(repr(mark) for mark in dict.fromkeys(placement.stages) if mark)
        raise UserError(f"ibn variant {marks} has no place in {family}", "use 'a' or None")
    return placement
