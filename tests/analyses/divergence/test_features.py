"""The layers whose features are compared: the same for all variants, and what they return."""

import numpy as np
import pytest
import torch
from torch import nn

from ibn_seg.analyses.divergence.features import DepthFeatures
from ibn_seg.errors import UserError
from ibn_seg.models.densenet import DenseNet
from ibn_seg.models.resnet import ResNet

IMAGES = torch.rand(3, 3, 64, 96, generator=torch.manual_seed(0))


@pytest.fixture(scope="module")
def features():
    """By variant what a ResNet-18 gives."""
    return {
        ibn: DepthFeatures(ResNet(18, base_channels=8, ibn=ibn, deep_stem=ibn == "b").eval())(
            IMAGES
        )
        for ibn in (None, "a", "b")
    }


def test_all_variants_have_the_same_layers_in_order_of_depth(features):
    blocks = [f"layer{stage}.{block}" for stage in (1, 2, 3, 4) for block in (0, 1)]
    for found in features.values():
        assert list(found) == ["stem", *blocks]
        assert [found[name].shape for name in ("stem", "layer4.1")] == [(3, 64), (3, 64)]
        assert all(values.dtype == np.float64 for values in found.values())


def test_values_are_the_spatial_means_of_what_the_network_computes():
    network = ResNet(18, base_channels=8, ibn="b").eval()
    found = DepthFeatures(network)(IMAGES)
    with torch.no_grad():
        stem = network.run_stem(IMAGES)
        stages = network(IMAGES)
    np.testing.assert_allclose(found["stem"], stem.mean((2, 3)).numpy(), rtol=1e-5, atol=1e-6)
    for stage, expected in enumerate(stages, start=1):
        mean = expected.mean((2, 3)).numpy()
        np.testing.assert_allclose(found[f"layer{stage}.1"], mean, rtol=1e-5, atol=1e-6)
    assert not any(module._forward_hooks for module in network.modules())


def test_batches_change_the_values_by_rounding_only():
    features = DepthFeatures(ResNet(18, base_channels=8, ibn="a").eval())
    whole = features(IMAGES)
    parts = [features(IMAGES[k : k + 1]) for k in range(3)]
    for name, values in whole.items():
        single = np.concatenate([part[name] for part in parts])
        np.testing.assert_allclose(single, values, rtol=1e-4, atol=1e-5)


def test_dense_networks_have_layers_and_transitions():
    found = DepthFeatures(DenseNet(121, ibn="a").eval())(IMAGES[:1])
    names = list(found)
    assert names[:2] == ["stem", "denseblock1.1"]
    assert names[7:9] == ["transition1", "denseblock2.1"]
    assert names[-1] == "norm5"
    assert len(names) == 1 + 6 + 12 + 24 + 16 + 4
    assert found["transition1"].shape == (1, 128)
    assert found["denseblock1.1"].shape == (1, 32)


class Stages(nn.Module):
    def __init__(self, flat: bool = False) -> None:
        super().__init__()
        self.flat = flat

    def forward(self, x: torch.Tensor) -> list:
        return [x.mean((2, 3))] if self.flat else [x, 2 * x[..., ::2, ::2]]


def test_other_backbones_give_their_stages():
    found = DepthFeatures(Stages())(IMAGES)
    assert list(found) == ["stage1", "stage2"]
    np.testing.assert_allclose(found["stage1"], IMAGES.double().mean((2, 3)).numpy(), rtol=1e-12)
    with pytest.raises(UserError, match="backbone Stages returns no feature maps"):
        DepthFeatures(Stages(flat=True))(IMAGES)
