"""What a result records of its network."""

import pytest
import torch
from torch import nn

from ibn_seg.config import load_config
from ibn_seg.run.network_facts import network_facts
from ibn_seg.run.setup import for_testing
from tests.foundation.made import tiny as made_network

INIT = {"type": "Pretrained", "checkpoint": "ibn://resnet18_ibn_a"}


def test_a_tuned_network_of_timm():
    pytest.importorskip("timm")
    segmentor = nn.Module()
    segmentor.backbone = made_network("dinov2", tuning="lora", pretrained=True)
    segmentor.decode_head = nn.Linear(32, 3)
    backbone = {"type": "TimmBackbone", "model": segmentor.backbone.model, "pretrained": True}
    facts = network_facts(segmentor, {"model": {"backbone": backbone}})
    assert facts["pretraining"] == "LVD-142M"  # of the tag that timm takes for the bare name
    assert (facts["licence"], facts["tuning"]) == ("apache-2.0", "lora")
    trained = [one for one in segmentor.parameters() if one.requires_grad]
    assert facts["trained_parameters"] == sum(one.numel() for one in trained)
    assert facts["parameters"] > facts["trained_parameters"] > 0


def test_another_network_has_no_tuning():
    with torch.device("meta"):
        network = nn.Conv2d(3, 4, 3)
    facts = network_facts(network, {"model": {"backbone": {"type": "IBNResNet"}}})
    assert facts == {"pretraining": "none", "parameters": 112, "trained_parameters": 112}


@pytest.mark.parametrize(
    ("options", "began"),
    [
        ({}, "none"),
        ({"model.pretrained": "torchvision://resnet18"}, "ImageNet-1k"),
        ({"model.backbone.init_cfg": INIT}, "ImageNet-1k"),
        ({"load_from": "x/theirs.pth"}, "weights of theirs.pth"),
        ({"load_from": "x.pth", "experiment.pretraining": "my set"}, "my set"),
    ],
)
def test_a_test_knows_what_its_network_began_from(tiny, options, began):
    """It loads no weights but the checkpoint's, and its result said 'none'."""
    config = load_config(tiny, options)
    for_testing(config)
    assert not config.load_from
    assert not config.model.pretrained
    assert network_facts(nn.Conv2d(3, 4, 3), config)["pretraining"] == began
