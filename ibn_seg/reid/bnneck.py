"""The network of the strong baseline: a backbone with last stride 1, and the BNNeck.

Source: BoT, section 3, and its code. The mean over the last feature map, f, goes to the triplet and
center losses. A batch norm without shift follows, then a linear classifier without bias. A search
uses what comes out of the batch norm.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ibn_seg.errors import UserError
from ibn_seg.models import create_model
from ibn_seg.models.backbone import Backbone
from ibn_seg.models.blocks import Bottleneck

LAST_STRIDE = 1
# Of the classifier's normal distribution.
_CLASSIFIER_DEVIATION = 0.001
_LAST_STAGE = 3


class StrongBaseline(nn.Module):
    """A backbone, the BNNeck and a classifier of identities, under BoT's names.

    Args:
        backbone: A network that returns its last feature map.
        classes: Number of identities, or None for a network that is only searched with.
        stem_relu: False leaves out the ReLU after the stem's norm, as BoT's plain ResNets do.

    Attributes:
        base: The backbone.
        bottleneck: The batch norm of the neck.
        classifier: The classifier; absent without `classes`.

    Raises:
        UserError: `stem_relu` is False for a network whose stem has no such ReLU.
    """

    def __init__(self, backbone: Backbone, classes: int | None, stem_relu: bool = True) -> None:
        super().__init__()
        self.base = backbone
        if not stem_relu:
            if not isinstance(getattr(backbone, "relu", None), nn.ReLU):
                raise UserError("stem_relu=False", "only networks with a plain stem have this ReLU")
            backbone.relu = nn.Identity()
        self.channels = backbone.feature_info[-1].channels
        self.bottleneck = nn.BatchNorm1d(self.channels)
        self.bottleneck.bias.requires_grad_(False)
        if classes is not None:
            self.classifier = nn.Linear(self.channels, classes, bias=False)
            nn.init.normal_(self.classifier.weight, std=_CLASSIFIER_DEVIATION)

    def pooled(self, images: torch.Tensor) -> torch.Tensor:
        """Return f, (N, channels), of images (N, 3, H, W)."""
        return self.base(images)[-1].mean(dim=(2, 3))

    def forward(self, images: torch.Tensor) -> Any:
        """Return features behind the neck, (N, channels); in training (scores, f).

        Raises:
            UserError: A network without classifier is trained.
        """
        pooled = self.pooled(images)
        neck = self.bottleneck(pooled)
        if not self.training:
            return neck
        if not hasattr(self, "classifier"):
            raise UserError("a network without classes cannot be trained", "give `classes`")
        return self.classifier(neck), pooled


class BiasedAttention(nn.Module):
    """Channel attention with biases, as in Cadene's SE networks.

    Args:
        channels: Number of input and output channels.
        reduction: `channels` over the width of the hidden layer.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // reduction, 1)
        self.fc2 = nn.Conv2d(channels // reduction, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scale the channels of `x`, (N, channels, H, W)."""
        hidden = self.fc1(x.mean(dim=(2, 3), keepdim=True)).relu()
        return x * self.fc2(hidden).sigmoid()


def strong_baseline(
    name: str,
    classes: int | None,
    pretrained: bool | str = False,
    stem_relu: bool = True,
    last_stride: int = LAST_STRIDE,
    cadene: bool = False,
    **options: Any,
) -> StrongBaseline:
    """Build the strong baseline on a named network.

    Args:
        name: One of `list_models()`.
        classes: Number of identities, or None.
        pretrained: As for `create_model`.
        stem_relu: As for `StrongBaseline`.
        last_stride: Stride of the last stage, 1 or 2. 1 gives a map of 16 x 8 for 256 x 128 pixels.
        cadene: Build an SE-ResNet as Cadene's pretrained-models do, for BoT's files: stride in the
            first convolution, attention with biases, pooling of the stem without padding.
        options: Further arguments of the network class.

    Raises:
        UserError: An unknown name or option.
        EnvError: The weights cannot be downloaded.
    """
    options.setdefault("strides", (1, 2, 2, last_stride))
    if cadene:
        options["style"] = "caffe"
    backbone = create_model(
        name, pretrained, features_only=True, out_indices=(_LAST_STAGE,), **options
    )
    if cadene:
        _as_cadene(backbone, name)
    return StrongBaseline(backbone, classes, stem_relu)


def _as_cadene(backbone: Backbone, name: str) -> None:
    """Give an SE-ResNet the attention and the pooling of Cadene's."""
    blocks = [block for block in backbone.modules() if isinstance(block, Bottleneck)]
    if not blocks or not all(hasattr(block, "se") for block in blocks):
        raise UserError(f"cadene=True for {name}", "Cadene's differ only for SE-ResNets")
    for block in blocks:
        block.se = BiasedAttention(block.conv3.out_channels)
    backbone.maxpool = nn.MaxPool2d(3, stride=2, ceil_mode=True)


def from_bot_names(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return weights of BoT's network under our names; the backbone's unused `fc` is left out."""
    return {
        key.replace("base.layer0.", "base.").replace(".se_module.", ".se."): value
        for key, value in weights.items()
        if not key.startswith(("base.fc.", "base.last_linear."))
    }
