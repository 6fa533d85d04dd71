"""What `convert` refuses, each in one line with the reason, and with nothing changed."""

import copy
import math

import pytest
import torch
from torch import nn

import ibn_seg
from ibn_seg.errors import UserError
from ibn_seg.models import create_model
from tests.surgery import libraries


def check_same(first, second):
    assert list(first) == list(second)
    assert all(torch.equal(first[key], second[key]) for key in first)


def frozen():
    ops = pytest.importorskip("torchvision.ops")
    model = libraries.torchvision("resnet18", norm_layer=ops.FrozenBatchNorm2d)
    model.fc = nn.Sequential(nn.Linear(512, 4), nn.BatchNorm1d(4))
    return model


def with_unknown_block():
    model = libraries.torchvision("resnet18")
    model.layer2[1] = nn.Sequential(nn.Conv2d(128, 128, 3), nn.BatchNorm2d(128))
    return model


def parametrised():
    model = libraries.torchvision("resnet18")
    nn.utils.parametrize.register_parametrization(model.layer3[0].bn1, "weight", nn.Softplus())
    return model


REFUSED = {
    "ViT": (
        lambda: libraries.torchvision(
            "vit_b_16", num_classes=2, image_size=32), r"no batch norms .*LayerNorm\)"),
    "ConvNeXt": (
        lambda: libraries.torchvision("convnext_tiny"), "ConvNeXt has no batch norms"),
    "VGG": (lambda: libraries.torchvision("vgg11_bn"), "VGG has 8 batch norms, but no stages"),
    "MobileNet": (lambda: libraries.torchvision("mobilenet_v2"), "but no stages of residual"),
    "pre-activation": (lambda: libraries.timm("resnetv2_50"), "but no stages of residual"),
    "IBN-a": (
        lambda: ibn_seg.convert(libraries.torchvision("resnet18")).model,
        "an IBN network already: layer1.0.bn1"),
    "IBN-b": (
        lambda: ibn_seg.convert(libraries.torchvision("resnet18"), "b").model,
        "instance norms already: bn1"),
    "our IBN-a": (lambda: create_model("resnet18_ibn_a"), "an IBN network already: layer1.0.bn1"),
    "our IBN-b": (lambda: create_model("resnet18_ibn_b"), "instance norms already: bn1"),
    "frozen norms": (
        frozen, r"layer1.0.bn1 is a FrozenBatchNorm2d, not a batch norm"),
    "group norms": (
        lambda: libraries.torchvision("resnet18", norm_layer=lambda n: nn.GroupNorm(8, n)),
        "layer1.0.bn1 is a GroupNorm, not a batch norm"),
    "lazy norms": (
        lambda: libraries.torchvision("resnet18", norm_layer=lambda n: nn.LazyBatchNorm2d()),
        "without channels yet"),
    "two networks": (
        lambda: nn.ModuleDict({"rgb": libraries.torchvision("resnet18"),
                               "depth": libraries.torchvision("resnet18")}),
        "holds 2 networks: rgb, depth"),
    "no network": (nn.ReLU, r"its norms: none"),
    "no module": (lambda: "resnet50", "a str cannot be converted"),
    "unknown block": (with_unknown_block, r"layer2.1 is a Sequential, whose first norm"),
    "parametrised": (parametrised, "parts that a plain batch norm .*parametrizations"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_converted_is_refused_in_one_line(name):
    build, reason = REFUSED[name]
    model = build()
    modules = dict(model.named_modules()) if isinstance(model, nn.Module) else {}
    with pytest.raises(UserError, match=reason) as caught:
        ibn_seg.convert(model, inplace=True)
    assert "\n" not in str(caught.value)
    if modules:
        now = dict(model.named_modules())
        assert now.keys() == modules.keys()
        assert all(now[name] is modules[name] for name in now)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"variant": "c"}, "unknown ibn variant 'c'.*allowed: a, b"),
        ({"variant": None}, "unknown ibn variant None"),
        ({"variant": ["a"]}, "unknown ibn variant"),
        ({"ratio": 0}, "ratio 0 is out of range"),
        ({"ratio": 1.0}, "ratio 1.0 is out of range"),
        ({"ratio": math.nan}, "ratio nan is out of range"),
        ({"ratio": "half"}, "ratio 'half' is out of range"),
        ({"ratio": True}, "ratio True is out of range"),
        ({"ratio": 0.001}, "layer1.0.bn1: IBN ratio 0.001 leaves no channel"),
        ({"ratio": 0.5, "variant": "b"}, "ratio=0.5 is given for variant 'b'"),
        ({"stages": (0, 1)}, r"stages=\(0, 1\) are not stages of ResNet: .*1, 2, 3, 4"),
        ({"stages": [5]}, r"stages=\[5\] are not stages"),
        ({"stages": []}, r"stages=\[\] are not stages"),
        ({"stages": 3}, "stages=3 are not stages"),
        ({"stages": "123"}, "stages='123' are not stages"),
        ({"stages": [True]}, r"stages=\[True\] are not stages"),
        ({"stages": ["a", "a", None, None]}, "are not stages"),
    ],
)
def test_wrong_arguments_are_refused_and_change_nothing(arguments, message):
    model = libraries.torchvision("resnet18")
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(UserError, match=message) as caught:
        ibn_seg.convert(model, inplace=True, **arguments)
    assert "\n" not in str(caught.value)
    check_same(model.state_dict(), before)
