"""The linear head of DINOv3's evaluation: batch norm and one 1x1 convolution.

mmseg's FCNHead with `num_convs=0` is the linear head without the norm. Source:
https://github.com/facebookresearch/dinov3 at 6876159, eval/segmentation/models/heads.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import build_norm_layer
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS


@MODELS.register_module()
class BNLinearHead(BaseDecodeHead):
    """Dropout of whole channels, batch norm, and a 1x1 convolution to the classes.

    Several maps are resized to the first and joined.

    Args:
        in_channels: Channels of the maps.
        norm_cfg: The batch norm. Default: `dict(type='SyncBN')`.
        settings: The arguments of mmseg's `BaseDecodeHead`; `channels` follows from the maps.
    """

    def __init__(
        self, in_channels: int | Sequence[int], norm_cfg: dict | None = None, **settings: Any
    ) -> None:
        several = not isinstance(in_channels, int)
        total = sum(in_channels) if several else in_channels
        settings.setdefault("input_transform", "resize_concat" if several else None)
        super().__init__(
            in_channels=list(in_channels) if several else in_channels,
            **{**settings, "channels": total, "norm_cfg": norm_cfg or {"type": "SyncBN"}},
        )
        self.batchnorm_layer = build_norm_layer(self.norm_cfg, total)[1]

    def forward(self, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return logits, shape (N, num_classes, H, W) of the first of the maps."""
        features = self._transform_inputs(inputs)
        if self.dropout is not None:
            features = self.dropout(features)
        return self.conv_seg(self.batchnorm_layer(features))
