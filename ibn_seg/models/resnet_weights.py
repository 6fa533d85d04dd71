"""The form of ResNet-family checkpoints."""

import re
from collections.abc import Iterator
from typing import Protocol

import torch

from ibn_seg.errors import UserError
from ibn_seg.layers.placement import Placement
from ibn_seg.models.blocks import ARCHITECTURES
from ibn_seg.models.mx_weights import other_network
from ibn_seg.models.weight_rules import Described, WeightRules, Weights, some

_GROUP_NORM = re.compile(r"(^|\.)gn([123])(?=\.(?:weight|bias)$)")
_FIRST_GROUPED = "layer1.0.conv2.weight"
_FIRST_ATTENTION = "layer1.0.se.fc.0.weight"
# Which norms of a deep stem an instance norm replaces: a plain stem has one, so its last.
LAST_NORM, FIRST_TWO = "last", "first two"
STEM_NORMS = (LAST_NORM, FIRST_TWO)


class DescribedResNet(Described, Protocol):
    """What they also read from a network of the ResNet family."""

    family: str
    stage_names: tuple[str, ...]
    deep_stem: bool
    deep_stem_norms: str
    placement: Placement


class ResNetWeights(WeightRules):
    """Checkpoints of ResNet, ResNeXt and SE-ResNet."""

    def rename(self, weights: Weights) -> dict[str, torch.Tensor]:
        """Return `weights` with group norms under the names of batch norms; mmcv calls them gn."""
        return {_GROUP_NORM.sub(r"\1bn\2", key): value for key, value in weights.items()}

    def check(self, model: DescribedResNet, weights: Weights) -> None:
        """Raise if the blocks in the checkpoint belong to another network."""
        if not any(key.startswith("layer1.") for key in weights):
            raise UserError(
                f"the checkpoint holds no {model.family} backbone,"
                f" its keys start with {some(list(weights))}",
                "use weights of this architecture, with names like layer1.0.conv1.weight",
            )
        stages = len(model.stage_blocks)
        counts = block_counts(weights, stages)
        bottleneck = any(key.endswith(".conv3.weight") for key in weights)
        depths = [
            depth
            for depth, (block, blocks) in ARCHITECTURES.items()
            if blocks[:stages] == counts and (block.expansion > 1) == bottleneck
        ]
        if depths and model.depth not in depths:
            looks = " or ".join(f"{model.family}-{depth}" for depth in depths)
            raise UserError(
                f"the checkpoint looks like {looks}, the config asks for depth {model.depth}",
                f"set depth={depths[0]} or give weights of depth {model.depth}",
            )

    def unused(self, model: DescribedResNet) -> list[str]:
        """Return the classifier and the stages that the model was built without."""
        later = [f"layer{stage}" for stage in range(len(model.stage_blocks) + 1, 5)]
        return [*super().unused(model), *later]

    def optional(self, model: DescribedResNet) -> Iterator[str]:
        """Yield the names of block plugins, deformable offsets and layers of methods."""
        yield "semantic"
        for stage in model.stage_names:
            for index, block in enumerate(getattr(model, stage)):
                yield f"{stage}.{index}.self_norm"
                for names in getattr(block, "plugin_names", {}).values():
                    yield from (f"{stage}.{index}.{name}" for name in names)
                offsets = (name for name, _ in block.conv2.named_children())
                yield from (f"{stage}.{index}.conv2.{name}" for name in offsets)

    def hint(self, model: DescribedResNet, weights: Weights, target: Weights) -> str:
        """Return the option in which the checkpoint's network differs most clearly."""
        if _has_statistics(target) and not _has_statistics(weights):
            return "its norms have no running statistics, as group norms: set norm_cfg as there"
        if other := other_network(weights):
            return f"they are of IBN-Net.mxnet's {other}: use that network"
        if (_FIRST_ATTENTION in weights) != (_FIRST_ATTENTION in target):
            return "SE-ResNet's are the networks with keys '.se.': use weights of the same family"
        shapes = [
            tuple(each[_FIRST_GROUPED].shape)
            for each in (weights, target)
            if _FIRST_GROUPED in each
        ]
        if len(set(shapes)) > 1:
            return (
                f"the 3x3 convolutions of its first stage have the shape {list(shapes[0])}:"
                " use weights of the same family, groups and width"
            )
        deep = "stem.0.weight" in weights
        if deep != model.deep_stem:
            return f"set deep_stem={deep}"
        pooled = "layer2.0.downsample.2.weight" in weights
        if pooled != ("layer2.0.downsample.2.weight" in target):
            return f"set avg_down={pooled}"
        stages, stem = _placement(weights, len(model.stage_blocks))
        if any(stages) and (stages, stem) != (model.placement.stages, model.placement.stem):
            return f"its layout is ibn_stages={list(stages)}, ibn_stem={stem}; set these"
        if deep and stem and _stem_norms(weights) != model.deep_stem_norms:
            return f"set deep_stem_norms={_stem_norms(weights)!r}"
        return super().hint(model, weights, target)


def _has_statistics(weights: Weights) -> bool:
    """Return whether any norm has running statistics."""
    return any(key.endswith(".running_var") for key in weights)


def block_counts(weights: Weights, stages: int) -> tuple[int, ...]:
    """Return the number of blocks in each of the first stages."""
    counts = [0] * stages
    for key in weights:
        match = re.match(r"layer(\d)\.(\d+)\.", key)
        if match and int(match[1]) <= stages:
            counts[int(match[1]) - 1] = max(counts[int(match[1]) - 1], int(match[2]) + 1)
    return tuple(counts)


def _placement(weights: Weights, num_stages: int) -> tuple[tuple[str | None, ...], bool]:
    """Return the placement of instance norms in a checkpoint."""
    stages = []
    for stage in range(1, num_stages + 1):
        if f"layer{stage}.0.bn1.IN.weight" in weights:
            stages.append("a")
        else:
            stages.append(_added_norm(weights, stage))
    norms = ("stem.1", "stem.7") if "stem.0.weight" in weights else ("bn1",)
    return tuple(stages), any(f"{norm}.running_var" not in weights for norm in norms)


def _stem_norms(weights: Weights) -> str:
    """Return which norms of a deep stem are no batch norms in a checkpoint."""
    return LAST_NORM if "stem.1.running_var" in weights else FIRST_TWO


def _added_norm(weights: Weights, stage: int) -> str | None:
    """Return the variant of the norm after the last addition of a stage (from 1), by its keys."""
    start = re.compile(rf"layer{stage}\.\d+\.IN\.")
    found = {start.sub("", key): value for key, value in weights.items() if start.match(key)}
    if "sw_mean_weight" in found:
        return f"sw{len(found['sw_mean_weight'])}"
    for key, variant in (("running_wm", "iternorm"), ("mask", "isw"), ("weight", "b")):
        if key in found:
            return variant
    return None
