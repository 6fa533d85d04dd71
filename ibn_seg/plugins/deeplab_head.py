"""The decoder of DeepLabV3+ with ordinary convolutions, as RobustNet and those after it have it.

mmseg's own has depthwise separable convolutions, and a 3x3 convolution behind the pyramid.
Source: https://github.com/shachoi/RobustNet at 1ff5c04.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads import ASPPHead
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from torch import nn


@MODELS.register_module()
class DeepLabV3PlusHead(ASPPHead):
    """DeepLabV3+ (Chen et al., ECCV 2018): a pyramid of dilated convolutions and early features.

    Args:
        c1_in_channels: Channels of the first feature map of the backbone.
        c1_channels: The same, after a 1x1 convolution.
        settings: The arguments of mmseg's `ASPPHead`.
    """

    def __init__(self, c1_in_channels: int, c1_channels: int = 48, **settings: Any) -> None:
        super().__init__(**settings)
        pyramid = (len(self.dilations) + 1) * self.channels
        self.bottleneck = self._convolution(pyramid, self.channels, 1)
        self.c1_bottleneck = self._convolution(c1_in_channels, c1_channels, 1)
        self.fuse = nn.Sequential(
            self._convolution(self.channels + c1_channels, self.channels, 3),
            self._convolution(self.channels, self.channels, 3),
        )

    def forward(self, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return logits, shape (N, num_classes, H, W) of the first of the feature maps."""
        early = self.c1_bottleneck(inputs[0])
        late = resize(
            self._forward_feature(inputs),
            size=early.shape[2:],
            mode="bilinear",
            align_corners=self.align_corners,
        )
        return self.cls_seg(self.fuse(torch.cat([late, early], dim=1)))

    def _convolution(self, in_channels: int, channels: int, kernel: int) -> ConvModule:
        """Return a convolution with norm and ReLU."""
        return ConvModule(
            in_channels,
            channels,
            kernel,
            padding=kernel // 2,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg,
        )
