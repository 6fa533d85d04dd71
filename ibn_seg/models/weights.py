"""Weights of the batch-norm twin: any ResNet checkpoint into any placement of instance norms."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from ibn_seg.errors import UserError
from ibn_seg.layers.ibn import IBN
from ibn_seg.models.resnet import ARCHITECTURES, ResNet
from ibn_seg.models.sources import bare_weights, read_checkpoint

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_COUNTER = ".num_batches_tracked"


@dataclass
class LoadReport:
    """What was done to a checkpoint so that it fits.

    Attributes:
        split: Batch norms whose tensors were split between the two norms of an `IBN`.
        added: Modules of the network that the checkpoint has no counterpart for; they start from
            their defaults.
        dropped: What the network has no place for.
    """

    split: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = []
        if self.split:
            parts.append(f"split {len(self.split)} batch norms into IN and BN: {_some(self.split)}")
        if self.added:
            parts.append(f"added from their defaults {len(self.added)}: {_some(self.added)}")
        if self.dropped:
            parts.append(f"dropped {', '.join(self.dropped)}")
        return "; ".join(parts) or "loaded key for key: nothing split, added or dropped"


def load_backbone_weights(
    model: ResNet, source: str | Path, prefix: str | None = None
) -> LoadReport:
    """Load a checkpoint of the same ResNet, with or without instance norms, into `model`.

    Args:
        model: The network to fill; nothing changes in it unless everything fits.
        source: A local path or an http(s) URL.
        prefix: Take only the tensors below this name.

    Returns:
        What was split, added and dropped; `str()` of it is one line.

    Raises:
        UserError: The checkpoint cannot be read or does not fit.
    """
    checkpoint = read_checkpoint(source)
    try:
        adapted, report = adapt_state_dict(model, checkpoint, prefix)
    except UserError as error:
        raise UserError(f"{source}: {error}") from error
    model.load_state_dict(adapted, strict=True)
    return report


def adapt_state_dict(
    model: ResNet, state_dict: Mapping, prefix: str | None = None
) -> tuple[dict[str, torch.Tensor], LoadReport]:
    """Return the state dict that `model` takes with `strict=True`, made from `state_dict`.

    Where the model has an IBN and the checkpoint a batch norm, scale and shift are split between
    the two norms and the running statistics go to the batch norm. Where the stem has an instance
    norm it gets scale and shift. Instance norms without a counterpart start from the identity;
    block plugins and deformable offsets keep their current values. A checkpoint that has instance
    norms itself is taken key for key. A bias of the stem's convolution, as in the Caffe ResNet-50,
    goes into the running mean. The heads, the classifier where the model has none, and the stages
    after the model's last are dropped; counters of batches may be absent.

    Args:
        model: A ResNet of any placement.
        state_dict: A state dict from torchvision, open-mmlab, timm or this package, bare, wrapped
            or prefixed (see `sources.bare_weights`). It is not changed.
        prefix: Take only the tensors below this name.

    Raises:
        UserError: A key is missing, unexpected or has another shape.
    """
    weights, dropped = bare_weights(state_dict, prefix)
    target = model.state_dict()
    report = LoadReport(dropped=dropped)
    _check_depth(model, weights)
    native = any("IN" in key.split(".") for key in weights)
    _fold_stem_bias(weights, target, report)
    _drop_unused(model, weights, report)
    if not native:
        _fit_norms(model, weights, target, report)
    for name in _optional_modules(model):
        _keep_default(name, weights, target, report)
    for key, value in target.items():
        if key.endswith(_COUNTER) and key not in weights:
            weights[key] = torch.zeros_like(value)
    _check_fit(model, weights, target)
    return {key: weights[key] for key in target}, report


def _drop_unused(model: ResNet, weights: dict[str, torch.Tensor], report: LoadReport) -> None:
    """Take out the classifier and the stages that the model does not have."""
    unused = [] if hasattr(model, "fc") else ["fc"]
    unused += [f"layer{stage}" for stage in range(len(model.stage_blocks) + 1, 5)]
    for name in unused:
        keys = [key for key in weights if key.startswith(f"{name}.")]
        for key in keys:
            del weights[key]
        if keys:
            report.dropped.append(f"{name}.* ({len(keys)} keys)")


def _fold_stem_bias(
    weights: dict[str, torch.Tensor], target: Mapping[str, torch.Tensor], report: LoadReport
) -> None:
    """Subtract a bias before the stem's batch norm from its mean, which has the same effect."""
    bias, mean = "conv1.bias", "bn1.running_mean"
    if bias in weights and bias not in target and mean in weights:
        weights[mean] = weights[mean] - weights.pop(bias)
        report.dropped.append(f"{bias} (subtracted from {mean})")


def _fit_norms(
    model: ResNet,
    weights: dict[str, torch.Tensor],
    target: Mapping[str, torch.Tensor],
    report: LoadReport,
) -> None:
    """Turn the batch norms of the checkpoint into the norms of the model."""
    inside = set()
    for name, module in model.named_modules():
        if isinstance(module, IBN):
            inside.add(f"{name}.IN")
            _split(name, module.split[0], weights, report)
        elif isinstance(module, nn.InstanceNorm2d) and name not in inside:
            if name.endswith(".IN"):
                _add_identity(name, weights, target, report)
            else:
                _drop_statistics(name, weights, report)


def _split(name: str, instance: int, weights: dict[str, torch.Tensor], report: LoadReport) -> None:
    """Split one batch norm: the first `instance` channels to IN, the others to BN."""
    found = False
    for tensor in ("weight", "bias"):
        value = weights.pop(f"{name}.{tensor}", None)
        if value is not None:
            found = True
            weights[f"{name}.IN.{tensor}"] = value[:instance].clone()
            weights[f"{name}.BN.{tensor}"] = value[instance:].clone()
    for tensor in _STATISTICS:
        value = weights.pop(f"{name}.{tensor}", None)
        if value is not None:
            weights[f"{name}.BN.{tensor}"] = value[instance:].clone() if value.dim() else value
    if found:
        report.split.append(name)


def _drop_statistics(name: str, weights: dict[str, torch.Tensor], report: LoadReport) -> None:
    """Take out the running statistics of a batch norm that became an instance norm."""
    found = [weights.pop(f"{name}.{tensor}", None) for tensor in _STATISTICS]
    if any(value is not None for value in found):
        report.dropped.append(f"the running statistics of {name} (an instance norm here)")


def _optional_modules(model: ResNet) -> Iterator[str]:
    """Yield the names of the modules that no plain ResNet has: plugins, deformable offsets."""
    for stage in model.stage_names:
        for index, block in enumerate(getattr(model, stage)):
            for names in getattr(block, "plugin_names", {}).values():
                yield from (f"{stage}.{index}.{name}" for name in names)
            yield from (f"{stage}.{index}.conv2.{name}" for name, _ in block.conv2.named_children())


def _add_identity(
    name: str,
    weights: dict[str, torch.Tensor],
    target: Mapping[str, torch.Tensor],
    report: LoadReport,
) -> None:
    """Let an instance norm that the checkpoint does not have start with scale 1 and shift 0."""
    scale, shift = f"{name}.weight", f"{name}.bias"
    weights[scale] = torch.ones_like(target[scale])
    weights[shift] = torch.zeros_like(target[shift])
    report.added.append(name)


def _keep_default(
    name: str,
    weights: dict[str, torch.Tensor],
    target: Mapping[str, torch.Tensor],
    report: LoadReport,
) -> None:
    """Give a module its current values unless the checkpoint has some of its tensors."""
    keys = [key for key in target if key.startswith(f"{name}.")]
    if keys and not any(key in weights for key in keys):
        weights.update((key, target[key].clone()) for key in keys)
        report.added.append(name)


def _check_depth(model: ResNet, weights: Mapping[str, torch.Tensor]) -> None:
    """Raise if the blocks in the checkpoint are those of another network."""
    if not any(key.startswith("layer1.") for key in weights):
        raise UserError(
            f"the checkpoint holds no ResNet backbone, its keys start with {_some(list(weights))}",
            "if the backbone has a prefix, give prefix='...'",
        )
    stages = len(model.stage_blocks)
    counts = [0] * stages
    for key in weights:
        match = re.match(r"layer(\d)\.(\d+)\.", key)
        if match and int(match[1]) <= stages:
            counts[int(match[1]) - 1] = max(counts[int(match[1]) - 1], int(match[2]) + 1)
    bottleneck = any(key.endswith(".conv3.weight") for key in weights)
    depths = [
        depth
        for depth, (block, blocks) in ARCHITECTURES.items()
        if blocks[:stages] == tuple(counts) and (block.expansion > 1) == bottleneck
    ]
    if depths and model.depth not in depths:
        looks = " or ".join(f"ResNet-{depth}" for depth in depths)
        raise UserError(
            f"the checkpoint looks like {looks}, the config asks for depth {model.depth}",
            f"set depth={depths[0]} or give weights of depth {model.depth}",
        )


def _check_fit(
    model: ResNet, weights: Mapping[str, torch.Tensor], target: Mapping[str, torch.Tensor]
) -> None:
    """Raise if keys or shapes differ from what the model takes."""
    missing = [key for key in target if key not in weights]
    unexpected = [key for key in weights if key not in target]
    shapes = [
        f"{key} is {list(weights[key].shape)}, here {list(target[key].shape)}"
        for key in target
        if key in weights and weights[key].shape != target[key].shape
    ]
    problems = [
        f"{len(found)} {what}: {_some(found)}"
        for what, found in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", shapes),
        )
        if found
    ]
    if problems:
        raise UserError(
            f"the checkpoint does not fit the network, tensors {'; '.join(problems)}",
            _hint(model, weights, target),
        )


def _hint(
    model: ResNet, weights: Mapping[str, torch.Tensor], target: Mapping[str, torch.Tensor]
) -> str:
    """Return what most likely makes the checkpoint fit."""
    deep = "stem.0.weight" in weights
    if deep != model.deep_stem:
        return f"set deep_stem={deep}"
    pooled = "layer2.0.downsample.2.weight" in weights
    if pooled != ("layer2.0.downsample.2.weight" in target):
        return f"set avg_down={pooled}"
    stages, stem = _placement(weights, len(model.stage_blocks))
    if any(stages) and (stages, stem) != (model.placement.stages, model.placement.stem):
        return f"its layout is ibn_stages={list(stages)}, ibn_stem={stem}; set these"
    return "use weights of this architecture"


def _placement(
    weights: Mapping[str, torch.Tensor], num_stages: int
) -> tuple[tuple[str | None, ...], bool]:
    """Return the placement of instance norms in a checkpoint."""
    stages = []
    for stage in range(1, num_stages + 1):
        after = re.compile(rf"layer{stage}\.\d+\.IN\.weight")
        if f"layer{stage}.0.bn1.IN.weight" in weights:
            stages.append("a")
        else:
            stages.append("b" if any(map(after.fullmatch, weights)) else None)
    norm = "stem.7" if "stem.7.weight" in weights else "bn1"
    return tuple(stages), f"{norm}.running_mean" not in weights


def _some(names: list[str]) -> str:
    """Return the first names of a list."""
    return ", ".join(names[:3]) + (f", ... ({len(names) - 3} more)" if len(names) > 3 else "")
