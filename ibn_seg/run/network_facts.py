"""What a result records of its network: where its weights come from, and what was trained."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ibn_seg.foundation.small_checkpoint import tuned_part
from ibn_seg.pretraining import pretraining_of

if TYPE_CHECKING:
    from torch import nn


def network_facts(network: "nn.Module", config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a network for a result file.

    Args:
        network: The segmentor.
        config: The config it was built from.

    Returns:
        `pretraining`: the data of its first weights, 'none' without. `parameters` and
        `trained_parameters`: their numbers. For a network of timm `tuning` too, and `licence` of
        timm's weights, '' where timm gives none.
    """
    found = tuned_part(network)
    part = found[1] if found else None
    facts: dict[str, Any] = {
        "pretraining": pretraining_of(config, part.tag if part else None),
        "parameters": sum(one.numel() for one in network.parameters()),
        "trained_parameters": sum(one.numel() for one in network.parameters() if one.requires_grad),
    }
    if part is not None:
        licence = part.licence if part.pretrained is True else ""
        facts |= {"tuning": part.tuning.mode, "licence": licence}
    return facts
