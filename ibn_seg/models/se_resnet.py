"""SE-ResNet with the placements of ResNet."""

from typing import Any

from ibn_seg.errors import UserError
from ibn_seg.models.resnet import BlockDesign, ResNet


class SEResNet(ResNet):
    """SE-ResNet (Hu et al., CVPR 2018): channel attention after the third norm of each block.

    Args:
        depth: 50, 101 or 152.
        se_reduction: Channels of a block over the width of its attention's hidden layer.
        resnet: The other arguments of `ResNet`.

    Raises:
        UserError: An argument is unknown or does not fit the others.
    """

    family = "SE-ResNet"
    depths = (50, 101, 152)

    def __init__(self, depth: int, se_reduction: int = 16, **resnet: Any) -> None:
        if se_reduction < 1:
            raise UserError(f"se_reduction={se_reduction!r} is out of range", "allowed: 1 and up")
        super().__init__(depth, design=BlockDesign(se_reduction=se_reduction), **resnet)
