"""Where other libraries' networks have their norms: one table of blocks, one of networks.

Nothing is guessed: a network that no row describes is not converted.
"""

from dataclasses import dataclass

from torch import nn

from ibn_seg.models.densenet import IBN_EVERY, IBN_RATIO


@dataclass(frozen=True)
class BlockRule:
    """Where the norms of one kind of block are, as dotted names from the block.

    Attributes:
        classes: Names of the block's class or of a class that it inherits from.
        first_norm: The norm that variant a replaces.
        first_conv: The convolution that feeds that norm, or None if the norm is the block's first
            step.
        last_norm: The last norm of the residual; it has as many channels as the sum. None if there
            is no addition.
        activations: Names under which the block may keep the activation after the addition.
    """

    classes: tuple[str, ...]
    first_norm: str
    first_conv: str | None = None
    last_norm: str | None = None
    activations: tuple[str, ...] = ()

    def fits(self, block: nn.Module) -> bool:
        """Return whether `block` is of this kind.

        The name alone says little: many libraries have a `Bottleneck`. The norms have to exist, and
        the first one has to follow the first convolution. Pre-activation blocks, which normalise
        before they convolve, differ in these channels.
        """
        if not any(base.__name__ in self.classes for base in type(block).__mro__):
            return False
        norm = submodule(block, self.first_norm)
        if norm is None or (self.last_norm and submodule(block, self.last_norm) is None):
            return False
        if self.first_conv is None:
            return True
        channels = getattr(submodule(block, self.first_conv), "out_channels", None)
        # No `num_features`, or none yet: the norm is of another kind, which another check reports.
        return channels is not None and (getattr(norm, "num_features", 0) or channels) == channels


@dataclass(frozen=True)
class Layout:
    """Where one kind of network has its stages and stem, as dotted names from the network.

    Attributes:
        blocks: For each stage a pattern of its blocks' names; `*` is any child.
        stem: Possible names of the stem's last norm; the first that exists counts.
        min_stages: How many stages, from the first, a network of this kind has at least.
        every: The first of every so many blocks gets an IBN.
        ratio: Share of the instance-normalised channels by default.
        instance_first: Whether these are the first channels (see `IBN`).
        no_b: Why variant b has no meaning here, or None if it has one.
    """

    blocks: tuple[str, ...]
    stem: tuple[str, ...]
    min_stages: int = 4
    every: int = 1
    ratio: float = 0.5
    instance_first: bool = True
    no_b: str | None = None


BLOCKS: tuple[BlockRule, ...] = (
    # torchvision, timm, mmseg (ResNet, ResNeSt, HRNet), segmentation_models_pytorch, ibn_seg.
    BlockRule(
        classes=("Bottleneck", "ResNestBottleneck"),
        first_norm="bn1",
        first_conv="conv1",
        last_norm="bn3",
        activations=("relu", "act3"),
    ),
    BlockRule(
        classes=("BasicBlock",),
        first_norm="bn1",
        first_conv="conv1",
        last_norm="bn2",
        activations=("relu", "act2"),
    ),
    # The SENets of Cadene's pretrained models; segmentation_models_pytorch and timm use them.
    BlockRule(
        classes=("SEBottleneck", "SEResNetBottleneck", "SEResNeXtBottleneck"),
        first_norm="bn1",
        first_conv="conv1",
        last_norm="bn3",
        activations=("relu",),
    ),
    # torchvision's RegNet.
    BlockRule(
        classes=("ResBottleneckBlock",),
        first_norm="f.a.1",
        first_conv="f.a.0",
        last_norm="f.c.1",
        activations=("activation",),
    ),
    # timm's RegNet.
    BlockRule(
        classes=("Bottleneck",),
        first_norm="conv1.bn",
        first_conv="conv1.conv",
        last_norm="conv3.bn",
        activations=("act3",),
    ),
    # torchvision's DenseNet; timm's and ours.
    BlockRule(classes=("_DenseLayer", "DenseLayer"), first_norm="norm1"),
)

LAYOUTS: dict[str, Layout] = {
    # Before ResNet, because it has `layer1` too.
    "HRNet": Layout(
        blocks=(
            "layer1.*",
            "stage2.*.branches.*.*",
            "stage3.*.branches.*.*",
            "stage4.*.branches.*.*",
        ),
        stem=("bn2",),
        no_b="its stages end in a fusion of branches, not in the addition of one last block",
    ),
    # ResNeXt, Wide ResNet, SE-ResNet and ResNeSt too. `stem.7`: mmseg's and our deep stem.
    "ResNet": Layout(
        blocks=("layer1.*", "layer2.*", "layer3.*", "layer4.*"),
        stem=("bn1", "stem.7", "layer0.bn1"),
        min_stages=1,
    ),
    "RegNet": Layout(
        blocks=tuple(f"trunk_output.block{stage}.*" for stage in (1, 2, 3, 4)), stem=("stem.1",)
    ),
    "RegNet (timm)": Layout(blocks=("s1.*", "s2.*", "s3.*", "s4.*"), stem=("stem.bn",)),
    "DenseNet": Layout(
        blocks=tuple(f"features.denseblock{stage}.*" for stage in (1, 2, 3, 4)),
        stem=("features.norm0",),
        every=IBN_EVERY,
        ratio=IBN_RATIO,
        instance_first=False,
        no_b="its blocks concatenate, they have no residual addition",
    ),
}


def rule_of(block: nn.Module) -> BlockRule | None:
    """Return the row of `BLOCKS` that describes `block`, or None."""
    return next((rule for rule in BLOCKS if rule.fits(block)), None)


def submodule(module: nn.Module, name: str) -> nn.Module | None:
    """Return the module at a dotted name below `module`, or None."""
    try:
        return module.get_submodule(name)
    except AttributeError:
        return None
