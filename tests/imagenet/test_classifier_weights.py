"""Checkpoints in the wrappings that exist, to test with and to start from."""

import pytest
import torch

pytest.importorskip("mmengine")

from ibn_seg.errors import UserError
from ibn_seg.imagenet.classifier import ImageClassifier
from ibn_seg.imagenet.classifier_weights import count_classes, load_exactly, start_from
from ibn_seg.models import create_model

NAME = "resnet18_ibn_a"


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(5)
    return create_model(NAME, num_classes=7).state_dict()


def wrapped(kind, weights):
    """Return weights as the authors, torchvision, timm, mmengine or nobody wraps them."""
    return {
        "bare": weights,
        "authors": {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in weights.items()}},
        "bare with module.": {f"module.{k}": v for k, v in weights.items()},
        "model": {"model": weights},
        "ours": {"meta": {}, "state_dict": {f"backbone.{k}": v for k, v in weights.items()}},
    }[kind]


@pytest.mark.parametrize("kind", ["bare", "authors", "bare with module.", "model", "ours"])
def test_wrappings(kind, weights):
    checkpoint = wrapped(kind, weights)
    assert count_classes(NAME, checkpoint, "a.pth") == 7
    network = create_model(NAME, num_classes=7)
    load_exactly(network, checkpoint, "a.pth")
    for key, value in network.state_dict().items():
        assert torch.equal(value, weights[key]), key


def test_densenets_classifier_has_another_name():
    network = create_model("densenet121", num_classes=3)
    assert count_classes("densenet121", network.state_dict(), "a.pth") == 3


def test_what_would_be_tested_with_other_weights_than_trained_is_refused(weights):
    """A batch-norm network's weights can start a training; tested, they would measure nothing."""
    twin = create_model("resnet18", num_classes=7).state_dict()
    with pytest.raises(UserError, match=r"a.pth: has no instance norms where .*--init"):
        load_exactly(create_model(NAME, num_classes=7), twin, "a.pth")
    with pytest.raises(UserError, match=r"a.pth: the checkpoint looks like ResNet-18"):
        load_exactly(create_model("resnet34_ibn_a", num_classes=7), weights, "a.pth")
    headless = {key: value for key, value in weights.items() if not key.startswith("fc.")}
    with pytest.raises(UserError, match=r"a.pth: has no classifier \(fc.weight\)"):
        count_classes(NAME, headless, "a.pth")
    cut = {key: value for key, value in weights.items() if key != "layer1.0.conv1.weight"}
    with pytest.raises(UserError, match=r"a.pth: .*missing: layer1.0.conv1.weight"):
        load_exactly(create_model(NAME, num_classes=7), cut, "a.pth")


def test_starting_from_the_twin_and_from_other_classes(weights, tmp_path):
    twin = create_model("resnet18", num_classes=4)
    torch.save(twin.state_dict(), tmp_path / "twin.pth")
    network = create_model(NAME, num_classes=7)
    before = network.fc.weight.clone()
    report = start_from(network, tmp_path / "twin.pth")
    assert len(report.split) == 6
    assert torch.equal(network.fc.weight, before)
    assert torch.equal(network.layer4[1].conv2.weight, twin.layer4[1].conv2.weight)
    assert ImageClassifier(NAME, 7, init=str(tmp_path / "twin.pth")).load_report == report
    torch.save(weights, tmp_path / "same.pth")
    start_from(network, tmp_path / "same.pth")
    assert torch.equal(network.fc.weight, weights["fc.weight"])
