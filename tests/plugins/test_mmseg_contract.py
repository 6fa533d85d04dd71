"""What mmseg 1.2.2's own tests ask of its ResNet holds for ours without instance norms.

Source: tests/test_models/test_backbones/test_resnet.py of mmsegmentation, read as a specification.
Its assertions are a `UserError` here.
"""

import pytest
import torch
from mmengine.registry import MODELS
from mmseg.models.backbones import ResNet as Theirs
from torch import nn

from ibn_seg.errors import UserError, WrongTypeError
from ibn_seg.models.weights import load_backbone_weights
from ibn_seg.plugins.mmengine import IBNResNet

SMALL = {"stem_channels": 8, "base_channels": 8}
GROUPS = {"type": "GN", "num_groups": 4}


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (KeyError, {"depth": 20}),
        (KeyError, {"norm_cfg": {"type": "NoNorm"}}),
        (KeyError, {"conv_cfg": {"type": "NoConvolution"}}),
        (KeyError, {"depth": 50, "plugins": [{"cfg": {"type": "No"}, "position": "after_conv3"}]}),
        (TypeError, {"pretrained": 0}),
        (TypeError, {"norm_cfg": "BN"}),
        (TypeError, {"norm_cfg": {"type": "BN", "epsilon": 1}}),
        (TypeError, {"no_argument": 1}),
        (ValueError, {"num_stages": 0}),
        (ValueError, {"num_stages": 2.0}),
        (ValueError, {"num_stages": 5}),
        (ValueError, {"strides": (1,), "dilations": (1, 1), "num_stages": 3}),
        (ValueError, {"style": "tensorflow"}),
    ],
)
def test_wrong_arguments_are_the_kind_of_error_that_mmseg_raises(kind, settings):
    with pytest.raises(kind) as caught:
        IBNResNet(**{"depth": 18, **SMALL, **settings})
    assert isinstance(caught.value, UserError)
    assert str(caught.value) == caught.value.line


@pytest.mark.parametrize(
    ("norm_cfg", "message"),
    [
        ({"type": "GN"}, "num_groups is missing"),
        ({"type": "GN", "num_groups": 0}, "num_groups=0 is no number of groups"),
        ({"type": "GN", "num_groups": -4}, "num_groups=-4 is no number of groups"),
        ({"type": "GN", "num_groups": "8"}, "num_groups='8' is no number of groups"),
        ({"type": "GN", "num_groups": 16}, "num_groups=16 does not divide 8 channels"),
        ({"type": "LN"}, "'LN'} cannot be built and run: Given normalized_shape"),
        ({"type": "BN1d"}, "'BN1d'} cannot be built and run: expected 2D or 3D input"),
        ({"type": "BN", "requires_grad": "no"}, "requires_grad must be a bool"),
    ],
)
def test_norms_that_fit_no_maps_are_one_line(norm_cfg, message):
    with pytest.raises(UserError) as caught:
        IBNResNet(18, norm_cfg=norm_cfg, **SMALL)
    assert message in caught.value.line


class Scale(nn.Module):
    """A norm of one's own; `eps` is what mmcv gives to every norm."""

    def __init__(self, channels, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(channels))

    def forward(self, x):
        return x * self.weight.view(1, -1, 1, 1)


class Strange(Scale):
    """A norm with another signature."""

    def __init__(self, channels, height):
        super().__init__(channels)


def test_a_registered_norm_of_ones_own(monkeypatch):
    monkeypatch.setitem(MODELS.module_dict, "Scale", Scale)
    monkeypatch.setitem(MODELS.module_dict, "Strange", Strange)
    torch.manual_seed(0)
    ours = IBNResNet(18, norm_cfg={"type": "Scale"}, **SMALL)
    torch.manual_seed(0)
    theirs = Theirs(18, norm_cfg={"type": "Scale"}, **SMALL)
    assert torch.equal(ours.bn1.weight, getattr(theirs, theirs.norm1_name).weight)
    with pytest.raises(WrongTypeError, match=r"Strange'} cannot be built and run: .*'eps'"):
        IBNResNet(18, norm_cfg={"type": "Strange"}, **SMALL)


def test_norms_have_mmsegs_names_too():
    network = IBNResNet(50, frozen_stages=1, **SMALL).train()
    assert network.norm1 is network.bn1
    assert not network.norm1.training
    block = network.layer1[0]
    assert [block.norm1, block.norm2, block.norm3] == [block.bn1, block.bn2, block.bn3]
    assert not hasattr(IBNResNet(18, **SMALL).layer1[0], "norm3")
    assert not hasattr(IBNResNet(18, deep_stem=True, **SMALL), "norm1")


def test_weights_of_group_norms_load_key_for_key(tmp_path):
    theirs = Theirs(18, norm_cfg=GROUPS, **SMALL)
    file = tmp_path / "groups.pth"
    torch.save({"state_dict": theirs.state_dict()}, file)
    ours = IBNResNet(18, norm_cfg=GROUPS, **SMALL)
    assert str(load_backbone_weights(ours, file)).startswith("loaded key for key")
    for a, b in zip(theirs.state_dict().values(), ours.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    for ibn in (None, "a"):
        with pytest.raises(UserError, match="its norms have no running statistics"):
            load_backbone_weights(IBNResNet(18, ibn=ibn, **SMALL), file)
