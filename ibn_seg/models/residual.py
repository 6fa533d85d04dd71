"""The common parts of networks whose stages are residual blocks, `layer1` to `layer4`."""

import dataclasses
import functools

import torch
from torch import nn

from ibn_seg.models.backbone import Backbone
from ibn_seg.models.blocks import BlockLayers, ConvFactory, NormFactory, ResidualBlock


class ResidualNetwork(Backbone):
    """A network of a stem and stages of residual blocks.

    Attributes:
        stage_names: Attribute of each stage, an `nn.Sequential` of its blocks.
        ibn_ratio: Share of instance-normalised channels in the stages marked 'a'.
    """

    stage_names: tuple[str, ...]
    ibn_ratio: float

    def blocks(self) -> list[ResidualBlock]:
        """Return all residual blocks in order."""
        return [block for name in self.stage_names for block in getattr(self, name)]

    def depth_points(self) -> dict[str, str]:
        """Return module paths by layer name: the stem and every residual block."""
        counted = zip(self.stage_names, self.stage_blocks, strict=True)
        blocks = [f"{name}.{index}" for name, count in counted for index in range(count)]
        return {"stem": self.stem_info.module, **{block: block for block in blocks}}

    def run_stage(self, stage: int, x: torch.Tensor) -> torch.Tensor:
        """Return the output of a stage (from 0), from the previous stage's output."""
        return getattr(self, self.stage_names[stage])(x)

    def _add_plain_stem(
        self, in_channels: int, channels: int, conv: ConvFactory, norm: NormFactory
    ) -> None:
        """Register one 7x7 convolution at stride 2, its norm and ReLU."""
        self.conv1 = conv(in_channels, channels, 7, stride=2, padding=3, bias=False)
        self.bn1 = norm(channels)
        self.relu = nn.ReLU(inplace=True)

    def _placed(self, stage: int, layers: BlockLayers) -> BlockLayers:
        """Return the settings of a stage's blocks with the first norm that the placement wants."""
        norm = self.placement.first_norm(stage)
        if norm is None:
            return layers
        norm = functools.partial(norm, ratio=self.ibn_ratio, norm_layer=layers.norm)
        return dataclasses.replace(layers, first_norm=norm)
