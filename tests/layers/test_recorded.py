"""Layers that PyTorch's tools record or compile do what they do in eager mode."""

import copy
import io
import pickle
import warnings

import pytest
import torch
from torch import nn

from ibn_seg.errors import UserError
from ibn_seg.layers import IBN, InstanceNorm, SynchronisedBatchNorm
from ibn_seg.layers.fused import FusedIBN, FusedInstanceNorm
from ibn_seg.layers.plain_instance import PlainInstanceNorm
from tests.layers.steps import everything, images, randomised

LAYERS = {
    "ibn": lambda: IBN(20, 0.4),
    "ibn_last": lambda: IBN(20, 0.4, instance_first=False),
    "instance": lambda: InstanceNorm(20),
    "plain": lambda: PlainInstanceNorm(20),
    "fused_ibn": lambda: FusedIBN(randomised(IBN(20)).eval(), relu=True, folded=True),
    "fused_last": lambda: FusedIBN(randomised(IBN(20, instance_first=False)).eval()),
    "fused_instance": lambda: FusedInstanceNorm(randomised(InstanceNorm(20)), overwrite=True),
}


def scripted(layer, x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = io.BytesIO()
        torch.jit.save(torch.jit.script(layer), file)
        return torch.jit.load(io.BytesIO(file.getvalue()))


def traced(layer, x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        return torch.jit.trace(layer, x.clone())


RECORDERS = {
    "fx": lambda layer, x: torch.fx.symbolic_trace(layer),
    "fx_pickled": lambda layer, x: pickle.loads(pickle.dumps(torch.fx.symbolic_trace(layer))),
    "fx_scripted": lambda layer, x: scripted(torch.fx.symbolic_trace(layer), x),
    "script": scripted,
    "trace": traced,
    "trace_without_gradients": torch.no_grad()(traced),
    "export": lambda layer, x: torch.export.export(layer, (x,)).module(),
}


def step(layer, x, weights):
    """Return output and gradient of `x` for a leaf that the layer must not write over."""
    leaf = x.clone().requires_grad_()
    y = layer(leaf * 1)
    (gradient,) = torch.autograd.grad(y, leaf, weights)
    return y.detach(), gradient


@pytest.mark.parametrize("how", RECORDERS)
@pytest.mark.parametrize("kind", LAYERS)
def test_results_and_gradients_are_those_of_eager_mode(kind, how):
    if how == "export" and torch.__version__ < (2, 6):
        pytest.skip("older exporters differ")
    torch.manual_seed(0)
    layer = nn.Sequential(randomised(LAYERS[kind]())).eval()
    recorded = RECORDERS[how](layer, torch.randn(2, 20, 5, 6))
    for shape in ((2, 20, 5, 6), (2, 20, 1, 7)):
        if how == "export" and shape[2:] != (5, 6):
            continue
        for layout in ("nchw", "channels_last"):
            x, weights = images(*shape, layout=layout), images(*shape, layout=layout)
            with torch.no_grad():
                torch.testing.assert_close(
                    recorded(x.clone()), layer(x.clone()), rtol=1e-5, atol=2e-6
                )
            for found, expected in zip(
                step(recorded, x, weights), step(layer, x, weights), strict=True
            ):
                torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("how", ["fx", "script", "trace"])
@pytest.mark.parametrize("kind", ["ibn", "ibn_last", "instance"])
def test_training_updates_statistics_and_parameters_alike(kind, how):
    layer = randomised(LAYERS[kind]()).train()
    x, weights = images(3, 20, 4, 5), images(3, 20, 4, 5)
    recorded = RECORDERS[how](copy.deepcopy(layer), x)
    recorded.load_state_dict(layer.state_dict())  # a trace counts what it runs
    expected = everything(layer, x, weights)
    for name, found in everything(recorded, x, weights).items():
        torch.testing.assert_close(found, expected[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("how", ["fx", "script", "trace"])
def test_gradients_of_one_sample_are_right_in_channels_last_memory(how):
    """Where PyTorch's own instance norm returns wrong ones without a word."""
    layer = InstanceNorm(20).eval()
    x, weights = images(1, 20, 5, 6), images(1, 20, 5, 6, layout="channels_last")
    found = step(RECORDERS[how](nn.Sequential(layer), x), x, weights)
    exact = step(copy.deepcopy(layer).double(), x.double(), weights.double())
    for one, other in zip(found, exact, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-5)


def test_the_graph_has_the_parts_of_an_ibn():
    network = torch.fx.symbolic_trace(nn.Sequential(IBN(20)))
    steps = [str(node.target) for node in network.graph.nodes]
    assert "0.BN" in steps
    assert [step for step in steps if "normalised" in step or "kept" in step]
    y = network(images(2, 20, 4, 4, layout="channels_last"))
    assert y.is_contiguous(memory_format=torch.channels_last)


def test_quantisation_is_prepared():
    quantize = pytest.importorskip("torch.ao.quantization.quantize_fx")
    torch.manual_seed(0)
    from torch.ao.quantization import get_default_qconfig_mapping

    network = nn.Sequential(nn.Conv2d(3, 20, 3), IBN(20), nn.ReLU(), InstanceNorm(20)).eval()
    x = torch.randn(2, 3, 9, 9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepared = quantize.prepare_fx(
            copy.deepcopy(network), get_default_qconfig_mapping("fbgemm"), (x,)
        )
        torch.testing.assert_close(prepared(x), network(x), rtol=1e-4, atol=1e-4)
        assert (quantize.convert_fx(prepared)(x) - network(x)).abs().mean() < 0.1


def test_a_synchronised_norm_is_recorded_in_evaluation_alone():
    layer, x = nn.Sequential(IBN(20, norm_layer=SynchronisedBatchNorm)), images(2, 20, 4, 4)
    torch.testing.assert_close(torch.fx.symbolic_trace(layer.eval())(x), layer(x))
    with pytest.raises(UserError, match="in training mode cannot be traced"):
        torch.fx.symbolic_trace(layer.train())


def test_functions_of_fused_layers_are_transformed():
    layer, x = FusedIBN(randomised(IBN(20)).eval(), folded=True), images(2, 20, 4, 5)
    tangent = torch.randn_like(x)
    for parameter in layer.parameters():
        parameter.requires_grad_(False)
    expected = torch.autograd.functional.jvp(lambda z: layer(z * 1), x, tangent)
    with torch.no_grad():
        found = torch.func.jvp(layer, (x.clone(),), (tangent,))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    batches = torch.func.vmap(layer)(x.clone()[:, None])
    torch.testing.assert_close(batches[:, 0], layer(x.clone()), rtol=1e-4, atol=1e-5)
