"""Every network of the reference against figures measured on it."""

import pytest

from ibn_seg.models.specs import MODELS
from tests.parity.golden import GOLDEN, TOLERANCE, compare


@pytest.mark.parametrize("name", GOLDEN)
def test_model_equals_the_reference(name):
    found = compare(name)
    assert found.keys
    assert found.parameters
    for mode, (logits, norm) in found.outputs.items():
        assert logits <= TOLERANCE, mode
        assert norm <= TOLERANCE, mode


def test_every_network_of_the_reference_is_there_with_its_weights():
    assert {name: MODELS[name].url for name in GOLDEN} == {
        name: golden["url"] for name, golden in GOLDEN.items()
    }
