"""Converted and fused networks go through PyTorch's tools as what they were made from does."""

import copy
import pickle
import re

import pytest
import torch

import ibn_seg
from ibn_seg.errors import UserError
from tests.layers.test_recorded import RECORDERS, scripted, traced
from tests.surgery import libraries
from tests.surgery.test_addition import BasicBlock, Network

NETWORKS = {
    "torchvision": lambda: libraries.torchvision("resnet18"),
    "regnet": lambda: libraries.torchvision("regnet_x_400mf"),
    "densenet": lambda: libraries.torchvision("densenet121"),
    "timm": lambda: libraries.timm("resnet18"),
    "timm_activated": lambda: libraries.timm("regnetx_002"),
    "smp": lambda: libraries.smp("resnet18"),
}
CASES = [(name, v) for name in NETWORKS for v in "ab" if (name, v) != ("densenet", "b")]


def converted(name, variant):
    torch.manual_seed(0)
    return ibn_seg.convert(NETWORKS[name]().eval(), variant, inplace=True).model


def close(found, expected):
    scale = expected.abs().max()
    torch.testing.assert_close(found / scale, expected / scale, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_converted_networks_are_traced_and_scripted(name, variant):
    network, x = converted(name, variant), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = network(x)
        for how in ("fx", "script"):
            close(RECORDERS[how](network, x)(x), expected)


def test_features_of_a_converted_network_are_extracted():
    extraction = pytest.importorskip("torchvision.models.feature_extraction")
    network, x = converted("torchvision", "b"), torch.randn(1, 3, 64, 64)
    nodes = ["layer1.0.bn1", "layer1.1.add", "layer2"]
    found = extraction.create_feature_extractor(network, nodes)(x)
    assert list(found) == nodes
    seen = {}
    network.layer2.register_forward_hook(lambda module, given, y: seen.update(y=y))
    network(x)
    close(found["layer2"], seen["y"])


def test_scripting_leaves_the_network_what_it_was():
    network = converted("torchvision", "b")
    block, keys = network.layer1[1], list(network.state_dict())
    x = torch.randn(2, 3, 64, 64)
    expected = network(x)
    scripted(network, x)
    assert network.layer1[1] is block
    assert isinstance(block, type(libraries.torchvision("resnet18").layer1[1]))
    assert list(network.state_dict()) == keys
    for same in (network, copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert torch.equal(same(x), expected)
        close(scripted(same, x)(x), expected)
    network.train()
    close(scripted(network, x)(x), copy.deepcopy(network)(x))


def test_a_block_that_trains_in_other_steps_is_not_scripted():
    class Noisy(BasicBlock):
        def forward(self, x):
            y = self.residual(x)
            return self.relu(x + (y * 0.9 if self.training else y))

    network = ibn_seg.convert(Network(Noisy()).eval(), "b").model
    with pytest.raises(UserError, match="its steps differ between training"):
        scripted(network, None)


OURS = ["resnet18_ibn_a", "resnet18_ibn_b", "se_resnet50_ibn_a"]


def ours(name, **options):
    torch.manual_seed(0)
    return ibn_seg.create_model(name, base_channels=8, num_classes=5, **options).eval()


@pytest.mark.parametrize("name", OURS[:2])
def test_our_networks_and_fused_ones_are_recorded(name):
    network = ours(name)
    x = torch.randn(2, 3, 64, 64)
    for subject in (network, ibn_seg.fuse(network).model):
        expected = subject(x)
        for how in ("fx", "fx_scripted", "trace", "trace_without_gradients"):
            close(RECORDERS[how](subject, x)(x), expected)


def steps(module):
    """Return the operations of a trace without names, places and marks of gradients."""
    graph = str(torch._C._jit_pass_canonicalize(module.inlined_graph))
    return re.sub(r"%[\w.]+|___torch_mangle_\d+\.|#.*|requires_grad=[01], ", "", graph)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", OURS[:2])
def test_a_trace_of_a_fused_network_does_not_depend_on_the_gradient_mode(name, layout):
    network = ours(name)
    model = ibn_seg.fuse(network).model
    x = torch.randn(1, 3, 64, 64).contiguous(memory_format=layout)
    first = traced(model, x)
    with torch.no_grad():
        second = traced(model, x)
    assert steps(first) == steps(second)
    gradients = []
    for subject in (network, model, first, second):
        leaf = x.clone().requires_grad_()
        gradients += torch.autograd.grad(subject(leaf).square().sum(), leaf)
    for gradient in gradients[1:]:
        close(gradient, gradients[0])


@pytest.mark.parametrize("name", ["resnet18_ibn_a", "densenet121_ibn_a"])
def test_networks_that_recompute_are_traced(name):
    options = {} if "dense" in name else {"base_channels": 8}
    network = ibn_seg.create_model(name, with_cp=True, num_classes=5, **options).eval()
    x = torch.randn(1, 3, 64, 64)
    expected = network(x)
    for how in ("fx", "trace"):
        close(RECORDERS[how](network, x)(x), expected)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (2, 40)])
@pytest.mark.parametrize("name", OURS)
def test_pictures_of_few_pixels(name, size):
    network, x = ours(name), torch.randn(2, 3, *size)
    for subject in (network, ibn_seg.fuse(network).model):
        with torch.no_grad():
            y = subject(x)
        assert y.isfinite().all()
        torch.testing.assert_close(y, copy.deepcopy(network).double()(x.double()).float(),
                                   rtol=1e-3, atol=1e-4)  # fmt: skip
