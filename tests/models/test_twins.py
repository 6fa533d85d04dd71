"""Checkpoints of batch-norm twins beyond ResNet, from the libraries that publish them."""

import re

import pytest
import torch

from ibn_seg.errors import UserError
from ibn_seg.layers import IBN
from ibn_seg.models import create_model
from ibn_seg.models.weights import adapt_state_dict

TWINS = {
    "resnext50": "resnext50_32x4d",
    "densenet121": "densenet121",
}


def filled(model):
    """Give every tensor of a model values of its own."""
    generator = torch.Generator().manual_seed(0)
    for value in model.state_dict().values():
        if value.is_floating_point():
            low, high = (0.5, 1.5) if value.dim() == 1 else (-0.05, 0.05)
            value.copy_(torch.rand(value.shape, generator=generator) * (high - low) + low)

    return model.eval()


@pytest.mark.parametrize("name", TWINS)
def test_torchvisions_networks_are_ours_without_instance_norms(name):
    models = pytest.importorskip("torchvision.models")
    theirs = filled(getattr(models, TWINS[name])())
    ours = create_model(name).eval()
    adapted, report = adapt_state_dict(ours, theirs.state_dict())
    assert str(report) == "loaded key for key: nothing split, added or dropped"
    ours.load_state_dict(adapted, strict=True)
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(ours(image), theirs(image))


@pytest.mark.parametrize("name", TWINS)
def test_torchvisions_weights_are_split(name):
    models = pytest.importorskip("torchvision.models")
    given = filled(getattr(models, TWINS[name])()).state_dict()
    ours = create_model(f"{name}_ibn_a", features_only=True)
    adapted, report = adapt_state_dict(ours, given)
    norms = {key: module for key, module in ours.named_modules() if isinstance(module, IBN)}
    assert set(report.split) == set(norms)
    assert len(report.dropped) == 1  # the classifier
    for key, norm in norms.items():
        parts = {"IN": adapted[f"{key}.IN.bias"], "BN": adapted[f"{key}.BN.bias"]}
        order = ("IN", "BN") if norm.instance_first else ("BN", "IN")
        assert torch.equal(torch.cat([parts[part] for part in order]), given[f"{key}.bias"])
        start = 0 if order[0] == "BN" else norm.split[0]
        expected = given[f"{key}.running_var"][start : start + len(parts["BN"])]
        assert torch.equal(adapted[f"{key}.BN.running_var"], expected)


def test_densenets_older_names():
    """torchvision's files say `norm.1` where its networks say `norm1`."""
    ours = create_model("densenet121")
    state = ours.state_dict()
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", k): v for k, v in state.items()}
    assert old.keys() != state.keys()
    adapted, _ = adapt_state_dict(ours, old)
    assert all(torch.equal(adapted[key], state[key]) for key in state)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("densenet121", "densenet169", r"blocks of \[6, 12, 32, 32\] layers, depth 121 has"),
        ("densenet121", "resnet18", "holds no DenseNet backbone"),
        ("resnet50", "densenet121", "holds no ResNet backbone"),
        ("resnext50", "resnet50", r"first stage have the shape \[64, 64, 3, 3\]"),
        ("resnet50", "resnext50", "use weights of the same family, groups and width"),
        ("se_resnet50", "resnet50", "SE-ResNet's are the networks with keys '.se.'"),
        ("resnet50", "se_resnet50", "SE-ResNet's are the networks with keys '.se.'"),
        ("resnext101", "resnext50", "looks like ResNeXt-50, the config asks for depth 101"),
    ],
)
def test_another_network_is_named(name, given, message):
    with pytest.raises(UserError, match=message):
        adapt_state_dict(create_model(name), create_model(given).state_dict())
