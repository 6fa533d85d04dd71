"""The form of the weights of IBN-Net.mxnet's networks, and what they say about the network."""

import re
from dataclasses import asdict, dataclass
from typing import Any

from ibn_seg.errors import UserError
from ibn_seg.models.weight_rules import Described, WeightRules, Weights, some

_BLOCK = re.compile(r"layer([1-9])\.(\d+)\.(.+)")
_FIRST = "layer1.0."
_WD = "mx_resnext_wd"


@dataclass(frozen=True)
class MXForm:
    """What names and shapes of weights say about their network.

    Attributes:
        family: 'mx_resnet', 'mx_resnext' or 'mx_resnext_wd', as in `factory.FAMILIES`.
        depth: Number of layers, counted as the source does.
        units: Number of blocks of each stage.
        stem: 'plain', 'deep' or 'small'.
        stem_channels: Channels of the stem's output.
        filters: Channels of each stage's output.
        bottleneck: Whether blocks have a `conv3`.
        ibn_stages: The variant of each stage, or None.
        groups: Groups of the 3x3 convolutions.
        shortcut: Kernel of the projections from the second stage on.
        num_classes: Classes of the classifier, or None without one.
    """

    family: str
    depth: int
    units: tuple[int, ...]
    stem: str
    stem_channels: int
    filters: tuple[int, ...]
    bottleneck: bool
    ibn_stages: tuple[str | None, ...]
    groups: int
    shortcut: int
    num_classes: int | None

    def settings(self) -> dict[str, Any]:
        """Return the arguments with which the class of the family is built."""
        settings = asdict(self)
        del settings["family"]
        if self.family == "mx_resnet" or not self.bottleneck:
            del settings["groups"]
        if self.family != _WD:
            del settings["shortcut"]
        return settings

    @property
    def title(self) -> str:
        """The network in a few words, for messages."""
        marks = {mark for mark in self.ibn_stages if mark}
        variant = "".join(f"_ibn_{mark}" for mark in sorted(marks))
        return f"{self.family}{self.depth}{variant} with blocks {self.units}"


def form_of(weights: Weights) -> MXForm:
    """Return the network that weights belong to.

    Args:
        weights: Under our names, without `bn_data` (see `mxnet_names`).

    Raises:
        UserError: They are of no network of IBN-Net.mxnet.
    """
    units, parts = _units(weights), _parts(weights)
    if not all(units) or not {"conv2.weight", "downsample.0.weight"} <= parts:
        raise UserError(
            f"these are no weights of IBN-Net.mxnet, their names start with {some(list(weights))}",
            "give a checkpoint of one of its networks",
        )
    bottleneck = "conv3.weight" in parts
    preactivation = "last_norm.weight" in weights
    stem, shortcut = _stem(weights), _shortcut(weights)
    family = _WD if stem == "deep" or shortcut > 1 else "mx_resnext"
    fc = weights.get("fc.weight")
    return MXForm(
        family="mx_resnet" if preactivation else family,
        depth=sum(units) * (3 if bottleneck else 2) + 2,
        units=units,
        stem=stem,
        stem_channels=_channels(weights, "stem.0.weight" if stem == "deep" else "conv1.weight"),
        filters=tuple(
            _channels(weights, f"layer{stage}.0.downsample.0.weight")
            for stage in range(1, len(units) + 1)
        ),
        bottleneck=bottleneck,
        ibn_stages=tuple(_variant(weights, stage) for stage in range(1, len(units) + 1)),
        groups=_groups(weights),
        shortcut=shortcut,
        num_classes=None if fc is None else len(fc),
    )


def other_network(weights: Weights) -> str | None:
    """Return the network of the source that weights are of, or None if ours may have them too.

    Basic blocks tell nothing: those of a narrow ResNet may have a projection in the first stage.
    """
    parts = _parts(weights)
    grouped = not any(key.endswith(".conv1.weight") for key in weights)
    # Ours have an instance norm after the last block of a stage alone.
    every = "IN.weight" in parts and any(key.startswith("layer1.1.") for key in weights)
    if not ("last_norm.weight" in weights or grouped or every):
        return None
    try:
        return form_of(weights).title
    except UserError:
        return None


class MXWeights(WeightRules):
    """Checkpoints of the networks of IBN-Net.mxnet, under our names."""

    def check(self, model: Described, weights: Weights) -> None:
        """Raise if the blocks in the checkpoint belong to another network."""
        counts = _units(weights)
        if not counts or f"{_FIRST}conv2.weight" not in weights:
            raise UserError(
                "the checkpoint holds no network of IBN-Net.mxnet,"
                f" its keys start with {some(list(weights))}",
                "use weights of this architecture",
            )
        if counts != model.stage_blocks:
            raise UserError(
                f"the checkpoint has stages of {list(counts)} blocks,"
                f" this network has {list(model.stage_blocks)}",
                f"set units={list(counts)}",
            )

    def hint(self, model: Described, weights: Weights, target: Weights) -> str:
        """Return the arguments in which the network of the weights differs, or the IBN ratio."""
        form = form_of(weights)
        theirs, ours = form.settings(), form_of(target).settings()
        other = [f"{key}={value!r}" for key, value in theirs.items() if ours.get(key) != value]
        if not other:
            return super().hint(model, weights, target)
        return f"they are of {form.family}, with {', '.join(other)}"


def _units(weights: Weights) -> tuple[int, ...]:
    """Return the number of blocks of each stage."""
    counts: dict[int, int] = {}
    for match in filter(None, map(_BLOCK.match, weights)):
        stage = int(match[1])
        counts[stage] = max(counts.get(stage, 0), int(match[2]) + 1)
    return tuple(counts.get(stage, 0) for stage in range(1, max(counts, default=0) + 1))


def _parts(weights: Weights) -> set[str]:
    """Return the names in the first block."""
    return {key.removeprefix(_FIRST) for key in weights if key.startswith(_FIRST)}


def _stem(weights: Weights) -> str:
    if "stem.0.weight" in weights:
        return "deep"
    return "plain" if "bn1.weight" in weights else "small"


def _shortcut(weights: Weights) -> int:
    """Return the kernel of the second stage's projection."""
    weight = weights.get("layer2.0.downsample.0.weight")
    return weight.shape[-1] if weight is not None and weight.dim() == 4 else 1


def _variant(weights: Weights, stage: int) -> str | None:
    if f"layer{stage}.0.bn1.IN.weight" in weights:
        return "a"
    return "b" if f"layer{stage}.0.IN.weight" in weights else None


def _groups(weights: Weights) -> int:
    """Return the groups of the first block's 3x3 convolution: its input over its weight's."""
    before = weights.get(f"{_FIRST}conv1.weight")
    if before is None:
        norms = (f"{_FIRST}bn1.weight", f"{_FIRST}bn1.IN.weight", f"{_FIRST}bn1.BN.weight")
        inputs = sum(len(weights[norm]) for norm in norms if norm in weights)
    else:
        inputs = before.shape[0]
    each = weights[f"{_FIRST}conv2.weight"].shape[1:2]
    return inputs // each[0] if each and each[0] else 1


def _channels(weights: Weights, key: str) -> int:
    """Return the output channels of a convolution.

    Raises:
        UserError: It is missing, or no convolution.
    """
    weight = weights.get(key)
    if weight is None or weight.dim() != 4:
        raise UserError(f"{key} is missing or has another shape", "give the whole checkpoint")
    return weight.shape[0]
