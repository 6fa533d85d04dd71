"""Named models."""

import pytest
import torch

from ibn_seg.errors import UserError
from ibn_seg.layers import IBN
from ibn_seg.models import create_model, list_models
from ibn_seg.models.specs import MODELS


def test_names():
    families = {
        "resnet": ((18, 34, 50, 101, 152), ("", "_ibn_a", "_ibn_b")),
        "resnext": ((50, 101, 152), ("", "_ibn_a")),
        "se_resnet": ((50, 101, 152), ("", "_ibn_a")),
        "densenet": ((121, 161, 169, 201), ("", "_ibn_a")),
        "mx_resnet": ((18, 34), ("",)),
        "mx_resnet ": ((50, 101, 152), ("_ibn_a",)),
        "mx_resnext": ((18, 34), ("",)),
        "mx_resnext ": ((50, 101, 152), ("_ibn_a", "_ibn_b")),
        "mx_resnext_wd": ((50, 101, 152), ("_ibn_a",)),
    }
    assert list_models() == [
        f"{family.strip()}{depth}{variant}"
        for family, (depths, variants) in families.items()
        for depth in depths
        for variant in variants
    ]
    assert set(list_models(pretrained=True)) == {n for n, spec in MODELS.items() if spec.sha256}


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_what_its_spec_says(name):
    spec = MODELS[name]
    with torch.device("meta"):
        model = create_model(name)
    assert sum(p.numel() for p in model.parameters()) == spec.parameters
    assert multiply_adds(model) / 1e9 == pytest.approx(spec.gflops, abs=0.001)
    assert model.depth == spec.depth
    assert spec.name == name
    assert spec.title.startswith(f"{model.family}-{spec.depth}")
    assert (spec.top1_error is None) == (spec.top5_error is None)


@pytest.mark.parametrize("name", ["resnet50_ibn_a", "se_resnet50_ibn_a", "densenet121_ibn_a"])
def test_the_ratio_is_an_option(name):
    with torch.device("meta"):
        model = create_model(name, ibn_ratio=0.25)
    shares = {
        norm.IN.num_features / norm.channels for norm in model.modules() if isinstance(norm, IBN)
    }
    assert all(0.25 <= share < 0.26 for share in shares)
    with pytest.raises(UserError, match="no norm is split"):
        create_model(name.removesuffix("_ibn_a"), ibn_ratio=0.25)


def multiply_adds(model):
    """Count those of the convolutions and linear layers, for one image of 224 x 224."""
    counts = []

    def count(layer, inputs, output):
        positions = output.numel() // output.shape[1]
        counts.append(positions * layer.weight.numel())

    for layer in model.modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
            layer.register_forward_hook(count)
    model.eval()(torch.empty(1, 3, 224, 224, device="meta"))
    return sum(counts)


# Of these families, no other depth has other parts.
SHALLOW = [name for name, spec in MODELS.items() if spec.depth <= 50 or "mx_" not in name]


@pytest.mark.parametrize("name", SHALLOW)
def test_any_size_and_declared_features(name):
    """On no device: shapes only."""
    with torch.device("meta"):
        model = create_model(name, features_only=True, output_stride=16, out_indices=(1, 3))
    features = model.eval()(torch.empty(1, 3, 96, 160, device="meta"))
    assert [tuple(f.shape[1:]) for f in features] == [
        (info.channels, 96 // info.stride, 160 // info.stride) for info in model.feature_info
    ]
    assert [info.stride for info in model.feature_info] == [8, 16]
    assert all(model.get_submodule(info.module) for info in model.feature_info)


@pytest.mark.parametrize("name", ["resnext50_ibn_a", "se_resnet50_ibn_a", "densenet121_ibn_a"])
def test_every_parameter_learns(name):
    model = create_model(name, num_classes=3)
    for norm in (m for m in model.modules() if hasattr(m, "weight") and m.weight.dim() == 1):
        torch.nn.init.ones_(norm.weight)
    model(torch.randn(2, 3, 64, 64)).square().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize(("stride", "side"), [(32, 2), (16, 4), (8, 8)])
def test_features_at_an_output_stride(stride, side):
    options = {"stem_channels": 8, "base_channels": 4}
    model = create_model("resnet18_ibn_b", features_only=True, output_stride=stride, **options)
    features = model.eval()(torch.randn(1, 3, 64, 64))
    assert len(features) == 4
    assert features[-1].shape == (1, 32, side, side)


def test_classifier():
    logits = create_model("resnet18_ibn_a", num_classes=7)(torch.randn(2, 3, 64, 64))
    assert logits.shape == (2, 7)


@pytest.mark.parametrize("depth", [18, 50])
def test_batch_norm_network_equals_torchvisions(depth):
    models = pytest.importorskip("torchvision.models")
    theirs = getattr(models, f"resnet{depth}")().eval()
    ours = create_model(f"resnet{depth}").eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(image), theirs(image))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet50_ibna"}, "unknown model 'resnet50_ibna': did you mean 'resnet50_ibn_a'"),
        ({"name": "resnet18", "output_stride": 4}, "unknown output stride 4: .*32, 16, 8"),
        ({"name": "resnet18", "out_indices": (1,)}, "is given for a classifier"),
        ({"name": "densenet121", "ibn": "b", "features_only": True}, "DenseNet has none"),
        ({"name": "resnet18", "output_stride": 8, "strides": (1, 2, 1, 1)}, "one or the other"),
    ],
)
def test_wrong_arguments_are_one_line(arguments, message):
    with pytest.raises(UserError, match=message):
        create_model(**arguments)
