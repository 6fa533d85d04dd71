"""Builds the BN twin of a network, from the same config with the method BN."""

import copy
from typing import TYPE_CHECKING

from ibn_seg.methods.all_methods import BASELINE, METHODS

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn


def bn_twin(cfg: "Config", network: "nn.Module") -> "tuple[nn.Module, bool]":
    """Return the BN twin of a network, in eval mode, and whether the network is its own twin.

    The twin gets the network's weights where they fit, so that both compute with similar numbers.

    Args:
        cfg: The config that the network was built from.
        network: The network.

    Raises:
        UserError: The config's model has no backbone.
    """
    from mmseg.registry import MODELS

    config = {"model": copy.deepcopy(cfg.model)}
    METHODS[BASELINE].apply(config)
    twin = MODELS.build(config["model"]).to(next(network.parameters()).device).eval()
    own = twin.state_dict()
    fitting = {
        name: value
        for name, value in network.state_dict().items()
        if name in own and value.shape == own[name].shape
    }
    twin.load_state_dict(fitting, strict=False)
    return twin, config["model"] == cfg.model
