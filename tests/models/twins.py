"""Weights of small batch-norm networks."""

import torch

from ibn_seg.models import ResNet

SMALL = {"stem_channels": 8, "base_channels": 4}


def twin(depth=18, seed=0, **settings):
    """Return the state dict of a batch-norm network, every tensor different."""
    network = ResNet(depth, **SMALL, **settings)
    generator = torch.Generator().manual_seed(seed)
    return {
        key: torch.rand(value.shape, generator=generator)
        if value.is_floating_point()
        else torch.tensor(100 + place)
        for place, (key, value) in enumerate(network.state_dict().items())
    }
