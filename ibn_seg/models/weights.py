"""Load weights of the same network with any placement of norms, such as plain batch norm."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import urlparse

import torch
from torch import nn

from ibn_seg.errors import UserError
from ibn_seg.layers.ibn import IBN
from ibn_seg.layers.whitening.instance_whitening import StandardisingNorm
from ibn_seg.layers.whitening.iterative import IterNorm
from ibn_seg.layers.whitening.switchable import SwitchWhiten2d
from ibn_seg.models.backbone import Backbone
from ibn_seg.models.finite import say_not_finite
from ibn_seg.models.osmr_weights import strides_first
from ibn_seg.models.sources import HEADS, bare_weights, read_checkpoint
from ibn_seg.models.state_dicts import all_weights, below, check_values, possible_prefixes
from ibn_seg.models.weight_rules import some

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_COUNTER = ".num_batches_tracked"
# Norms of methods in the places of batch and instance norms.
OTHER_NORMS = (StandardisingNorm, SwitchWhiten2d, IterNorm)


@dataclass
class LoadReport:
    """The changes to a checkpoint that made it fit.

    Attributes:
        split: Batch norms whose tensors were split between the two norms of an `IBN`.
        added: Modules of the network without a counterpart in the checkpoint; they start from their
            defaults.
        dropped: Entries for which the network has no place.
    """

    split: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = []
        if self.split:
            parts.append(f"split {len(self.split)} batch norms into IN and BN: {some(self.split)}")
        if self.added:
            parts.append(f"added from their defaults {len(self.added)}: {some(self.added)}")
        if self.dropped:
            parts.append(f"dropped {', '.join(self.dropped)}")
        return "; ".join(parts) or "loaded key for key: nothing split, added or dropped"


def load_backbone_weights(
    model: Backbone, source: str | Path, prefix: str | None = None, skip: Sequence[str] = ()
) -> LoadReport:
    """Load a checkpoint of the same network, with or without instance norms, into `model`.

    Args:
        model: The network to fill. It changes only if everything fits.
        source: A local path or an http(s) URL.
        prefix: Take only the tensors below this name.
        skip: Modules of the model that keep their values, such as a classifier of other classes.

    Returns:
        The split, added and dropped entries; `str()` of it is one line.

    Raises:
        UserError: The checkpoint cannot be read or does not fit.
    """
    checkpoint = read_checkpoint(source)
    try:
        _check_strides(model, source)
        adapted, report = adapt_state_dict(model, checkpoint, prefix, skip)
        check_values(adapted, model.state_dict())
    except UserError as error:
        raise UserError(f"{source}: {error}") from error
    model.load_state_dict(adapted, strict=True)
    say_not_finite(model, source)
    return report


def _check_strides(model: Backbone, source: str | Path) -> None:
    """Raise if only the name of a file says that its network has other strides."""
    stage = getattr(model, "layer2", None)
    first = getattr(stage[0], "conv1", None) if stage is not None and len(stage) else None
    if first is None or getattr(first, "kernel_size", None) != (1, 1) or first.stride != (1, 1):
        return
    if strides_first(PurePosixPath(urlparse(str(source)).path).name):
        raise UserError(
            "this ResNet of gluoncv2 has its strides in the first 1x1 convolutions",
            "set style='caffe', or take the file of its b variant",
        )


def adapt_state_dict(
    model: Backbone, state_dict: Mapping, prefix: str | None = None, skip: Sequence[str] = ()
) -> tuple[dict[str, torch.Tensor], LoadReport]:
    """Return the state dict that `model` takes with `strict=True`, made from `state_dict`.

    If the model has an IBN and the checkpoint a batch norm, both norms share its scale and shift.
    The running statistics go to the batch norm. An instance norm in the stem gets scale and shift.
    Instance norms without a counterpart start from the identity. Block plugins and deformable
    offsets keep their current values.

    A checkpoint that already has instance norms is loaded key by key. If the stem's convolution has
    a bias, as in the Caffe ResNet-50, it goes into the running mean. Dropped are the heads, a
    classifier that the model lacks, and stages after the model's last. Counters of batches may be
    absent.

    Args:
        model: A network of any placement.
        state_dict: A state dict from torchvision, open-mmlab, timm or this package, bare, wrapped
            or prefixed (see `sources.bare_weights`). It is not changed.
        prefix: Take only the tensors below this name.
        skip: Modules of the model that keep their values.

    Raises:
        UserError: A key is missing, unexpected or has another shape.
    """
    try:
        return _adapted(model, state_dict, prefix, skip)
    except UserError as error:
        if prefix:
            raise
        return _from_below(model, state_dict, skip, error)


def _adapted(
    model: Backbone, state_dict: Mapping, prefix: str | None, skip: Sequence[str]
) -> tuple[dict[str, torch.Tensor], LoadReport]:
    """Return the state dict that `model` takes, from the weights below `prefix`."""
    bare, dropped = bare_weights(state_dict, prefix)
    rules = model.weight_rules
    weights = rules.rename(bare)
    target = model.state_dict()
    report = LoadReport(dropped=dropped)
    rules.check(model, weights)
    native = any("IN" in key.split(".") for key in weights)
    _fold_stem_bias(weights, target, report)
    modules = {key.partition(".")[0] for key in target}
    heads = sorted(HEADS - modules - {*rules.unused(model)})
    _drop([*rules.unused(model), *heads, *skip], weights, report)
    if not native:
        _fit_norms(model, weights, target, report)
    for name in (*rules.optional(model), *skip):
        _keep_default(name, weights, target, report)
    for key, value in target.items():
        if key.endswith(_COUNTER) and key not in weights:
            weights[key] = torch.zeros_like(value)
    _check_fit(model, weights, target, dropped)
    return {key: weights[key] for key in target}, report


def _from_below(
    model: Backbone, state_dict: Mapping, skip: Sequence[str], error: UserError
) -> tuple[dict[str, torch.Tensor], LoadReport]:
    """Return the state dict that `model` takes from weights that all lie below one name.

    If a file holds several sets of weights, the user has to say which part is meant.

    Args:
        model: The network.
        state_dict: The content of a checkpoint file.
        skip: Modules of the model that keep their values.
        error: Why the weights do not fit under their own names.

    Raises:
        UserError: They fit nowhere, or need a prefix; the line says which.
    """
    weights, target = all_weights(state_dict)[0], model.state_dict()
    fitting, errors = {}, {}
    for prefix in possible_prefixes(weights, target):
        try:
            fitting[prefix] = _adapted(model, state_dict, prefix, skip)
        except UserError as other:
            errors[prefix] = other
    if len(fitting) == 1:
        ((prefix, (adapted, report)),) = fitting.items()
        if all(key.startswith(f"{prefix}.") for key in weights):
            report.dropped.insert(0, f"the prefix {prefix!r}")
            return adapted, report
    if fitting:
        names = " or ".join(f"prefix={prefix!r}" for prefix in fitting)
        raise UserError(
            error.problem, f"every tensor of the network is below one name: give {names}"
        ) from error
    nearest = next(iter(errors), None)
    modules = {key.partition(".")[0] for key in target} - {model.classifier_name}
    if nearest and {key.partition(".")[0] for key in below(f"{nearest}.", weights)} >= modules:
        raise UserError(f"below {nearest!r}, {errors[nearest]}") from error
    raise error


def _drop(modules: Iterable[str], weights: dict[str, torch.Tensor], report: LoadReport) -> None:
    """Remove the modules that the model does not have, such as the classifier."""
    for name in modules:
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
    model: Backbone,
    weights: dict[str, torch.Tensor],
    target: Mapping[str, torch.Tensor],
    report: LoadReport,
) -> None:
    """Turn the batch norms of the checkpoint into the norms of the model."""
    inside = set()
    for name, module in model.named_modules():
        if isinstance(module, IBN):
            inside.add(f"{name}.IN")
            _split(name, module, weights, report)
        elif isinstance(module, nn.InstanceNorm2d) and name not in inside:
            if name.endswith(".IN"):
                _add_identity(name, weights, target, report)
            else:
                _drop_statistics(name, weights, report)
        elif isinstance(module, OTHER_NORMS):
            _fit_other(name, module, weights, target, report)


def _fit_other(
    name: str,
    norm: nn.Module,
    weights: dict[str, torch.Tensor],
    target: Mapping[str, torch.Tensor],
    report: LoadReport,
) -> None:
    """Start a norm of another kind from a batch norm's scale and shift, if it has these.

    As RobustNet does: running statistics are dropped, and all else starts from its default.
    """
    given = {key: weights.pop(f"{name}.{key}", None) for key in ("weight", "bias", *_STATISTICS)}
    had_statistics = any(given[key] is not None for key in _STATISTICS)
    for key in norm.state_dict():
        value, own = given.pop(key, None), target[f"{name}.{key}"]
        fits = key in ("weight", "bias") and value is not None and value.numel() == own.numel()
        weights[f"{name}.{key}"] = value.clone().view(own.shape) if fits else own.clone()
    if name.endswith(".IN") and norm.state_dict():
        report.added.append(name)
    elif had_statistics:
        kind = type(norm).__name__
        report.dropped.append(f"the running statistics of {name} (a {kind} here)")


def _split(name: str, norm: IBN, weights: dict[str, torch.Tensor], report: LoadReport) -> None:
    """Split the tensors of one batch norm between the two norms of an IBN."""
    cut = norm.split[0]
    instance, batch = slice(None, cut), slice(cut, None)
    if not norm.instance_first:
        instance, batch = batch, instance
    found = False
    for tensor in ("weight", "bias"):
        value = weights.pop(f"{name}.{tensor}", None)
        if value is not None:
            found = True
            weights[f"{name}.IN.{tensor}"] = value[instance].clone()
            weights[f"{name}.BN.{tensor}"] = value[batch].clone()
    for tensor in _STATISTICS:
        value = weights.pop(f"{name}.{tensor}", None)
        if value is not None:
            weights[f"{name}.BN.{tensor}"] = value[batch].clone() if value.dim() else value
    if found:
        report.split.append(name)


def _drop_statistics(name: str, weights: dict[str, torch.Tensor], report: LoadReport) -> None:
    """Remove the running statistics of a batch norm that became an instance norm."""
    found = [weights.pop(f"{name}.{tensor}", None) for tensor in _STATISTICS]
    if any(value is not None for value in found):
        report.dropped.append(f"the running statistics of {name} (an instance norm here)")


def _add_identity(
    name: str,
    weights: dict[str, torch.Tensor],
    target: Mapping[str, torch.Tensor],
    report: LoadReport,
) -> None:
    """Start an instance norm that the checkpoint lacks with scale 1 and shift 0."""
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


def _check_fit(
    model: Backbone,
    weights: Mapping[str, torch.Tensor],
    target: Mapping[str, torch.Tensor],
    dropped: list[str],
) -> None:
    """Raise if keys or shapes differ from the model's."""
    missing = [key for key in target if key not in weights]
    unexpected = [key for key in weights if key not in target]
    shapes = [
        f"{key} is {list(weights[key].shape)}, here {list(target[key].shape)}"
        for key in target
        if key in weights and weights[key].shape != target[key].shape
    ]
    problems = [
        f"{len(found)} {what}: {some(found)}"
        for what, found in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", shapes),
        )
        if found
    ]
    if not problems:
        return
    hint = model.weight_rules.hint(model, weights, target)
    modules = {key.partition(".")[0] for key in target}
    beside = sorted({key.partition(".")[0] for key in unexpected})
    if not missing and not shapes and modules.isdisjoint(beside):
        hint = f"every tensor of the network is there: leave {some(beside)} out of the file"
    classifier = model.classifier_name
    if not unexpected and all(key.startswith(f"{classifier}.") for key in [*missing, *shapes]):
        hint = (
            f"only the classifier does not fit: give skip=[{classifier!r}], or features_only=True"
        )
    if missing and dropped:
        problems.append(f"left out: {some(dropped)}")
    raise UserError(f"the checkpoint does not fit the network, tensors {'; '.join(problems)}", hint)
