"""IBN in a network that was built with batch norms."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple

from torch import nn

from ibn_seg.errors import UserError, unknown
from ibn_seg.layers.ibn import IBN
from ibn_seg.layers.instance import InstanceNorm
from ibn_seg.layers.placement import VARIANTS, Placement
from ibn_seg.models.backbone import Backbone
from ibn_seg.models.weight_rules import some
from ibn_seg.surgery.addition import Call, attach_norm, last_activation
from ibn_seg.surgery.networks import Network, find_network, join
from ibn_seg.surgery.norms import check_batch_norm, identity_norm, instance_norm, split_norm
from ibn_seg.surgery.rules import submodule


@dataclass(frozen=True)
class ConversionReport:
    """The changes in a network; `str()` of it is one line.

    Attributes:
        network: Class of the network, and its name if it is a part of the model.
        split: Batch norms that became an `IBN`.
        replaced: Batch norms that became an instance norm (the stem's).
        added: Instance norms that are new, with scale 1 and shift 0 (after an addition).
    """

    network: str
    split: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = []
        if self.split:
            parts.append(
                f"split {len(self.split)} batch norms into IN and BN: {some(list(self.split))}"
            )
        if self.replaced:
            parts.append(f"replaced by an instance norm {', '.join(self.replaced)}")
        if self.added:
            parts.append(
                f"added {len(self.added)} instance norms after additions: {some(list(self.added))}"
            )
        return f"{self.network}: {'; '.join(parts)}"


class Conversion(NamedTuple):
    """The result of `convert`: `model, report = convert(...)`, or `convert(...).model`.

    Attributes:
        model: The converted model.
        report: The changes in it.
    """

    model: nn.Module
    report: ConversionReport


class _Replacement(NamedTuple):
    """A norm that replaces another, under all names of the old one."""

    name: str
    norm: nn.Module

    def apply(self, model: nn.Module) -> None:
        old = model.get_submodule(self.name)
        for name, module in list(model.named_modules(remove_duplicate=False)):
            if module is old:
                parent, _, child = name.rpartition(".")
                setattr(model.get_submodule(parent), child, self.norm)


class _Addition(NamedTuple):
    """A norm that a block gets before the last call of its activation."""

    block: str
    norm: nn.Module
    call: Call

    def apply(self, model: nn.Module) -> None:
        attach_norm(model.get_submodule(self.block), self.norm, self.call)


def convert(
    model: nn.Module,
    variant: str = "a",
    ratio: float | None = None,
    stages: Iterable[int] | None = None,
    inplace: bool = False,
) -> Conversion:
    """Turn a network with batch norms, from any library, into its IBN form.

    Variant a: the first norm of every residual block of the stages becomes an `IBN`. Its instance
    norm takes the batch norm's scale and shift for its channels. The batch norm keeps the other
    channels. In a DenseNet, every third layer of the dense blocks changes, and the instance norm
    has the last channels, as in the reference.

    Variant b: the stem's last norm becomes an instance norm with the batch norm's scale and shift.
    The last block of each stage gets a new instance norm after its residual addition and before its
    last activation. `Placement` describes both variants.

    Load weights of the batch-norm network before converting. Afterwards the changed norms have the
    keys of our own networks (`bn1.IN.weight`, `bn1.BN.weight`). Build the optimiser after
    converting, because the changed norms have new parameters.

    Args:
        model: A network, or a model that contains one: ResNet and its kin, HRNet, RegNet or
            DenseNet from torchvision, timm, mmseg or segmentation_models_pytorch.
        variant: 'a', 'b' or another entry of `VARIANTS` (`ibn_seg/layers/placement.py`).
        ratio: Share of instance-normalised channels in an `IBN`, strictly between 0 and 1; for
            variant a only. Default: 0.5, in a DenseNet 0.4.
        stages: Stages to convert, from 1. Default: 1, 2 and 3 for variant a, 1 and 2 for b.
        inplace: Change `model` itself instead of a deep copy.

    Returns:
        The converted model and a report. Modules that the report does not name are unchanged. New
        parameters take device, dtype, training flag and requires_grad from the ones they replace.

    Raises:
        UserError: An argument is wrong, or the model cannot be converted faithfully. Reasons: no
            known network in it, existing instance norms, norms other than batch norms, or no place
            for variant b. The model is then unchanged.

    Example:
        >>> import ibn_seg, torchvision
        >>> resnet = torchvision.models.resnet50(weights="DEFAULT")
        >>> model, report = ibn_seg.convert(resnet, "a")
        >>> print(report)
        ResNet: split 13 batch norms into IN and BN: layer1.0.bn1, layer1.1.bn1, layer1.2.bn1, ...
        (10 more)
    """
    _check_arguments(model, variant, ratio)
    network = find_network(model)
    if VARIANTS[variant].norm_after_addition is not None and network.layout.no_b:
        raise UserError(
            f"variant {variant!r} has no meaning for {network.title}: {network.layout.no_b}",
            "use variant 'a'",
        )
    placement = _placement(variant, stages, network)
    ratio = network.layout.ratio if ratio is None else float(ratio)
    split = _split_norms(network, placement, ratio)
    replaced = _stem(network) if placement.stem else []
    added = _added_norms(network, placement)
    target = model if inplace else copy.deepcopy(model)
    for edit in (*split, *replaced, *added):
        edit.apply(target)
    changed = target.get_submodule(network.name)
    if isinstance(changed, Backbone):
        changed.placement = placement
    report = ConversionReport(
        network.title,
        tuple(edit.name for edit in split),
        tuple(edit.name for edit in replaced),
        tuple(join(edit.block, "IN") for edit in added),
    )
    return Conversion(target, report)


def _check_arguments(model: object, variant: object, ratio: object) -> None:
    if not isinstance(model, nn.Module):
        raise UserError(f"a {type(model).__name__} cannot be converted", "give an nn.Module")
    if not isinstance(variant, str) or variant not in VARIANTS:
        raise unknown("ibn variant", variant, VARIANTS)
    entry = VARIANTS[variant]
    if entry.first_norm not in (None, IBN) or entry.norm_after_addition not in (None, InstanceNorm):
        raise UserError(
            f"variant {variant!r} has norms other than IBN and instance norm, which cannot be made"
            " from batch norms",
            "build the network by its name: ibn_seg.create_model",
        )
    if ratio is None:
        return
    if entry.first_norm is None:
        raise UserError(
            f"ratio={ratio!r} is given for variant {variant!r}, which splits no norm",
            "leave it out",
        )
    if isinstance(ratio, bool) or not isinstance(ratio, Real) or not 0 < ratio < 1:
        raise UserError(
            f"IBN ratio {ratio!r} is out of range", "allowed: above 0 and below 1, for example 0.5"
        )


def _placement(variant: str, stages: Iterable[int] | None, network: Network) -> Placement:
    """Return what the variant means in the given stages, from 1."""
    count = len(network.stages)
    usual = Placement.resolve(variant, num_stages=count)
    if stages is None:
        return usual
    chosen = list(stages) if isinstance(stages, Iterable) and not isinstance(stages, str) else []
    numbers = range(1, count + 1)
    if not chosen or any(type(stage) is not int or stage not in numbers for stage in chosen):
        raise UserError(
            f"stages={stages!r} are not stages of {network.title}",
            f"give a list of some of {', '.join(map(str, numbers))}",
        )
    return Placement(tuple(variant if i in chosen else None for i in numbers), usual.stem)


def _split_norms(network: Network, placement: Placement, ratio: float) -> list[_Replacement]:
    """Return the IBNs of variant a."""
    edits = []
    for stage, blocks in enumerate(network.stages):
        if not placement.replaces_first_norm(stage):
            continue
        for block in blocks[:: network.layout.every]:
            name = join(block.name, block.rule.first_norm)
            norm = submodule(block.module, block.rule.first_norm)
            check_batch_norm(name, norm)
            try:
                ibn = split_norm(norm, ratio, network.layout.instance_first)
            except UserError as error:
                raise UserError(f"{name}: {error}") from error
            edits.append(_Replacement(name, ibn))
    return edits


def _stem(network: Network) -> list[_Replacement]:
    """Return the stem's instance norm of variant b."""
    name, norm = network.stem_norm()
    check_batch_norm(name, norm)
    return [_Replacement(name, instance_norm(norm))]


def _added_norms(network: Network, placement: Placement) -> list[_Addition]:
    """Return the instance norms after additions of variant b."""
    edits = []
    for stage, blocks in enumerate(network.stages):
        for index, block in enumerate(blocks):
            if placement.follows_addition(stage, index, len(blocks)):
                norm = submodule(block.module, block.rule.last_norm)
                check_batch_norm(join(block.name, block.rule.last_norm), norm)
                call = last_activation(block)
                edits.append(_Addition(block.name, identity_norm(norm), call))
    return edits
