"""ResNeXt with the placements of ResNet."""

from typing import Any

from ibn_seg.errors import UserError
from ibn_seg.models.resnet import BlockDesign, ResNet


class ResNeXt(ResNet):
    """ResNeXt (Xie et al., CVPR 2017): ResNet with grouped 3x3 convolutions.

    Args:
        depth: 50, 101 or 152.
        groups: Groups of the 3x3 convolutions.
        base_width: Channels of each group in the first stage.
        resnet: The other arguments of `ResNet`.

    Raises:
        UserError: An argument is unknown or does not fit the others.
    """

    family = "ResNeXt"
    depths = (50, 101, 152)

    def __init__(self, depth: int, groups: int = 32, base_width: int = 4, **resnet: Any) -> None:
        for name, value in (("groups", groups), ("base_width", base_width)):
            if value < 1:
                raise UserError(f"{name}={value!r} of ResNeXt is out of range", "allowed: 1 and up")
        super().__init__(depth, design=BlockDesign(groups, base_width), **resnet)
