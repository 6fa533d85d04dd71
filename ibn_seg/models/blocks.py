"""The residual blocks of the ResNet family, with the norms of a placement."""

import abc
import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from ibn_seg.errors import UserError
from ibn_seg.layers.plain_instance import is_tensor

ConvFactory = Callable[..., nn.Module]
NormFactory = Callable[[int], nn.Module]
# (position, channels) -> modules to run at that position, each with its attribute name.
PluginFactory = Callable[[str, int], Iterable[tuple[str, nn.Module]]]

PLUGIN_POSITIONS = ("after_conv1", "after_conv2", "after_conv3")


@dataclass(frozen=True)
class BlockLayers:
    """The settings for the blocks of one stage.

    Attributes:
        conv: Convolution, called like `nn.Conv2d`.
        spatial_conv: The same for the 3x3 convolution of `Bottleneck` (deformable if requested).
        norm: Batch norm from a number of channels.
        first_norm: The norm after a block's first convolution.
        width: Channels of the 3x3 convolution of `Bottleneck`, from the block's planes.
        groups: Groups of that convolution.
        attention: Channel attention at the end of `Bottleneck`'s residual, from its number of
            channels, or None.
        plugins: Extra modules inside `Bottleneck`, or None.
        style: 'pytorch' strides in the 3x3 convolution, 'caffe' in the first 1x1.
        with_cp: Recompute the block in the backward pass instead of keeping its activations.
    """

    conv: ConvFactory
    spatial_conv: ConvFactory
    norm: NormFactory
    first_norm: NormFactory
    width: Callable[[int], int] = lambda planes: planes
    groups: int = 1
    attention: Callable[[int], nn.Module] | None = None
    plugins: PluginFactory | None = None
    style: str = "pytorch"
    with_cp: bool = False


class ResidualBlock(nn.Module, abc.ABC):
    """The common parts of both blocks: the addition, the norm after it, and recomputation.

    Attributes:
        expansion: Output channels over `planes`.
        last_norm: Name of the norm that `zero_init_residual` sets to zero.
        IN: The instance norm of variant b, after the addition and before the last ReLU. Present
            only if the placement has one.
        self_norm: The `SelfNorm` of the residual; present only if it was added.
    """

    expansion: int
    last_norm: str

    def __init__(self, with_cp: bool) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.relu = nn.ReLU(inplace=True)

    @property
    def norm1(self) -> nn.Module:
        """The first norm, by mmseg's name."""
        return self.bn1

    @property
    def norm2(self) -> nn.Module:
        """The second norm, by mmseg's name."""
        return self.bn2

    @property
    def norm3(self) -> nn.Module:
        """The third norm, by mmseg's name; only in blocks of three convolutions."""
        return self.bn3

    def _add_shortcut(
        self, downsample: nn.Module | None, channels: int, added_norm: NormFactory | None
    ) -> None:
        """Register the modules that follow the convolutions, in the order of the state dict."""
        self.downsample = downsample
        if added_norm is not None:
            self.IN = added_norm(channels)

    @abc.abstractmethod
    def _residual(self, x: torch.Tensor) -> torch.Tensor:
        """Return the residual that is added to the shortcut."""

    def _sum(self, x: torch.Tensor) -> torch.Tensor:
        out = self._residual(x)
        if hasattr(self, "self_norm"):
            out = self.self_norm(out)
        out += x if self.downsample is None else self.downsample(x)
        return out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the block's output, shape (N, planes * expansion, H / stride, W / stride)."""
        if self.with_cp and wants_gradients(x):
            out = checkpoint(
                self._sum,
                x,
                use_reentrant=False,
                context_fn=lambda: (contextlib.nullcontext(), statistics_kept(self)),
            )
        else:
            out = self._sum(x)
        if hasattr(self, "IN"):
            out = self.IN(out)
        return self.relu(out)


class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions; the first has the stride and the dilation.

    Args:
        in_channels: Channels of the input.
        planes: Channels of both convolutions.
        layers: The settings for its layers.
        stride: Stride of the first convolution.
        dilation: Dilation of the first convolution.
        downsample: The shortcut, or None for the identity.
        added_norm: Builds the norm that follows the addition (variant b), or None.
    """

    expansion = 1
    last_norm = "bn2"

    def __init__(
        self,
        in_channels: int,
        planes: int,
        layers: BlockLayers,
        stride: int = 1,
        dilation: int = 1,
        downsample: nn.Module | None = None,
        added_norm: NormFactory | None = None,
    ) -> None:
        if layers.plugins is not None or layers.spatial_conv is not layers.conv:
            raise UserError(
                "plugins and dcn need bottleneck blocks, depths 18 and 34 have none",
                "use depth 50, 101 or 152",
            )
        super().__init__(layers.with_cp)
        self.conv1 = layers.conv(
            in_channels, planes, 3, stride=stride, padding=dilation, dilation=dilation, bias=False
        )
        self.bn1 = layers.first_norm(planes)
        self.conv2 = layers.conv(planes, planes, 3, padding=1, bias=False)
        self.bn2 = layers.norm(planes)
        self._add_shortcut(downsample, planes, added_norm)

    def _residual(self, x: torch.Tensor) -> torch.Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(out))


class Bottleneck(ResidualBlock):
    """1x1, 3x3 and 1x1 convolutions; the 3x3 has the dilation and the groups.

    Args:
        in_channels: Channels of the input.
        planes: A quarter of the output channels. `layers.width` computes the channels of the 3x3
            convolution from it.
        layers: The settings for its layers.
        stride: Stride of the convolution that `layers.style` selects.
        dilation: Dilation of the 3x3 convolution.
        downsample: The shortcut, or None for the identity.
        added_norm: Builds the norm that follows the addition (variant b), or None.
    """

    expansion = 4
    last_norm = "bn3"

    def __init__(
        self,
        in_channels: int,
        planes: int,
        layers: BlockLayers,
        stride: int = 1,
        dilation: int = 1,
        downsample: nn.Module | None = None,
        added_norm: NormFactory | None = None,
    ) -> None:
        super().__init__(layers.with_cp)
        strides = (1, stride) if layers.style == "pytorch" else (stride, 1)
        channels = planes * self.expansion
        width = layers.width(planes)
        self.conv1 = layers.conv(in_channels, width, 1, stride=strides[0], bias=False)
        self.bn1 = layers.first_norm(width)
        self.conv2 = layers.spatial_conv(
            width,
            width,
            3,
            stride=strides[1],
            padding=dilation,
            dilation=dilation,
            groups=layers.groups,
            bias=False,
        )
        self.bn2 = layers.norm(width)
        self.conv3 = layers.conv(width, channels, 1, bias=False)
        self.bn3 = layers.norm(channels)
        if layers.attention is not None:
            self.se = layers.attention(channels)
        self._add_shortcut(downsample, channels, added_norm)
        self.plugin_names = {
            position: self._add_plugins(layers.plugins, position, width)
            for position, width in zip(PLUGIN_POSITIONS, (width, width, channels), strict=True)
        }

    def _add_plugins(
        self, plugins: PluginFactory | None, position: str, channels: int
    ) -> tuple[str, ...]:
        """Register the extra modules of one position and return their names."""
        names = []
        for name, module in plugins(position, channels) if plugins else ():
            if hasattr(self, name):
                raise UserError(
                    f"two plugins of a block are named {name!r}", "give each its own postfix"
                )
            self.add_module(name, module)
            names.append(name)
        return tuple(names)

    def _run_plugins(self, x: torch.Tensor, position: str) -> torch.Tensor:
        for name in self.plugin_names[position]:
            x = getattr(self, name)(x)
        return x

    def _residual(self, x: torch.Tensor) -> torch.Tensor:
        out = self._run_plugins(self.relu(self.bn1(self.conv1(x))), "after_conv1")
        out = self._run_plugins(self.relu(self.bn2(self.conv2(out))), "after_conv2")
        out = self.bn3(self.conv3(out))
        if hasattr(self, "se"):
            out = self.se(out)
        return self._run_plugins(out, "after_conv3")


class SqueezeExcitation(nn.Module):
    """Channel attention (Hu et al., CVPR 2018, section 3): pool, two layers without bias, scale.

    Args:
        channels: Number of input and output channels.
        reduction: `channels` over the width of the hidden layer.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.fc = nn.Sequential(
            nn.Linear(channels, hidden, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scale the channels of `x`, shape (N, channels, H, W)."""
        return x * self.fc(x.mean(dim=(2, 3)))[:, :, None, None]


# Depth -> block, number of blocks per stage (He et al., CVPR 2016, table 1).
ARCHITECTURES: dict[int, tuple[type[ResidualBlock], tuple[int, ...]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


def wants_gradients(*inputs: torch.Tensor) -> bool:
    """Return whether a backward pass may follow; in tracing or recording there is none."""
    recorded = torch.jit.is_tracing() or not all(map(is_tensor, inputs))
    return not recorded and any(x.requires_grad for x in inputs)


@contextlib.contextmanager
def statistics_kept(module: nn.Module) -> Iterator[None]:
    """Run a recomputation without a second update of the running statistics."""
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    kept = [(norm.momentum, norm.num_batches_tracked.clone()) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, (momentum, batches) in zip(norms, kept, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(batches)
