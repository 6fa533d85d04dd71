"""Whether the heads of a segmentor get the feature maps that they ask for."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from ibn_seg.errors import UserError
from ibn_seg.foundation.tuned_network import TunedNetwork


def check_maps(segmentor: nn.Module) -> None:
    """Raise unless a `TimmBackbone` gives the maps that the heads read.

    Segmentors with another backbone or with a neck are skipped.

    Args:
        segmentor: A segmentor of mmseg.

    Raises:
        UserError: A head reads a map that is not there, or one of other channels.
    """
    backbone = getattr(segmentor, "backbone", None)
    if not isinstance(backbone, TunedNetwork) or getattr(segmentor, "neck", None) is not None:
        return
    channels = backbone.feature_channels
    for name, head in _heads(segmentor):
        for index, wanted in _inputs(head):
            if not -len(channels) <= index < len(channels):
                raise UserError(
                    f"model.{name}.in_index names map {index}, and {backbone.model} gives"
                    f" {len(channels)}",
                    "give four out_indices in the backbone, or another head",
                )
            if wanted is not None and wanted != channels[index]:
                raise UserError(
                    f"model.{name}.in_channels has {wanted} for map {index}, and {backbone.model}"
                    f" gives {channels[index]}",
                    f"the maps have {'/'.join(map(str, channels))} channels",
                )


def _heads(segmentor: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name in ("decode_head", "auxiliary_head"):
        head = getattr(segmentor, name, None)
        if isinstance(head, nn.ModuleList):
            yield from ((f"{name}[{index}]", part) for index, part in enumerate(head))
        elif head is not None:
            yield name, head


def _inputs(head: nn.Module) -> Iterator[tuple[int, Any]]:
    """Yield the number and the channels of each map that a head reads."""
    index, channels = getattr(head, "in_index", None), getattr(head, "in_channels", None)
    if isinstance(index, int):
        yield index, channels
    elif index is not None and getattr(head, "input_transform", None) == "multiple_select":
        yield from zip(index, channels, strict=True)
    elif index is not None:  # joined maps; their channels are added up
        yield from ((each, None) for each in index)
