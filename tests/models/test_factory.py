"""Named models."""

import pytest
import torch

from ibn_seg.errors import UserError
from ibn_seg.models import create_model, list_models
from ibn_seg.models.specs import MODELS


def test_names():
    assert list_models() == [
        f"resnet{depth}{variant}"
        for depth in (18, 34, 50, 101, 152)
        for variant in ("", "_ibn_a", "_ibn_b")
    ]


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_what_its_spec_says(name):
    spec = MODELS[name]
    with torch.device("meta"):
        model = create_model(name)
    assert sum(p.numel() for p in model.parameters()) == spec.parameters
    assert model.depth == spec.depth
    assert spec.name == name
    assert spec.title.startswith(f"ResNet-{spec.depth}")


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
        ({"name": "resnet18", "output_stride": 8, "strides": (1, 2, 1, 1)}, "one or the other"),
    ],
)
def test_wrong_arguments_are_one_line(arguments, message):
    with pytest.raises(UserError, match=message):
        create_model(**arguments)
