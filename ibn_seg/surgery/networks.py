"""The residual network inside any model."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ibn_seg.errors import UserError
from ibn_seg.layers.ibn import IBN
from ibn_seg.models.weight_rules import some
from ibn_seg.surgery.rules import LAYOUTS, BlockRule, Layout, rule_of, submodule


@dataclass(frozen=True)
class Block:
    """A residual or dense block: its name in the model, the module, and where its norms are."""

    name: str
    module: nn.Module
    rule: BlockRule


@dataclass(frozen=True)
class Network:
    """A network with the blocks of each stage; `name` is its place in the model, '' for itself."""

    name: str
    module: nn.Module
    layout: Layout
    stages: tuple[tuple[Block, ...], ...]

    @property
    def title(self) -> str:
        """The network's class and place, for messages."""
        title = type(self.module).__name__
        return f"{title} ({self.name})" if self.name else title

    def stem_norm(self) -> tuple[str, nn.Module]:
        """Return the stem's last norm and its name from the model.

        Raises:
            UserError: It is not where such networks have their stem.
        """
        for name in self.layout.stem:
            norm = submodule(self.module, name)
            if norm is not None:
                return join(self.name, name), norm
        raise UserError(
            f"{self.title} has no norm in its stem under {' or '.join(self.layout.stem)}",
            "variant 'b' needs one; use variant 'a'",
        )


def find_network(model: nn.Module) -> Network:
    """Return the only network inside `model` with known blocks.

    Raises:
        UserError: There is no such network, or several, or it already has instance norms.
    """
    for name, module in model.named_modules():
        if isinstance(module, IBN):
            raise UserError(
                f"{type(model).__name__} is an IBN network already: {name or 'it'} is an IBN",
                "convert the network that it was made from",
            )
    found = list(_networks("", model))
    if not found:
        raise _unknown_network(model)
    if len(found) > 1:
        raise UserError(
            f"{type(model).__name__} holds {len(found)} networks:"
            f" {some([network.name for network in found])}",
            "convert them one by one: convert(model.get_submodule(name), inplace=True)",
        )
    _check_untouched(found[0])
    return found[0]


def join(*names: str) -> str:
    """Return the dotted name of its non-empty parts."""
    return ".".join(name for name in names if name)


def _networks(name: str, module: nn.Module) -> Iterator[Network]:
    """Yield the networks at and below `module`, but not those inside another network."""
    for layout in LAYOUTS.values():
        stages = _stages(name, module, layout)
        if stages:
            yield Network(name, module, layout, stages)
            return
    for child_name, child in module.named_children():
        yield from _networks(join(name, child_name), child)


def _stages(name: str, module: nn.Module, layout: Layout) -> tuple[tuple[Block, ...], ...]:
    """Return the blocks of each stage, or nothing if `module` does not have this layout."""
    stages: list[list[tuple[str, nn.Module]]] = []
    for pattern in layout.blocks:
        blocks = _matches(module, pattern)
        if not blocks:
            break
        stages.append(blocks)
    if len(stages) < layout.min_stages:
        return ()
    rules = [[rule_of(block) for _, block in blocks] for blocks in stages]
    if not any(any(row) for row in rules):
        return ()
    for blocks, row in zip(stages, rules, strict=True):
        for (block_name, block), rule in zip(blocks, row, strict=True):
            if rule is None:
                raise UserError(
                    f"{join(name, block_name)} is a {type(block).__name__}, whose first norm is not"
                    " known",
                    "convert a network with blocks of known kinds only",
                )
    return tuple(
        tuple(
            Block(join(name, block_name), block, rule)
            for (block_name, block), rule in zip(blocks, row, strict=True)
        )
        for blocks, row in zip(stages, rules, strict=True)
    )


def _matches(module: nn.Module, pattern: str) -> list[tuple[str, nn.Module]]:
    """Return the modules below `module` that match a pattern of names, in order."""
    found = [("", module)]
    for part in pattern.split("."):
        found = [
            (join(name, child_name), child)
            for name, parent in found
            for child_name, child in parent.named_children()
            if part in ("*", child_name)
        ]
    return found


def _check_untouched(network: Network) -> None:
    """Raise if the network already has instance norms."""
    for name, module in network.module.named_modules():
        if isinstance(module, nn.InstanceNorm2d):
            raise UserError(
                f"{network.title} has instance norms already: {join(network.name, name)}",
                "convert the network that it was made from",
            )


def _unknown_network(model: nn.Module) -> UserError:
    """Return the error that says why there is nothing to convert."""
    title = type(model).__name__
    batch_norms = sum(isinstance(module, _BatchNorm) for module in model.modules())
    leaves = (type(m).__name__ for m in model.modules() if not list(m.children()))
    kinds = sorted({kind for kind in leaves if "Norm" in kind})
    if not batch_norms:
        return UserError(
            f"{title} has no batch norms to split (its norms: {', '.join(kinds) or 'none'})",
            f"only batch norms can become IBN; convertible: {_convertible()}",
        )
    return UserError(
        f"{title} has {batch_norms} batch norms, but no stages of residual or dense blocks of a"
        " known kind",
        f"convertible: {_convertible()}",
    )


def _convertible() -> str:
    return "ResNet and its kin (ResNeXt, SE-ResNet, ResNeSt), HRNet, RegNet, DenseNet"
