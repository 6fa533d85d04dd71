"""The blocks of IBN-Net.mxnet that the ResNet family has not.

Source: https://github.com/bruinxiong/IBN-Net.mxnet at e138250. A block's first norm, `layers.
first_norm`, is the one that a placement may replace.
"""

import abc
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from ibn_seg.models.blocks import BlockLayers, NormFactory, ResidualBlock


class PreactivationBlock(ResidualBlock):
    """Norm and ReLU come before each convolution, and nothing follows the sum.

    The first block of a stage has a projection and reads activated maps alone. The network runs
    `activate` before it, so that feature maps are activated too.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output.
        layers: The settings for its layers.
        stride: Stride of a 3x3 convolution.
        dilation: Dilation of the same.
        downsample: The projection of a stage's first block, or None.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        layers: BlockLayers,
        stride: int = 1,
        dilation: int = 1,
        downsample: nn.Module | None = None,
    ) -> None:
        super().__init__(layers.with_cp)
        self.relu = nn.Identity()  # what follows the sum
        self.bn1 = layers.first_norm(in_channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.relu2 = nn.ReLU(inplace=True)
        self.downsample = downsample
        spatial = {"stride": stride, "padding": dilation, "dilation": dilation, "bias": False}
        self._add_convolutions(in_channels, channels, layers, spatial)

    @abc.abstractmethod
    def _add_convolutions(
        self, in_channels: int, channels: int, layers: BlockLayers, spatial: dict[str, Any]
    ) -> None:
        """Register the convolutions and all norms but the first.

        Args:
            in_channels: Channels of the input.
            channels: Channels of the output.
            layers: The settings for its layers.
            spatial: Stride, padding, dilation and bias of the 3x3 convolution that has the stride.
        """

    def activate(self, x: torch.Tensor) -> torch.Tensor:
        """Return the first norm and ReLU of `x`, shape (N, C, H, W)."""
        return self.relu1(self.bn1(x))

    def _sum(self, x: torch.Tensor) -> torch.Tensor:
        if self.downsample is not None:
            return self._residual(x) + self.downsample(x)
        return self._residual(self.activate(x)) + x


class PreactivationBasicBlock(PreactivationBlock):
    """Two 3x3 convolutions; the first has the stride and the dilation."""

    def _add_convolutions(
        self, in_channels: int, channels: int, layers: BlockLayers, spatial: dict[str, Any]
    ) -> None:
        self.conv1 = layers.conv(in_channels, channels, 3, **spatial)
        self.bn2 = layers.norm(channels)
        self.conv2 = layers.conv(channels, channels, 3, padding=1, bias=False)

    def _residual(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv2(self.relu2(self.bn2(self.conv1(x))))


class PreactivationBottleneck(PreactivationBlock):
    """1x1, 3x3 and 1x1 convolutions; the 3x3 has a quarter of the channels, stride and dilation."""

    def _add_convolutions(
        self, in_channels: int, channels: int, layers: BlockLayers, spatial: dict[str, Any]
    ) -> None:
        width = channels // 4
        self.conv1 = layers.conv(in_channels, width, 1, bias=False)
        self.bn2 = layers.norm(width)
        self.conv2 = layers.conv(width, width, 3, **spatial)
        self.bn3 = layers.norm(width)
        self.relu3 = nn.ReLU(inplace=True)
        self.conv3 = layers.conv(width, channels, 1, bias=False)

    def _residual(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu2(self.bn2(self.conv1(x)))
        return self.conv3(self.relu3(self.bn3(self.conv2(x))))


class GroupedBlock(ResidualBlock):
    """Norm and ReLU, a grouped 3x3 convolution to half of the channels, a 1x1 convolution.

    The source computes another 1x1 convolution first, and then does not use it. So there is no
    `conv1`.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output.
        layers: The settings for its layers.
        stride: Stride of the 3x3 convolution.
        dilation: Dilation of the 3x3 convolution.
        downsample: The shortcut, or None for the identity.
        added_norm: Builds the norm that follows the addition, or None.
    """

    last_norm = "bn3"

    def __init__(
        self,
        in_channels: int,
        channels: int,
        layers: BlockLayers,
        stride: int = 1,
        dilation: int = 1,
        downsample: nn.Module | None = None,
        added_norm: NormFactory | None = None,
    ) -> None:
        super().__init__(layers.with_cp)
        width = channels // 2
        self.bn1 = layers.first_norm(in_channels)
        self.conv2 = layers.conv(
            in_channels,
            width,
            3,
            stride=stride,
            padding=dilation,
            dilation=dilation,
            groups=layers.groups,
            bias=False,
        )
        self.bn2 = layers.norm(width)
        self.conv3 = layers.conv(width, channels, 1, bias=False)
        self.bn3 = layers.norm(channels)
        self._add_shortcut(downsample, channels, added_norm)

    def _residual(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.bn1(x))
        return self.bn3(self.conv3(self.relu(self.bn2(self.conv2(x)))))


class DroppingLinear(nn.Linear):
    """A linear classifier with dropout before it.

    Args:
        in_features: Number of inputs.
        classes: Number of outputs.
        share: Share of the inputs that training sets to zero.
    """

    def __init__(self, in_features: int, classes: int, share: float) -> None:
        super().__init__(in_features, classes)
        self.share = share

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return logits, shape (N, classes), of features, shape (N, in_features)."""
        kept = functional.dropout(input, self.share, self.training)
        return functional.linear(kept, self.weight, self.bias)
