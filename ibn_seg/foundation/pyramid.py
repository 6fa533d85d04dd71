"""Feature maps of four strides from a transformer, whose blocks all have one stride."""

from collections.abc import Sequence

import torch
from torch.nn import functional as F

# Of Rein's backbones at 7da85bc: strides 4, 8, 16 and 32 from patches of 16.
SCALES = (4.0, 2.0, 1.0, 0.5)


def bilinear_pyramid(
    maps: Sequence[torch.Tensor], scales: Sequence[float] = SCALES
) -> tuple[torch.Tensor, ...]:
    """Return maps at other scales, by bilinear interpolation without parameters.

    Args:
        maps: Shape (N, C, h, w) each, one for each scale.
        scales: Side of the new map by side of the old. An odd side gives the half, rounded down.
    """
    return tuple(
        feature
        if scale == 1
        else F.interpolate(feature, scale_factor=scale, mode="bilinear", align_corners=False)
        for feature, scale in zip(maps, scales, strict=True)
    )
