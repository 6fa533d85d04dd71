"""Make a trained network ready for inference: fold norms into convolutions, merge the others."""

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ibn_seg.errors import UserError
from ibn_seg.layers.fused import Folded, FusedIBN, FusedInstanceNorm, ScaleShift
from ibn_seg.layers.ibn import IBN
from ibn_seg.models.weight_rules import some
from ibn_seg.surgery.dataflow import Dataflow, watch
from ibn_seg.surgery.folding import folded, has_hooks, is_convolution, is_norm, obstacle
from ibn_seg.surgery.norms import TAIL
from ibn_seg.surgery.running import example_of, runs, tensors

# Largest difference over largest value.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class FusionReport:
    """What happened to each norm of a network, by name; `str()` gives one line.

    Attributes:
        network: Class of the network.
        folded: Batch norms that are now parts of convolutions.
        split: `IBN`s whose batch norm is now part of a convolution; their instance norm is not.
        scaled: Batch norms that follow no convolution, also in an `IBN`: each is now a scale and a
            shift.
        instance: Instance norms outside `IBN` that now keep the memory format.
        activations: ReLUs that are now part of the norm before them.
        kept: Norms that did not change, with the reason.
        difference: Largest difference of the outputs on the example, divided by their largest
            value.
    """

    network: str
    folded: tuple[str, ...] = ()
    split: tuple[str, ...] = ()
    scaled: tuple[str, ...] = ()
    instance: tuple[str, ...] = ()
    activations: tuple[str, ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)
    difference: float = 0.0

    @property
    def counts(self) -> dict[str, int]:
        """The number of norms and ReLUs of each kind."""
        kinds = ("folded", "split", "scaled", "instance", "activations", "kept")
        return {kind: len(getattr(self, kind)) for kind in kinds}

    def __str__(self) -> str:
        parts = []
        if self.folded or self.split:
            both = f" and those of {len(self.split)} IBNs" if self.split else ""
            parts.append(f"folded {len(self.folded)} batch norms{both} into convolutions")
        if self.scaled:
            parts.append(f"{len(self.scaled)} batch norms became scale and shift")
        if self.instance:
            parts.append(f"{len(self.instance)} instance norms keep the memory format")
        if self.activations:
            parts.append(f"{len(self.activations)} ReLUs joined the norm before them")
        if self.kept:
            parts.append(f"kept {len(self.kept)} norms: {_reasons(self.kept)}")
        parts.append(f"output within {self.difference:.0e}")
        return f"{self.network}: {'; '.join(parts)}"


class Fusion(NamedTuple):
    """The result of `fuse`: `model, report = fuse(...)`, or `fuse(...).model`.

    Attributes:
        model: The fused model.
        report: The changes in it.
    """

    model: nn.Module
    report: FusionReport


class _Edit(NamedTuple):
    """A module that replaces another: its name, and the function that makes it from the old one."""

    name: str
    make: Callable[[nn.Module], nn.Module]


@dataclass
class _Plan:
    """The planned changes: the report's lists, and the edits."""

    folded: list[str] = field(default_factory=list)
    split: list[str] = field(default_factory=list)
    scaled: list[str] = field(default_factory=list)
    instance: list[str] = field(default_factory=list)
    activations: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    edits: list[_Edit] = field(default_factory=list)

    def report(self, network: str, difference: float) -> FusionReport:
        lists = ("folded", "split", "scaled", "instance", "activations")
        found = {name: tuple(getattr(self, name)) for name in lists}
        return FusionReport(network, **found, kept=dict(self.kept), difference=difference)


@torch.no_grad()
def fuse(
    model: nn.Module,
    inplace: bool = False,
    example: torch.Tensor | tuple | None = None,
) -> Fusion:
    """Make a trained network faster for inference, with the same outputs.

    A batch norm is folded into the convolution before it if nothing else reads the convolution's
    output. The same holds for the batch norm of an `IBN`. There only the filters of its channels
    change, and the instance norm works on its own channels. Other batch norms, as in DenseNet,
    become one scale and shift. A following ReLU joins them if it is a separate module. Instance
    norms keep the channels-last memory format.

    The order of the layers is not guessed from names. It is watched while the network runs on an
    example. The fused network has to give the same output on it. Anything not seen in that run
    stays unchanged. Works with networks of any library; segmentors of mmseg are fused with their
    auxiliary heads.

    The result is only for inference. Its state dict differs, so checkpoints of the network no
    longer fit: load weights first.

    Args:
        model: A network in evaluation mode.
        inplace: Change `model` itself instead of a deep copy.
        example: The input to run it on: a tensor, or a tuple of its arguments. Default: noise of
            shape (2, C, 64, 64), where C is the number of input channels of its first convolution.

    Returns:
        The fused model and a report. It names each norm.

    Raises:
        UserError: The model is in training mode, is already fused or has nothing to fuse. Or it
            fails on the example, or gives another output when fused. The model is then unchanged.

    Example:
        >>> import ibn_seg
        >>> network = ibn_seg.create_model("resnet50_ibn_a", pretrained=True).eval()
        >>> model, report = ibn_seg.fuse(network)
        >>> print(report)
        ResNet: folded 40 batch norms and those of 13 IBNs into convolutions; output within 1e-06
    """
    _check(model)
    given = example_of(model) if example is None else example
    arguments = given if isinstance(given, tuple) else (given,)
    watched = _watched(model)
    with _buffers_kept(model):
        flow = watch(watched, runs(model, arguments, example is not None))
    plan = _planned(watched, flow)
    title = type(model).__name__
    if not plan.edits:
        raise UserError(f"{title} has nothing to fuse: {_reasons(plan.kept) or 'it has no norms'}")
    target = model if inplace else copy.deepcopy(model)
    undo = _apply(plan.edits, target)
    try:
        with _buffers_kept(target):
            found = [run() for run in runs(target, arguments, example is not None)]
        difference = _difference(found, flow.outputs)
        if not difference <= TOLERANCE:
            raise UserError(
                f"{title}: fusing changes its output on the example by {difference:.0e} of the "
                f"largest value, allowed is {TOLERANCE:.0e}",
                "fuse it in float32, or give another example",
            )
    except BaseException:
        undo()
        raise
    return Fusion(target, plan.report(title, difference))


def _check(model: object) -> None:
    """Check that a model can be fused."""
    title = type(model).__name__
    if not isinstance(model, nn.Module):
        raise UserError(f"a {title} cannot be fused", "give an nn.Module")
    if hasattr(model, "_orig_mod") or isinstance(model, torch.jit.ScriptModule):
        raise UserError(f"{title} is compiled", "fuse the network first, then compile it")
    if model.training:
        raise UserError(
            f"{title} is in training mode, fusing is for inference", "call eval() on it"
        )
    for name, module in model.named_modules():
        if isinstance(module, (Folded, ScaleShift, FusedInstanceNorm, FusedIBN)):
            raise UserError(f"{title} is fused already: {name or 'it'}", "use it as it is")
        if type(module).__name__ == "SyncBatchNorm" and not isinstance(module, _BatchNorm):
            raise UserError(
                f"{name} is a {type(module).__module__}.SyncBatchNorm, which cannot be fused",
                "build the network with type='BN': the weights are the same",
            )


def _watched(model: nn.Module) -> dict[str, nn.Module]:
    """Return convolutions, norms (not those inside an IBN) and ReLUs."""
    inside = {
        part for module in model.modules() if isinstance(module, IBN) for part in module.children()
    }
    return {
        name: module
        for name, module in model.named_modules()
        if name
        and module not in inside
        and (is_norm(module) or is_convolution(module) or _is_relu(module))
    }


def _is_relu(module: nn.Module) -> bool:
    return type(module) is nn.ReLU and not has_hooks(module)


def _planned(watched: Mapping[str, nn.Module], flow: Dataflow) -> _Plan:
    """Decide how each norm is changed."""
    plan = _Plan()
    before = {}
    for name, module in watched.items():
        result = flow.result(name) if is_convolution(module) else None
        reader = result.only_reader() if result else None
        if reader is not None and flow.calls(reader) == 1 and is_norm(watched[reader]):
            before[reader] = name
    for name, module in watched.items():
        if not is_norm(module):
            continue
        reason = obstacle(module) or (None if flow.calls(name) else "it did not run")
        if reason:
            plan.kept[name] = reason
        else:
            _plan_norm(plan, name, watched, before.get(name), flow)
    return plan


def _plan_norm(
    plan: _Plan,
    name: str,
    watched: Mapping[str, nn.Module],
    conv: str | None,
    flow: Dataflow,
) -> None:
    """Add the change of one norm; `conv` is the convolution whose output only the norm reads."""
    norm = watched[name]
    if conv is not None and not isinstance(norm, nn.InstanceNorm2d):
        plan.edits.append(_Edit(conv, lambda old: folded(old, norm)))
    if isinstance(norm, _BatchNorm) and conv is not None:
        plan.folded.append(name)
        plan.edits.append(_Edit(name, lambda old: _with_tail(Folded(), old)))
        return
    relu = _relu_after(name, watched, flow)
    if relu is not None:
        plan.activations.append(relu)
        plan.edits.append(_Edit(relu, lambda old: nn.Identity()))
    if isinstance(norm, IBN):
        (plan.split if conv else plan.scaled).append(name)
    else:
        (plan.scaled if isinstance(norm, _BatchNorm) else plan.instance).append(name)
    plan.edits.append(
        _Edit(
            name, lambda old: _with_tail(_rewritten(old, relu is not None, conv is not None), old)
        )
    )


def _rewritten(norm: nn.Module, relu: bool, after_conv: bool) -> nn.Module:
    """Return a norm that stays, in the form for inference."""
    if isinstance(norm, IBN):
        return FusedIBN(norm, relu, folded=after_conv)
    if isinstance(norm, nn.InstanceNorm2d):
        return FusedInstanceNorm(norm, relu, overwrite=after_conv)
    return ScaleShift(norm, relu)


def _relu_after(name: str, watched: Mapping[str, nn.Module], flow: Dataflow) -> str | None:
    """Return the ReLU that a norm's output goes into, if it is called only there."""
    result = flow.result(name)
    if result is None or _has_tail(watched[name]):
        return None
    reader = result.first_reader()
    if reader is None or not _is_relu(watched[reader]) or flow.calls(reader) != 1:
        return None
    # If the ReLU overwrites it, nothing else sees the norm's own output.
    return reader if watched[reader].inplace else result.only_reader()


def _has_tail(norm: nn.Module) -> bool:
    return any(hasattr(norm, part) for part in TAIL)


def _with_tail(made: nn.Module, old: nn.Module) -> nn.Module:
    """Return the new module, with the layers that the old one applied after normalising (timm)."""
    if not _has_tail(old):
        return made
    tail = {part: getattr(old, part) for part in TAIL if hasattr(old, part)}
    parts = nn.Sequential()
    parts.add_module("norm", made)
    for part, module in tail.items():
        parts.add_module(part, module)
    return parts.eval()


def _apply(edits: list[_Edit], model: nn.Module) -> Callable[[], None]:
    """Put the new modules in place, under all names of the old ones; return an undo function."""
    done: list[tuple[nn.Module, str, nn.Module]] = []
    for edit in edits:
        old = model.get_submodule(edit.name)
        new = edit.make(old).eval()
        for parent in list(model.modules()):
            for child, module in list(parent._modules.items()):
                if module is old:
                    done.append((parent, child, old))
                    setattr(parent, child, new)

    def undo() -> None:
        for parent, child, old in reversed(done):
            setattr(parent, child, old)

    return undo


@contextlib.contextmanager
def _buffers_kept(model: nn.Module) -> Iterator[None]:
    """Undo changes of running statistics by norms in training mode."""
    kept = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        for buffer, value in kept:
            buffer.copy_(value)


def _difference(found: list[Any], expected: list[Any]) -> float:
    """Return the largest difference of any tensor over the largest value of this tensor."""
    differences = [0.0]
    for one, other in zip(tensors(found), tensors(expected), strict=True):
        if one.shape != other.shape:
            return float("inf")
        if other.numel():
            largest = other.double().abs().max().clamp(min=torch.finfo(torch.float32).tiny)
            differences.append(((one.double() - other.double()).abs().max() / largest).item())
    # `max` would pass over a NaN.
    return max(differences) if all(value == value for value in differences) else float("nan")


def _reasons(kept: Mapping[str, str]) -> str:
    """Return the reasons for unchanged norms, each with some names."""
    names: dict[str, list[str]] = {}
    for name, reason in kept.items():
        names.setdefault(reason, []).append(name)
    return ", ".join(f"{some(found)} ({reason})" for reason, found in names.items())
