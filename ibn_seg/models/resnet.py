"""ResNet with batch norm, IBN-a, IBN-b or any other placement of instance norms."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ibn_seg.errors import UserError, unknown
from ibn_seg.layers.placement import Placement, check_ratio
from ibn_seg.models.backbone import FeatureInfo, check_stages, reset_convolutions_and_norms
from ibn_seg.models.blocks import (
    ARCHITECTURES,
    BlockLayers,
    ConvFactory,
    NormFactory,
    PluginFactory,
    ResidualBlock,
    SqueezeExcitation,
)
from ibn_seg.models.residual import ResidualNetwork
from ibn_seg.models.resnet_weights import LAST_NORM, STEM_NORMS, ResNetWeights

# Share of the channels that an IBN instance-normalises (Pan et al., ECCV 2018, section 3.2).
IBN_RATIO = 0.5


@dataclass(frozen=True)
class BlockDesign:
    """The difference between the families: the form of their bottlenecks.

    Attributes:
        groups: Groups of the 3x3 convolution.
        base_width: Channels per group in the first stage, with more than one group.
        se_reduction: `reduction` of the block's `SqueezeExcitation`, or None for a block without
            one.
    """

    groups: int = 1
    base_width: int = 64
    se_reduction: int | None = None

    def width(self, planes: int, base_channels: int) -> int:
        """Return the channels of the 3x3 convolution."""
        return (
            planes if self.groups == 1 else planes * self.base_width // base_channels * self.groups
        )


@dataclass(frozen=True)
class StageHooks:
    """Replacements inside the blocks of single stages, each called with the stage (from 0).

    Attributes:
        spatial_conv: Returns the function that builds the 3x3 convolutions of the stage's
            bottlenecks, or None for the network's own convolution.
        plugins: Returns the function that builds extra modules inside the stage's bottlenecks, or
            None.
    """

    spatial_conv: Callable[[int], ConvFactory | None] = lambda stage: None
    plugins: Callable[[int], PluginFactory | None] = lambda stage: None


class ResNet(ResidualNetwork):
    """ResNet (He et al., CVPR 2016) with instance norms where a placement puts them.

    With `num_classes` the network is a classifier and returns logits, shape (N, num_classes).
    Without it, the network returns a tuple with the output of every stage in `out_indices`. Stage i
    has shape (N, base_channels * 2**i * expansion, H / stride, W / stride).

    Args:
        depth: 18, 34, 50, 101 or 152.
        in_channels: Channels of the image.
        stem_channels: Channels of the stem's output.
        base_channels: Width of the first stage's blocks.
        num_stages: Number of stages, 1 to 4.
        strides: Stride of each stage's first block.
        dilations: Dilation of each stage.
        out_indices: Stages (from 0) whose outputs are returned.
        style: 'pytorch' strides in the 3x3 convolution, 'caffe' in the first 1x1.
        deep_stem: Three 3x3 convolutions instead of one 7x7 (He et al., CVPR 2019, ResNet-C).
        avg_down: Average pooling in the shortcut instead of a stride (the same, ResNet-D).
        multi_grid: Dilation of each block of the last stage, instead of `dilations`.
        contract_dilation: Halve the dilation of the first block of a dilated stage.
        frozen_stages: Freeze the stem (0) and the first stages (1 to 4); -1 freezes nothing.
        norm_eval: Keep batch norms in eval mode while training.
        with_cp: Recompute blocks in the backward pass to save memory.
        zero_init_residual: Start each block's last norm from zero.
        ibn: A variant ('a', 'b') or None; shorthand for `ibn_stages` and `ibn_stem`.
        ibn_stages: A variant or None for each stage.
        ibn_stem: Instance norm in the stem; with `deep_stem` as the norms that `deep_stem_norms`
            says.
        deep_stem_norms: Which norms of a deep stem an instance norm replaces: 'last', or 'first
            two' as in RobustNet's ResNet-101 (Choi et al., CVPR 2021). It has no effect without.
        ibn_ratio: Share of instance-normalised channels in the stages marked 'a', strictly between
            0 and 1.
        num_classes: Classes of the classifier, or None for a backbone.
        conv: Builds every convolution, called like `nn.Conv2d`.
        norm: Builds every batch norm, also inside `IBN`.
        hooks: Replacements in single stages. Default: none.
        design: The form of the bottlenecks; `ResNeXt` and `SEResNet` set it.

    Raises:
        UserError: An argument is unknown or does not fit the others.
    """

    family = "ResNet"
    depths: tuple[int, ...] = tuple(ARCHITECTURES)
    classifier_name = "fc"
    weight_rules = ResNetWeights()

    def __init__(
        self,
        depth: int,
        in_channels: int = 3,
        stem_channels: int = 64,
        base_channels: int = 64,
        num_stages: int = 4,
        strides: Sequence[int] = (1, 2, 2, 2),
        dilations: Sequence[int] = (1, 1, 1, 1),
        out_indices: Sequence[int] = (0, 1, 2, 3),
        style: str = "pytorch",
        deep_stem: bool = False,
        avg_down: bool = False,
        multi_grid: Sequence[int] | None = None,
        contract_dilation: bool = False,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        with_cp: bool = False,
        zero_init_residual: bool = True,
        ibn: str | None = None,
        ibn_stages: Sequence[str | None] | None = None,
        ibn_stem: bool | None = None,
        deep_stem_norms: str = LAST_NORM,
        ibn_ratio: float = IBN_RATIO,
        num_classes: int | None = None,
        conv: ConvFactory = nn.Conv2d,
        norm: NormFactory = nn.BatchNorm2d,
        hooks: StageHooks | None = None,
        design: BlockDesign | None = None,
    ) -> None:
        super().__init__()
        self.block, self.stage_blocks = self._architecture(depth, num_stages)
        check_stages(num_stages, strides, dilations, out_indices, frozen_stages)
        _check_dilation(style, multi_grid, self.stage_blocks[-1])
        self.placement = Placement.resolve(ibn, ibn_stages, ibn_stem, num_stages)
        check_ratio(ibn_ratio, self.placement, IBN_RATIO)
        self.ibn_ratio = ibn_ratio
        self.depth = depth
        self.out_indices = tuple(out_indices)
        self.deep_stem = deep_stem
        self.deep_stem_norms = _stem_norms(deep_stem_norms, deep_stem)
        self.avg_down = avg_down
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.zero_init_residual = zero_init_residual

        self._add_stem(in_channels, stem_channels, conv, norm)
        self.stage_names = tuple(f"layer{i + 1}" for i in range(num_stages))
        hooks = hooks or StageHooks()
        common = _common_layers(design or BlockDesign(), base_channels, conv, norm, style, with_cp)
        channels = stem_channels
        for stage, name in enumerate(self.stage_names):
            planes = base_channels * 2**stage
            layers = self._stage_layers(stage, common, hooks)
            grid = _block_dilations(
                self.stage_blocks[stage],
                dilations[stage],
                multi_grid if stage == num_stages - 1 else None,
                contract_dilation,
            )
            blocks = self._stage(stage, channels, planes, strides[stage], grid, layers)
            self.add_module(name, blocks)
            channels = planes * self.block.expansion
        self.feature_info = self._describe_features(base_channels, strides)
        if num_classes is not None:
            self.fc = nn.Linear(channels, num_classes)
        self.reset_parameters()
        self.freeze_stages()

    def reset_parameters(self) -> None:
        """Start the convolutions from Kaiming's normal (fan-out), the norms from identity."""
        reset_convolutions_and_norms(self)
        self.start_residuals()

    def start_residuals(self) -> None:
        """With `zero_init_residual`, set the last norm of every block to zero."""
        if not self.zero_init_residual:
            return
        for block in self.blocks():
            norm = getattr(block, block.last_norm)
            for parameter in norm.parameters():
                nn.init.zeros_(parameter)

    def frozen_modules(self) -> list[nn.Module]:
        """Return the stem and the stages that `frozen_stages` freezes."""
        if self.frozen_stages < 0:
            return []
        stem = [self.stem] if self.deep_stem else [self.conv1, self.bn1]
        return stem + [getattr(self, name) for name in self.stage_names[: self.frozen_stages]]

    def run_stem(self, x: torch.Tensor) -> torch.Tensor:
        """Return the stem's output at stride 2, before the max pooling."""
        return self.stem(x) if self.deep_stem else self.relu(self.bn1(self.conv1(x)))

    def pool_stem(self, x: torch.Tensor) -> torch.Tensor:
        """Return the max-pooled output of the stem."""
        return self.maxpool(x)

    @classmethod
    def _architecture(
        cls, depth: int, num_stages: int
    ) -> tuple[type[ResidualBlock], tuple[int, ...]]:
        """Return the block and the number of blocks in each stage."""
        if depth not in cls.depths:
            raise unknown(f"{cls.family} depth", depth, cls.depths)
        if not isinstance(num_stages, int) or not 1 <= num_stages <= 4:
            raise UserError(f"num_stages={num_stages!r} is out of range", "allowed: 1, 2, 3 or 4")
        block, stage_blocks = ARCHITECTURES[depth]
        return block, stage_blocks[:num_stages]

    def _add_stem(
        self, in_channels: int, channels: int, conv: ConvFactory, norm: NormFactory
    ) -> None:
        """Register the stem under mmseg's names: `stem`, or `conv1` and `bn1`."""
        placed = self.placement.stem_norm or norm
        if self.deep_stem:
            half = channels // 2
            first, last = (norm, placed) if self.deep_stem_norms == LAST_NORM else (placed, norm)
            self.stem = nn.Sequential(
                conv(in_channels, half, 3, stride=2, padding=1, bias=False),
                first(half),
                nn.ReLU(inplace=True),
                conv(half, half, 3, stride=1, padding=1, bias=False),
                first(half),
                nn.ReLU(inplace=True),
                conv(half, channels, 3, stride=1, padding=1, bias=False),
                last(channels),
                nn.ReLU(inplace=True),
            )
        else:
            self._add_plain_stem(in_channels, channels, conv, placed)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.stem_info = FeatureInfo(channels, 2, "stem" if self.deep_stem else "relu")

    def _stage_layers(self, stage: int, common: BlockLayers, hooks: StageHooks) -> BlockLayers:
        """Return the settings for the blocks of one stage."""
        return dataclasses.replace(
            self._placed(stage, common),
            spatial_conv=hooks.spatial_conv(stage) or common.conv,
            plugins=hooks.plugins(stage),
        )

    def _stage(
        self,
        stage: int,
        in_channels: int,
        planes: int,
        stride: int,
        dilations: Sequence[int],
        layers: BlockLayers,
    ) -> nn.Sequential:
        """Return the blocks of one stage; only the first has the stride and a projection."""
        channels = planes * self.block.expansion
        downsample = None
        if stride != 1 or in_channels != channels:
            downsample = _projection(in_channels, channels, stride, self.avg_down, layers)
        blocks = []
        for index, dilation in enumerate(dilations):
            block = self.block(
                in_channels if index == 0 else channels,
                planes,
                layers,
                stride=stride if index == 0 else 1,
                dilation=dilation,
                downsample=downsample if index == 0 else None,
                added_norm=self.placement.norm_after_addition(stage, index, len(dilations)),
            )
            blocks.append(block)
        return nn.Sequential(*blocks)

    def _describe_features(
        self, base_channels: int, strides: Sequence[int]
    ) -> tuple[FeatureInfo, ...]:
        info = []
        stride = 4
        for stage, name in enumerate(self.stage_names):
            stride *= strides[stage]
            if stage in self.out_indices:
                width = base_channels * 2**stage * self.block.expansion
                info.append(FeatureInfo(width, stride, name))
        return tuple(info)


def _stem_norms(given: str, deep_stem: bool) -> str:
    """Return which norms of a deep stem are replaced.

    Raises:
        UserError: The name is unknown, or the stem is not deep.
    """
    if given not in STEM_NORMS:
        raise unknown("deep_stem_norms", given, STEM_NORMS)
    if given != LAST_NORM and not deep_stem:
        raise UserError(f"deep_stem_norms={given!r} without a deep stem", "set deep_stem=True")
    return given


def _common_layers(
    design: BlockDesign,
    base_channels: int,
    conv: ConvFactory,
    norm: NormFactory,
    style: str,
    with_cp: bool,
) -> BlockLayers:
    """Return the settings for the blocks of all stages, before placement and hooks."""
    attention = None
    if design.se_reduction is not None:
        attention = functools.partial(SqueezeExcitation, reduction=design.se_reduction)
    return BlockLayers(
        conv=conv,
        spatial_conv=conv,
        norm=norm,
        first_norm=norm,
        width=functools.partial(design.width, base_channels=base_channels),
        groups=design.groups,
        attention=attention,
        style=style,
        with_cp=with_cp,
    )


def _projection(
    in_channels: int, channels: int, stride: int, avg_down: bool, layers: BlockLayers
) -> nn.Sequential:
    """Return the shortcut of a stage's first block."""
    pool = []
    if avg_down:
        pool = [nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)]
    conv_stride = 1 if avg_down else stride
    return nn.Sequential(
        *pool,
        layers.conv(in_channels, channels, 1, stride=conv_stride, bias=False),
        layers.norm(channels),
    )


def _block_dilations(
    num_blocks: int, dilation: int, multi_grid: Sequence[int] | None, contract: bool
) -> list[int]:
    """Return the dilation of each block of a stage."""
    if multi_grid is not None:
        return list(multi_grid[:num_blocks])
    first = dilation // 2 if contract and dilation > 1 else dilation
    return [first] + [dilation] * (num_blocks - 1)


def _check_dilation(style: str, multi_grid: Sequence[int] | None, last_blocks: int) -> None:
    if style not in ("pytorch", "caffe"):
        raise unknown("ResNet style", style, ("pytorch", "caffe"))
    if multi_grid is not None and len(multi_grid) < last_blocks:
        raise UserError(
            f"multi_grid={tuple(multi_grid)} is too short",
            f"give the dilation of each of the last stage's {last_blocks} blocks",
        )
