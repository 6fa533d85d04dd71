"""DenseNet with batch norm or IBN-a."""

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from ibn_seg.errors import UserError, unknown
from ibn_seg.layers.placement import Placement, check_ratio
from ibn_seg.models.backbone import (
    Backbone,
    FeatureInfo,
    check_stages,
    reset_convolutions_and_norms,
)
from ibn_seg.models.blocks import ConvFactory, NormFactory, statistics_kept, wants_gradients
from ibn_seg.models.densenet_weights import DenseNetWeights


@dataclass(frozen=True)
class Architecture:
    """Channels of the stem, channels added by each layer, layers of each dense block."""

    stem_channels: int
    growth_rate: int
    blocks: tuple[int, int, int, int]


# Huang et al., CVPR 2017, table 1; 161 as released with it.
ARCHITECTURES: dict[int, Architecture] = {
    121: Architecture(64, 32, (6, 12, 24, 16)),
    161: Architecture(96, 48, (6, 12, 36, 24)),
    169: Architecture(64, 32, (6, 12, 32, 32)),
    201: Architecture(64, 32, (6, 12, 48, 32)),
}
# Channels between the two convolutions of a layer, over the growth rate.
_BOTTLENECK = 4
# Every third layer of a marked block has an IBN, with instance norm on the last 40 % of its
# channels. This follows the reference implementation; the paper has no DenseNet.
IBN_EVERY = 3
IBN_RATIO = 0.4


class DenseLayer(nn.Module):
    """Norm, 1x1 convolution, norm, 3x3 convolution; adds `growth_rate` channels.

    Args:
        in_channels: Channels of all earlier feature maps of the block together.
        growth_rate: Channels of the output.
        dilation: Dilation of the 3x3 convolution.
        conv: Builds a convolution.
        norm: Builds a batch norm.
        first_norm: Builds the norm before the first convolution.
        with_cp: Recompute all but the 3x3 convolution in the backward pass.
    """

    def __init__(
        self,
        in_channels: int,
        growth_rate: int,
        dilation: int,
        conv: ConvFactory,
        norm: NormFactory,
        first_norm: NormFactory,
        with_cp: bool,
    ) -> None:
        super().__init__()
        width = _BOTTLENECK * growth_rate
        self.with_cp = with_cp
        self.norm1 = first_norm(in_channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = conv(in_channels, width, 1, bias=False)
        self.norm2 = norm(width)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = conv(width, growth_rate, 3, padding=dilation, dilation=dilation, bias=False)

    def _squeeze(self, *features: torch.Tensor) -> torch.Tensor:
        return self.conv1(self.relu1(self.norm1(torch.cat(features, dim=1))))

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the new channels from the feature maps so far, each (N, C, H, W)."""
        if self.with_cp and wants_gradients(*features):
            squeezed = checkpoint(
                self._squeeze,
                *features,
                use_reentrant=False,
                context_fn=lambda: (contextlib.nullcontext(), statistics_kept(self.norm1)),
            )
        else:
            squeezed = self._squeeze(*features)
        return self.conv2(self.relu2(self.norm2(squeezed)))


class DenseBlock(nn.Module):
    """Layers that each see the outputs of all layers before them; `layers` become its children."""

    def __init__(self, layers: Sequence[DenseLayer]) -> None:
        super().__init__()
        for index, layer in enumerate(layers):
            self.add_module(f"denselayer{index + 1}", layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return input and all new channels, shape (N, C + layers * growth_rate, H, W)."""
        features = [x]
        for layer in self.children():
            features.append(layer(features))
        return torch.cat(features, dim=1)


class Transition(nn.Module):
    """Norm, 1x1 convolution to half the channels, 2x2 average pooling if there is a stride."""

    def __init__(self, channels: int, stride: int, conv: ConvFactory, norm: NormFactory) -> None:
        super().__init__()
        self.norm = norm(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv = conv(channels, channels // 2, 1, bias=False)
        self.pool = nn.AvgPool2d(2, 2) if stride == 2 else nn.Identity()

    def activate(self, x: torch.Tensor) -> torch.Tensor:
        """Return the normalised and rectified `x`, the output of a stage."""
        return self.relu(self.norm(x))

    def shrink(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input of the next stage, from the result of `activate`."""
        return self.pool(self.conv(x))


class DenseNet(Backbone):
    """DenseNet (Huang et al., CVPR 2017) with instance norms where a placement puts them.

    With `num_classes` the network is a classifier and returns logits, shape (N, num_classes).
    Without it, the network returns a tuple with the output of every stage in `out_indices`. That is
    a dense block's feature map after the following norm and ReLU.

    Args:
        depth: 121, 161, 169 or 201.
        in_channels: Channels of the image.
        strides: Stride before each dense block, after the stem's 4, by the transition's pooling; 1
            leaves the pooling out. The first is 1.
        dilations: Dilation of the 3x3 convolutions of each dense block.
        out_indices: Stages (from 0) whose outputs are returned.
        frozen_stages: Freeze the stem (0) and the first stages (1 to 4); -1 freezes nothing.
        norm_eval: Keep batch norms in eval mode while training.
        with_cp: Recompute concatenations, norms and 1x1 convolutions in the backward pass.
        ibn: 'a' or None. With 'a', every third layer of the first three dense blocks starts with an
            IBN, as in the reference. The last 40 % of its channels have the instance norm.
        ibn_stages: 'a' or None for each stage, instead of `ibn`.
        ibn_ratio: Share of the channels that have the instance norm, strictly between 0 and 1.
        num_classes: Classes of the classifier, or None for a backbone.
        conv: Builds every convolution, called like `nn.Conv2d`.
        norm: Builds every batch norm, also inside `IBN`.

    Raises:
        UserError: An argument is unknown or does not fit the others.
    """

    family = "DenseNet"
    depths = tuple(ARCHITECTURES)
    classifier_name = "classifier"
    weight_rules = DenseNetWeights()

    def __init__(
        self,
        depth: int,
        in_channels: int = 3,
        strides: Sequence[int] = (1, 2, 2, 2),
        dilations: Sequence[int] = (1, 1, 1, 1),
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        with_cp: bool = False,
        ibn: str | None = None,
        ibn_stages: Sequence[str | None] | None = None,
        ibn_ratio: float = IBN_RATIO,
        num_classes: int | None = None,
        conv: ConvFactory = nn.Conv2d,
        norm: NormFactory = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        if depth not in ARCHITECTURES:
            raise unknown("DenseNet depth", depth, ARCHITECTURES)
        check_stages(4, strides, dilations, out_indices, frozen_stages)
        _check_strides(strides)
        self.placement = _without_additions(Placement.resolve(ibn, ibn_stages))
        check_ratio(ibn_ratio, self.placement, IBN_RATIO)
        self.ibn_ratio = ibn_ratio
        self.depth = depth
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.stage_blocks = ARCHITECTURES[depth].blocks

        channels = self._add_features(in_channels, strides, dilations, conv, norm, with_cp)
        self.feature_info = self._describe_features(channels, strides)
        if num_classes is not None:
            self.classifier = nn.Linear(channels[-1], num_classes)
        self.reset_parameters()
        self.freeze_stages()

    def reset_parameters(self) -> None:
        """Start the convolutions from Kaiming's normal (fan-out), the norms from identity."""
        reset_convolutions_and_norms(self)

    def depth_points(self) -> dict[str, str]:
        """Return module paths by layer name: stem, every dense layer, transitions, last norm."""
        points = {"stem": self.stem_info.module}
        for stage, count in enumerate(self.stage_blocks):
            block, end = stage_modules(stage)
            for index in range(1, count + 1):
                points[f"{block}.{index}"] = f"features.{block}.denselayer{index}"
            # A transition is not called as a whole; its pooling comes last.
            points[end] = "features.relu5" if stage == 3 else f"features.{end}.pool"
        return points

    def frozen_modules(self) -> list[nn.Module]:
        """Return the stem and the stages, with the transitions that end them."""
        if self.frozen_stages < 0:
            return []
        features = self.features
        frozen = [features.conv0, features.norm0]
        for stage in range(self.frozen_stages):
            frozen += [features.get_submodule(name) for name in stage_modules(stage)]
        return frozen

    def run_stem(self, x: torch.Tensor) -> torch.Tensor:
        """Return the stem's output at stride 2, before the max pooling."""
        features = self.features
        return features.relu0(features.norm0(features.conv0(x)))

    def pool_stem(self, x: torch.Tensor) -> torch.Tensor:
        """Return the max-pooled output of the stem."""
        return self.features.pool0(x)

    def run_stage(self, stage: int, x: torch.Tensor) -> torch.Tensor:
        """Return the output of a stage (from 0), from the previous stage's output."""
        if stage > 0:
            x = self._stage(stage - 1)[1].shrink(x)
        block, end = self._stage(stage)
        x = block(x)
        return end.activate(x) if stage < 3 else self.features.relu5(end(x))

    def _stage(self, stage: int) -> list[nn.Module]:
        """Return a stage's dense block and the modules that follow it."""
        return [self.features.get_submodule(name) for name in stage_modules(stage)]

    def _add_features(
        self,
        in_channels: int,
        strides: Sequence[int],
        dilations: Sequence[int],
        conv: ConvFactory,
        norm: NormFactory,
        with_cp: bool,
    ) -> list[int]:
        """Register stem, dense blocks and transitions; return each stage's output channels."""
        architecture = ARCHITECTURES[self.depth]
        channels = architecture.stem_channels
        features = nn.Sequential()
        features.conv0 = conv(in_channels, channels, 7, stride=2, padding=3, bias=False)
        features.norm0 = (self.placement.stem_norm or norm)(channels)
        features.relu0 = nn.ReLU(inplace=True)
        features.pool0 = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.stem_info = FeatureInfo(channels, 2, "features.relu0")
        outputs = []
        for stage, num_layers in enumerate(architecture.blocks):
            layers = []
            for index in range(num_layers):
                replacement = self.placement.first_norm(stage)
                first_norm = norm
                if replacement is not None and index % IBN_EVERY == 0:
                    first_norm = functools.partial(
                        replacement, ratio=self.ibn_ratio, norm_layer=norm, instance_first=False
                    )
                layer = DenseLayer(
                    channels, architecture.growth_rate, dilations[stage], conv, norm, first_norm,
                    with_cp,
                )  # fmt: skip
                channels += architecture.growth_rate
                layers.append(layer)
            outputs.append(channels)
            block, end = stage_modules(stage)
            features.add_module(block, DenseBlock(layers))
            if stage < 3:
                features.add_module(end, Transition(channels, strides[stage + 1], conv, norm))
                channels //= 2
        features.norm5 = norm(channels)
        features.relu5 = nn.ReLU(inplace=True)
        self.features = features
        return outputs

    def _describe_features(
        self, channels: Sequence[int], strides: Sequence[int]
    ) -> tuple[FeatureInfo, ...]:
        info = []
        stride = 4
        for stage in range(4):
            stride *= strides[stage]
            if stage in self.out_indices:
                end = "relu5" if stage == 3 else f"transition{stage + 1}.relu"
                info.append(FeatureInfo(channels[stage], stride, f"features.{end}"))
        return tuple(info)


def stage_modules(stage: int) -> tuple[str, str]:
    """Return the names of a stage's dense block and of the modules that follow it."""
    return f"denseblock{stage + 1}", "norm5" if stage == 3 else f"transition{stage + 1}"


def _without_additions(placement: Placement) -> Placement:
    if placement.adds_norms():
        marks = ", ".join(repr(mark) for mark in dict.fromkeys(placement.stages) if mark)
        raise UserError(
            f"ibn variant {marks} needs residual additions, DenseNet has none", "use 'a' or None"
        )
    return placement


def _check_strides(strides: Sequence[int]) -> None:
    if strides[0] != 1 or any(stride not in (1, 2) for stride in strides):
        raise UserError(
            f"strides={tuple(strides)} do not fit a DenseNet",
            "the first is 1 (the stem's stride is 4), the others are 1 or 2",
        )
