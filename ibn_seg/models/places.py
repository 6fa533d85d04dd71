"""Places of a network where layers of a method go, and the layers put there.

The names are those of the papers' descriptions: `input`, `stem.conv` (before the stem's norm),
`pool`, `end(1)` to `end(4)` (the output of a stage), `conv(1)` to `conv(3)` (after that convolution
of every block, before its norm), `conv` (all convolutions of every block, without the shortcut's),
and `block` (the output of every block).
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from torch import nn

from ibn_seg.errors import UserError
from ibn_seg.layers.semantic_stage import SemanticStage
from ibn_seg.layers.style.draws import Draws
from ibn_seg.layers.style.randomiser import Randomiser
from ibn_seg.layers.style.self_norm import SelfNorm
from ibn_seg.models.backbone import Backbone
from ibn_seg.models.resnet import ResNet

EXAMPLES = "input, stem.conv, pool, end(1), conv(1), conv, block"


def modules_at(network: Backbone, place: str) -> list[nn.Module]:
    """Return the modules whose outputs a place means, in the order of execution.

    Args:
        network: A network of the ResNet family.
        place: The name of the place; `input` is no module's output.

    Raises:
        UserError: The network does not have that place.
    """
    match = re.fullmatch(r"(\w+(?:\.conv)?)(?:\((\d)\))?", place)
    kind, number = (match[1], int(match[2] or 0)) if match else (place, 0)
    found: list[nn.Module] = []
    if isinstance(network, ResNet):
        if kind == "stem.conv":
            found = [network.stem[6] if network.deep_stem else network.conv1]
        elif kind == "pool":
            found = [network.maxpool]
        elif kind == "end" and 1 <= number <= len(network.stage_names):
            found = [getattr(network, network.stage_names[number - 1])]
        elif kind == "conv":
            numbers = [number] if number else (1, 2, 3)
            named = [(block, f"conv{which}") for block in network.blocks() for which in numbers]
            found = [getattr(*pair, None) for pair in named if number or hasattr(*pair)]
        elif kind == "block":
            found = list(network.blocks())
    if not found or None in found:
        raise UserError(
            f"a {network.family}-{network.depth} has no place {place!r}",
            f"places of a ResNet: {EXAMPLES}",
        )
    return found


def randomise(
    network: Backbone, places: Iterable[str], build: Callable[[], Randomiser]
) -> list[Randomiser]:
    """Put a layer that randomises features at each place; return the layers in order.

    They have no tensors, so the network's state dict stays the same. All layers of a network share
    its `Draws`. In evaluation mode they do nothing.

    Args:
        network: The network, which is changed.
        places: Names of places; those of inner places mean one layer per block.
        build: Makes one layer.

    Raises:
        UserError: The network lacks a place, or the place is taken.
    """
    targets: list[nn.Module | None] = []
    for place in places:
        _take(network, place)
        targets += [None] if place == "input" else modules_at(network, place)
    order = {module: index for index, module in enumerate(network.modules())}
    # By the order of execution; a convolution comes before the block's later ones.
    targets.sort(key=lambda module: -1 if module is None else order[module])
    first = len(layers_of(network))
    layers = []
    for offset, target in enumerate(targets):
        layer = build()
        layer.draws = draws_of(network)
        layer.number, layer.places, layer.first = first + offset, len(targets), first
        layers.append(layer)
        if target is None:
            network.register_forward_pre_hook(layer.on_input)
        else:
            target.register_forward_hook(layer.on_output)
    if not hasattr(network, "randomisers"):
        network.randomisers = nn.ModuleList()
    network.randomisers.extend(layers)
    return layers


def layers_of(network: nn.Module) -> list[Randomiser]:
    """Return the layers that `randomise` put into a network."""
    return list(getattr(network, "randomisers", ()))


def draws_of(network: nn.Module) -> Draws:
    """Return what gives a network's layers their random numbers; made when first asked for."""
    if not hasattr(network, "draws"):
        network.draws = Draws()
        # Before any layer at the input draws.
        network.register_forward_pre_hook(_begin_pass)
    return network.draws


def _begin_pass(network: nn.Module, inputs: tuple) -> None:
    if network.training:
        network.draws.begin_pass()


def _take(network: Backbone, place: str) -> None:
    """Note that a place has a layer now; raise if it had one."""
    taken = getattr(network, "taken_places", ())
    if place in taken:
        raise UserError(f"two methods change features at {place!r}", "use one of them")
    network.taken_places = (*taken, place)


def add_self_norms(network: Backbone, **settings: Any) -> None:
    """Give the residual of every block a `SelfNorm`, before it is added to the shortcut.

    Args:
        network: A network of the ResNet family, which is changed.
        settings: Arguments of `SelfNorm`.

    Raises:
        UserError: The network has no residual blocks.
    """
    modules_at(network, "block")
    for block in network.blocks():
        channels = getattr(block, block.last_norm).num_features
        block.self_norm = SelfNorm(channels, **settings)


def add_semantic_stages(network: Backbone, places: Iterable[str], **settings: Any) -> None:
    """Put SAN, with SAW's loss if wanted, behind stages.

    Args:
        network: A network of the ResNet family, which is changed.
        places: Names of stages' ends.
        settings: Arguments of `SemanticStage` but for `channels`.

    Raises:
        UserError: The network lacks a place, or it is taken.
    """
    network.semantic = nn.ModuleDict()
    for place in places:
        _take(network, place)
        (target,) = modules_at(network, place)
        channels = channels_of(target)
        stage = SemanticStage(channels, **settings)
        network.semantic[place.replace("(", "").replace(")", "")] = stage
        target.register_forward_hook(stage.on_output)


def channels_of(stage: nn.Sequential) -> int:
    """Return the channels of the output of a stage."""
    convolutions = [m for m in stage[-1].children() if isinstance(m, nn.Conv2d)]
    return convolutions[-1].out_channels
