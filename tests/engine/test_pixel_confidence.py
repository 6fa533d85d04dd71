"""The confidence of pixels: levels of softmax's largest probability, in bounded memory."""

import numpy as np
import pytest
import torch

from ibn_seg.engine import pixel_confidence
from ibn_seg.engine.pixel_confidence import check_gives_logits, confidence_levels
from ibn_seg.errors import UserError
from tests.trust.made_pixels import levels, softmax


@pytest.mark.parametrize("block", [1, 100, 1 << 21])
@pytest.mark.parametrize("kind", [torch.float32, torch.float16])
def test_levels_are_those_of_the_largest_probability(block, kind, monkeypatch):
    monkeypatch.setattr(pixel_confidence, "_BLOCK", block)
    logits = (6 * torch.randn(19, 13, 17, generator=torch.Generator().manual_seed(0))).to(kind)
    expected = levels(softmax(logits.double().permute(1, 2, 0).numpy()).max(-1))
    found = confidence_levels(logits)
    assert found.dtype == np.uint16
    assert np.array_equal(found, expected)
    assert found.max() == 65535


def test_each_predicted_class_has_its_temperature(monkeypatch):
    monkeypatch.setattr(pixel_confidence, "_BLOCK", 100)
    logits = 6 * torch.randn(5, 13, 17, generator=torch.Generator().manual_seed(0)).double()
    values = [0.5, 1.0, 2.0, 4.0, 8.0]
    scaled = logits / torch.tensor(values).double()[logits.argmax(0)]
    expected = levels(softmax(scaled.permute(1, 2, 0).numpy()).max(-1))
    assert np.array_equal(confidence_levels(logits, values), expected)
    with pytest.raises(UserError, match="for 2 classes, the network gives 5"):
        confidence_levels(logits, values[:2])


def test_one_channel_is_the_probability_of_the_second_class():
    found = confidence_levels(torch.tensor([[[0.25, 0.5, 0.875]]]))
    assert found.tolist() == [[49152, 32768, 57344]]


def test_nan_is_refused():
    logits = torch.zeros(3, 4, 5)
    logits[1, 3, 2] = float("nan")
    with pytest.raises(UserError, match="an output of the network is NaN or infinite"):
        confidence_levels(logits)


def test_networks_without_logits_are_refused():
    network = torch.nn.Module()
    network.decode_head = torch.nn.Linear(1, 1)
    with pytest.raises(UserError, match="the outputs of Linear are not logits"):
        check_gives_logits(network)
