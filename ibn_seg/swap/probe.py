"""Finds the output shapes of a network without computing, on PyTorch's meta device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ibn_seg.errors import UserError
from ibn_seg.swap.hosts import build, first_line

if TYPE_CHECKING:
    from mmengine.registry import Registry

_SIZE = 256
# These layers change no shape, and may need operators that are not compiled here.
_NO_SHAPE = ("dcn", "stage_with_dcn", "plugins", "pretrained", "init_cfg", "with_cp")


@dataclass(frozen=True)
class Probe:
    """A backbone without data, and its outputs.

    Attributes:
        module: The network on the meta device.
        channels: Channels of each feature map.
        strides: Image size divided by the size of each feature map.
        maps: The feature maps, without data.
    """

    module: nn.Module
    channels: tuple[int, ...]
    strides: tuple[float, ...]
    maps: tuple[torch.Tensor, ...]


def probe_backbone(registry: "Registry", settings: Mapping[str, Any]) -> Probe:
    """Build a backbone on the meta device and put an image through it.

    Raises:
        UserError: The backbone cannot be built, or does not run.
    """
    settings = {name: value for name, value in settings.items() if name not in _NO_SHAPE}
    module = _build(registry, settings)
    image = torch.empty(1, settings.get("in_channels", 3), _SIZE, _SIZE, device="meta")
    maps = _run(module, image, settings["type"])
    return Probe(
        module,
        tuple(feature.shape[1] for feature in maps),
        tuple(_SIZE / feature.shape[-1] for feature in maps),
        maps,
    )


def probe_necks(
    registry: "Registry", necks: Sequence[Mapping[str, Any]], maps: Sequence[torch.Tensor]
) -> tuple[int, ...]:
    """Return the channels of each map after the necks, applied one after another.

    Raises:
        UserError: A neck cannot be built, or does not take these maps.
    """
    maps = tuple(maps)
    for neck in necks:
        module = _build(registry, neck)
        maps = _run(module, maps, neck.get("type"))
    return tuple(feature.shape[1] for feature in maps)


def _build(registry: "Registry", settings: Mapping[str, Any]) -> nn.Module:
    try:
        with torch.device("meta"):
            return build(registry, settings)
    except UserError:  # some constructors compute with tensors, which then need data
        return build(registry, settings).to("meta")


def _run(module: nn.Module, inputs: Any, kind: object) -> tuple[torch.Tensor, ...]:
    module.eval()
    try:
        with torch.no_grad():
            outputs = module(inputs)
    except Exception as error:  # other projects' networks raise anything
        raise UserError(f"{kind} does not run ({first_line(error)})") from error
    return (outputs,) if isinstance(outputs, torch.Tensor) else tuple(outputs)
