"""Networks that are traced, scripted or exported compute what the eager ones do."""

import copy

import pytest
import torch
from torch import nn

import ibn_seg
from ibn_seg.models.specs import MODELS

pytestmark = pytest.mark.hosts

# The smallest of each family and variant.
NAMES = ("resnet18_ibn_a", "resnet18_ibn_b", "resnext50_ibn_a", "se_resnet50_ibn_a",
         "densenet121_ibn_a")  # fmt: skip


def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 64, 64, generator=generator, dtype=torch.float64)


@pytest.fixture(scope="module", params=NAMES)
def network(request):
    """A classifier whose norms keep its values near one, as trained ones do.

    In float64, where rounding does not hide another computation.
    """
    torch.manual_seed(0)
    built = ibn_seg.create_model(request.param, num_classes=10).double()
    for module in built.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
    with torch.no_grad():
        built.train()(images())
    assert request.param in MODELS
    return built.eval()


def check(network, other, x=None):
    x = images() if x is None else x
    with torch.inference_mode():
        expected, found = network(x), other(x)
    error = 1e-10 if x.dtype == torch.float64 else 1e-4
    torch.testing.assert_close(found, expected, rtol=0, atol=error * float(expected.abs().max()))


def test_traced_by_fx(network):
    check(network, torch.fx.symbolic_trace(network))


def test_scripted(network):
    with torch.inference_mode():
        scripted = torch.jit.script(copy.deepcopy(network))
    check(network, scripted)
    assert set(scripted.state_dict()) == set(network.state_dict())


def test_exported(network):
    check(network, torch.export.export(network, (images(),), strict=False).module())


def test_features_by_torchvision(network):
    extraction = pytest.importorskip("torchvision.models.feature_extraction")
    points = dict(list(network.depth_points().items())[1:4:2])
    paths = {path: name for name, path in points.items()}
    wanted = {}
    hooks = [
        network.get_submodule(path).register_forward_hook(
            lambda module, args, out, name=name: wanted.__setitem__(name, out.clone())
        )
        for path, name in paths.items()
    ]
    with torch.inference_mode():
        network(images())
        for hook in hooks:
            hook.remove()
        found = extraction.create_feature_extractor(network, paths)(images())
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-5)


def test_prepared_for_quantisation(network):
    quantise = pytest.importorskip("torch.ao.quantization.quantize_fx")
    from torch.ao.quantization import get_default_qconfig_mapping

    mapping = get_default_qconfig_mapping("x86")
    network, x = copy.deepcopy(network).float(), images().float()
    prepared = quantise.prepare_fx(copy.deepcopy(network), mapping, (x,))
    check(network, prepared, x)
    assert any("observer" in type(module).__name__.lower() for module in prepared.modules())
