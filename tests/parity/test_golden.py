"""Every network of the reference against figures measured on it."""

import pytest
from torch import nn

from ibn_seg.models import create_model
from ibn_seg.models.specs import MODELS
from tests.parity.golden import GOLDEN, TOLERANCE, compare


@pytest.mark.parametrize("name", GOLDEN)
def test_model_equals_the_reference(name):
    found = compare(name)
    assert found.keys
    assert found.parameters
    for mode, (logits, norm) in found.outputs.items():
        assert logits <= found.allowed, mode
        assert norm <= TOLERANCE, mode
    # Rounding excuses train mode alone, and no more than rounding can be.
    assert found.outputs["eval"][0] <= TOLERANCE
    assert found.allowed < 5e-3


def test_another_eps_is_a_difference_that_rounding_does_not_excuse():
    model = create_model("se_resnet152_ibn_a")
    for module in model.modules():
        if isinstance(module, nn.InstanceNorm2d):
            module.eps = 1e-3
    found = compare("se_resnet152_ibn_a", model)
    assert found.rounding is not None
    assert found.outputs["train"][0] > 3 * found.allowed
    assert not found.equal


def test_every_network_of_the_reference_is_there_with_its_weights():
    assert {name: MODELS[name].url for name in GOLDEN} == {
        name: golden["url"] for name, golden in GOLDEN.items()
    }
