"""The common parts of the networks of IBN-Net.mxnet.

Source: https://github.com/bruinxiong/IBN-Net.mxnet at e138250, its four symbol files. All norms
have an eps of 2e-5, and the first block of every stage has a projection.
"""

import abc
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ibn_seg.errors import UserError, unknown
from ibn_seg.layers.placement import VARIANTS, Placement, check_ratio
from ibn_seg.models.backbone import FeatureInfo, check_stages, reset_convolutions_and_norms
from ibn_seg.models.blocks import (
    ARCHITECTURES,
    BlockLayers,
    ConvFactory,
    NormFactory,
    ResidualBlock,
)
from ibn_seg.models.mx_blocks import DroppingLinear
from ibn_seg.models.mx_weights import MXWeights
from ibn_seg.models.residual import ResidualNetwork

EPS = 2e-5
# The source splits norms in equal halves.
IBN_RATIO = 0.5
# Depth -> blocks of each stage, as the source has them.
UNITS: dict[int, tuple[int, ...]] = {
    **{depth: units for depth, (_, units) in ARCHITECTURES.items()},
    200: (3, 24, 36, 3),
    269: (3, 30, 48, 8),
}
# The modules of each stem.
STEMS = {"plain": ("conv1", "bn1"), "deep": ("stem",), "small": ("conv1",)}
_LEAST_BOTTLENECK = 50
BlockFactory = Callable[..., ResidualBlock]


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Return a batch norm as the source has it; its momentum .9 is PyTorch's .1."""
    return nn.BatchNorm2d(channels, eps=EPS)


@dataclass(frozen=True)
class MXDesign:
    """The difference between the families.

    Attributes:
        groups: Groups of the 3x3 convolutions in blocks of up to three convolutions.
        shortcut: Kernel of the projections from the second stage on.
        dropout: Share of the classifier's inputs that training drops.
    """

    groups: int = 1
    shortcut: int = 1
    dropout: float = 0.0


class MXNetwork(ResidualNetwork):
    """The common parts of these networks. Feature maps are those after a ReLU.

    Args:
        depth: Number of layers: 18, 34, 50, 101, 152, 200 or 269; with `units` any.
        in_channels: Channels of the image.
        stem_channels: Channels of the stem's output.
        units: Number of blocks of each stage, one to four stages. Default: the depth's.
        filters: Channels of each stage's output. Default: 64, 128, ... with two convolutions in a
            block, and 256, 512, ... with three.
        bottleneck: Blocks of up to three convolutions. Default: from depth 50.
        stem: 'plain' is 7x7 and max pooling. 'deep' is two 3x3 and max pooling. 'small' is one 3x3
            convolution alone, for images of 32x32.
        strides: Stride of each stage's first block. Default: 1, then 2.
        dilations: Dilation of each stage. Default: 1.
        out_indices: Stages (from 0) whose outputs are returned. Default: all.
        frozen_stages: Freeze the stem (0) and the first stages (1 and more); -1 freezes nothing.
        norm_eval: Keep batch norms in eval mode while training.
        with_cp: Recompute blocks in the backward pass to save memory.
        ibn: A variant or None. 'a' marks the first three stages. 'b' is an instance norm after
            every block, and marks all.
        ibn_stages: A variant or None for each stage, instead.
        ibn_ratio: Share of instance-normalised channels in the stages marked 'a'.
        num_classes: Classes of the classifier, or None for a backbone.
        conv: Builds every convolution, called like `nn.Conv2d`.
        norm: Builds every batch norm. Default: with the source's eps of 2e-5.
        design: The form of the blocks; `MXResNeXt` and `MXResNeXtWD` set it.

    Raises:
        UserError: An argument is unknown or does not fit the others.
    """

    family: str
    depths: tuple[int, ...] = tuple(UNITS)
    default_stem = "plain"
    classifier_name = "fc"
    weight_rules = MXWeights()

    def __init__(
        self,
        depth: int,
        in_channels: int = 3,
        stem_channels: int = 64,
        units: Sequence[int] | None = None,
        filters: Sequence[int] | None = None,
        bottleneck: bool | None = None,
        stem: str | None = None,
        strides: Sequence[int] | None = None,
        dilations: Sequence[int] | None = None,
        out_indices: Sequence[int] | None = None,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        with_cp: bool = False,
        ibn: str | None = None,
        ibn_stages: Sequence[str | None] | None = None,
        ibn_ratio: float = IBN_RATIO,
        num_classes: int | None = None,
        conv: ConvFactory = nn.Conv2d,
        norm: NormFactory = batch_norm,
        design: MXDesign | None = None,
    ) -> None:
        super().__init__()
        self.design = design or MXDesign()
        self.depth = depth
        self.stage_blocks = _units(self.family, depth, units)
        stages = len(self.stage_blocks)
        self.bottleneck = depth >= _LEAST_BOTTLENECK if bottleneck is None else bottleneck
        self.stem_channels = stem_channels
        self.filters = _filters(filters, stages, self.bottleneck)
        self.stem_kind = stem or self.default_stem
        if self.stem_kind not in STEMS:
            raise unknown(f"{self.family} stem", stem, STEMS)
        self.strides = (1, 2, 2, 2)[:stages] if strides is None else tuple(strides)
        self.dilations = (1,) * stages if dilations is None else tuple(dilations)
        self.out_indices = tuple(range(stages)) if out_indices is None else tuple(out_indices)
        check_stages(stages, self.strides, self.dilations, self.out_indices, frozen_stages)
        self.placement = self._placement(ibn, ibn_stages, stages)
        check_ratio(ibn_ratio, self.placement, IBN_RATIO)
        self.ibn_ratio = ibn_ratio
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval

        self._add_stem(in_channels, stem_channels, conv, norm)
        self.stage_names = tuple(f"layer{i + 1}" for i in range(stages))
        layers = BlockLayers(
            conv, conv, norm, norm, width=_double, groups=self.design.groups, with_cp=with_cp
        )
        channels = (stem_channels, *self.filters)
        for stage, name in enumerate(self.stage_names):
            self.add_module(name, self._stage(stage, channels[stage], layers))
        self._add_end(norm)
        self.feature_info = self._describe_features()
        if num_classes is not None:
            self.fc = self._classifier(num_classes)
        for module in self.modules():
            if isinstance(module, nn.InstanceNorm2d):
                module.eps = EPS
        self.reset_parameters()
        self.freeze_stages()

    def reset_parameters(self) -> None:
        """Start the convolutions from Kaiming's normal (fan-out), the norms from identity."""
        reset_convolutions_and_norms(self)

    def frozen_modules(self) -> list[nn.Module]:
        """Return the stem and the stages that `frozen_stages` freezes."""
        if self.frozen_stages < 0:
            return []
        names = (*STEMS[self.stem_kind], *self.stage_names[: self.frozen_stages])
        return [getattr(self, name) for name in names]

    def run_stem(self, x: torch.Tensor) -> torch.Tensor:
        """Return the stem's output, before its pooling."""
        if self.stem_kind == "deep":
            return self.stem(x)
        x = self.conv1(x)
        return x if self.stem_kind == "small" else self.relu(self.bn1(x))

    def pool_stem(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input of the first stage."""
        return x if self.stem_kind == "small" else self.maxpool(x)

    def _placement(
        self, ibn: str | None, ibn_stages: Sequence[str | None] | None, stages: int
    ) -> Placement:
        """Return where the instance norms are; this family has them in no stem."""
        if ibn == "b" and ibn_stages is None:
            ibn, ibn_stages = None, ("b",) * stages
        placement = Placement.resolve(ibn, ibn_stages, num_stages=stages)
        if placement.stem:
            raise UserError(
                f"ibn={ibn!r} has an instance norm in the stem, {self.family} has none",
                "give ibn_stages instead",
            )
        return placement

    def _add_stem(
        self, in_channels: int, channels: int, conv: ConvFactory, norm: NormFactory
    ) -> None:
        """Register the stem."""
        if self.stem_kind == "small":
            self.conv1 = conv(in_channels, channels, 3, padding=1, bias=False)
            self.stem_info = FeatureInfo(channels, 1, "conv1")
            return
        if self.stem_kind == "deep":
            self.stem = nn.Sequential(
                conv(in_channels, channels, 3, padding=1, bias=False),
                norm(channels),
                nn.ReLU(inplace=True),
                conv(channels, channels, 3, stride=2, padding=1, bias=False),
                norm(channels),
                nn.ReLU(inplace=True),
            )
        else:
            self._add_plain_stem(in_channels, channels, conv, norm)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.stem_info = FeatureInfo(channels, 2, "stem" if self.stem_kind == "deep" else "relu")

    def _stage(self, stage: int, in_channels: int, layers: BlockLayers) -> nn.Sequential:
        """Return the blocks of one stage; the first has the stride and the projection."""
        mark, channels = self.placement.stages[stage], self.filters[stage]
        layers = self._placed(stage, layers)
        added = {}
        if mark is not None and VARIANTS[mark].norm_after_addition is not None:
            added["added_norm"] = VARIANTS[mark].norm_after_addition
        block, blocks = self._block(), []
        for index in range(self.stage_blocks[stage]):
            first = index == 0
            blocks.append(
                block(
                    in_channels if first else channels,
                    channels,
                    layers,
                    stride=self.strides[stage] if first else 1,
                    dilation=self.dilations[stage],
                    downsample=self._projection(stage, in_channels, layers) if first else None,
                    **added,
                )
            )
        return nn.Sequential(*blocks)

    @abc.abstractmethod
    def _block(self) -> BlockFactory:
        """Return what builds a block from input and output channels and `BlockLayers`."""

    def _projection(self, stage: int, in_channels: int, layers: BlockLayers) -> nn.Sequential:
        """Return the shortcut of a stage's first block."""
        conv = self._shortcut(stage, in_channels, layers)
        return nn.Sequential(conv, layers.norm(self.filters[stage]))

    def _shortcut(self, stage: int, in_channels: int, layers: BlockLayers) -> nn.Module:
        kernel = self.design.shortcut if stage else 1
        # It looks as far as before in stages that are dilated in place of a stride.
        dilation = self.dilations[stage - 1] if kernel > 1 else 1
        return layers.conv(
            in_channels,
            self.filters[stage],
            kernel,
            stride=self.strides[stage],
            padding=kernel // 2 * dilation,
            dilation=dilation,
            bias=False,
        )

    def _add_end(self, norm: NormFactory) -> None:
        """Register what follows the last block."""

    def _classifier(self, classes: int) -> nn.Linear:
        if self.design.dropout:
            return DroppingLinear(self.filters[-1], classes, self.design.dropout)
        return nn.Linear(self.filters[-1], classes)

    def _feature_module(self, stage: int) -> str:
        """Return the path of the module whose output is a stage's feature map."""
        return self.stage_names[stage]

    def _describe_features(self) -> tuple[FeatureInfo, ...]:
        info, stride = [], 1 if self.stem_kind == "small" else 4
        for stage, channels in enumerate(self.filters):
            stride *= self.strides[stage]
            if stage in self.out_indices:
                info.append(FeatureInfo(channels, stride, self._feature_module(stage)))
        return tuple(info)


def _double(planes: int) -> int:
    """Return the width of a `Bottleneck`: half of its output channels."""
    return 2 * planes


def _units(family: str, depth: int, units: Sequence[int] | None) -> tuple[int, ...]:
    """Return the number of blocks of each stage."""
    if units is None:
        if depth not in UNITS:
            raise unknown(f"{family} depth", depth, UNITS)
        return UNITS[depth]
    if not 1 <= len(units) <= 4 or any(not isinstance(n, int) or n < 1 for n in units):
        raise UserError(f"units={tuple(units)!r} are no blocks of stages", "such as (3, 4, 6, 3)")
    return tuple(units)


def _filters(filters: Sequence[int] | None, stages: int, bottleneck: bool) -> tuple[int, ...]:
    """Return the output channels of each stage."""
    if filters is None:
        return tuple((256 if bottleneck else 64) * 2**stage for stage in range(stages))
    step = 4 if bottleneck else 1
    if len(filters) != stages or any(f < step or f % step for f in filters):
        multiple = "multiples of 4" if bottleneck else "numbers"
        raise UserError(
            f"filters={tuple(filters)!r} do not describe {stages} stages",
            f"give {stages} {multiple}",
        )
    return tuple(filters)
