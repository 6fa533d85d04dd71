"""Networks of methods are fused and recorded with the same outputs, or refused by name."""

import pytest
import torch

import ibn_seg
from ibn_seg.errors import UserError
from ibn_seg.models.places import add_self_norms, add_semantic_stages
from tests.networks import scrambled


def network(method):
    variant = None if method in ("SelfNorm", "SAN", "SAN as released") else method
    torch.manual_seed(0)
    net = ibn_seg.create_model("resnet18", ibn=variant, base_channels=16, features_only=True)
    if method == "SelfNorm":
        add_self_norms(net)
    elif variant is None:
        add_semantic_stages(net, ["end(1)"], regions=0 if "released" in method else 5)
    net.train()(torch.randn(4, 3, 64, 64))  # running statistics that tell
    return scrambled(net)


NAMES = ("in", "isw", "sw2", "sw5", "iternorm", "SelfNorm", "SAN as released")


@pytest.mark.parametrize("name", [*NAMES, "SAN"])
def test_it_is_fused_with_the_same_output(name):
    net = network(name)
    fused, report = ibn_seg.fuse(net)
    assert len(report.folded) >= 19
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        for one, other in zip(fused(x), net(x), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_recorded_with_the_same_output(name):
    net = network(name)
    with torch.no_grad():
        recorded = torch.jit.trace(net, torch.randn(1, 3, 64, 64), check_trace=False)
        x = torch.randn(2, 3, 64, 64)
        for one, other in zip(recorded(x), net(x), strict=True):
            torch.testing.assert_close(one, other)


def test_k_means_in_a_recording_is_refused_by_name():
    with pytest.raises(UserError, match="SAN finds its regions by k-means"):
        torch.jit.trace(network("SAN"), torch.randn(1, 3, 64, 64))


@pytest.mark.parametrize("variant", ["in", "isw", "sw2", "iternorm"])
def test_a_network_of_batch_norms_is_not_converted_to_it(variant):
    net = ibn_seg.create_model("resnet18", base_channels=16)
    with pytest.raises(UserError, match=f"variant '{variant}' has norms other than IBN"):
        ibn_seg.convert(net, variant)
