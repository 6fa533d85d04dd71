"""Checks of the Triton passes, which `test_triton_passes.py` runs in Triton's interpreter.

They have a process of their own, as the interpreter is chosen when Triton is imported. On tensors
of a CPU the layers take the passes here as they do on a GPU.
"""

import copy
import os

import pytest
import torch
from torch import nn

from ibn_seg.layers import IBN, InstanceNorm, native, single_pass, triton_passes
from ibn_seg.layers.fused import FusedIBN, FusedInstanceNorm
from ibn_seg.layers.passes import Plan
from tests.layers.steps import FORMATS, everything, images, in_one_pass, randomised

# Shape, share of the instance norm, whether its channels are the first.
CASES = {
    "even": ((2, 8, 6, 5), 0.5, True),
    "instance second": ((2, 10, 3, 7), 0.7, False),
    "one instance channel": ((3, 5, 5, 1), 0.2, True),
    "one batch channel": ((2, 35, 3, 3), 0.98, True),
    "two channels, one sample": ((1, 2, 1, 13), 0.5, True),
    "several groups": ((2, 67, 4, 5), 0.4, True),
    "several tiles": ((1, 3, 47, 61), 0.4, False),
}


@pytest.fixture(autouse=True)
def in_triton(monkeypatch):
    assert os.environ["TRITON_INTERPRET"] == "1"
    monkeypatch.setenv(native.SWITCH, "triton")
    monkeypatch.setattr(single_pass, "_passes", lambda device: triton_passes)
    monkeypatch.setattr(single_pass, "_WITH_RELU", ("cpu",))


@pytest.fixture(params=["parts", "parts of several tiles"])
def cut(request, monkeypatch):
    """Let small planes be read in parts, as large ones are."""
    monkeypatch.setattr(triton_passes, "_TILE", 32)
    monkeypatch.setattr(triton_passes, "_CHANNELS", 4)
    monkeypatch.setattr(triton_passes, "_PROGRAMS", 1000 if request.param == "parts" else 12)
    monkeypatch.setattr(triton_passes, "_GROUP", 4)
    monkeypatch.setattr(triton_passes, "_ROWS", 2)


def assert_exact(layer, x):
    """Assert that a step is that of double precision, up to one rounding of what is returned."""
    weights = torch.randn_like(x)
    exact = copy.deepcopy(layer).double()
    assert in_one_pass(copy.deepcopy(layer)(x.clone().requires_grad_()))
    found, truth = everything(layer, x, weights), everything(exact, x.double(), weights)
    assert found["y"].dtype == found["dx"].dtype == x.dtype
    assert found["y"].stride() == found["dx"].stride() == x.stride()
    for name, value in truth.items():
        rounding = torch.finfo(x.dtype if name in ("y", "dx") else torch.float32).eps
        if name not in ("y", "dx") and value.is_floating_point():
            assert found[name].dtype == torch.float32, name
        # The second bound is for the float32 that is computed in, where few values lie close.
        bound = rounding * value.abs() + 1e-5 * value.abs().max().clamp(min=1)
        wrong = (found[name].double() - value).abs() > bound
        assert not wrong.any(), (name, found[name][wrong], value[wrong])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("layout", "training"), [("nchw", True), ("channels_last", True), ("channels_last", False)]
)
def test_as_exact_as_float32_allows(case, layout, training):
    shape, ratio, first = CASES[case]
    torch.manual_seed(0)
    layer = randomised(IBN(shape[1], ratio, instance_first=first)).train(training)
    assert_exact(layer, images(*shape, layout=layout))
    assert layer.BN.num_batches_tracked == (1 if training else 0)


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("training", [True, False])
def test_planes_in_parts(layout, training, cut):
    torch.manual_seed(0)
    layer = randomised(IBN(3, 0.4)).train(training)
    assert_exact(layer, images(2, 3, 5, 9, layout=layout))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("training", [True, False])
def test_half_precision_keeps_statistics_and_weights_in_float32(dtype, layout, training, plain):
    torch.manual_seed(0)
    layer = randomised(IBN(20)).train(training)
    x = images(3, 20, 5, 6, layout=layout, dtype=dtype)
    assert plain(copy.deepcopy(layer), x).dtype == layer(x).dtype == dtype
    layer.BN.num_batches_tracked.zero_()
    assert_exact(layer, x)


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("shape", [(2, 5, 6, 7), (1, 1, 3, 3)])
def test_instance_norm_alone(shape, layout):
    torch.manual_seed(0)
    layer = randomised(InstanceNorm(shape[1]))
    assert_exact(layer, images(*shape, layout=layout))


@pytest.mark.parametrize("momentum", [0.3, None])
def test_running_statistics_are_those_of_batch_norm(momentum, plain):
    torch.manual_seed(0)
    layer = randomised(IBN(8, norm_layer=lambda n: nn.BatchNorm2d(n, momentum=momentum)))
    other = copy.deepcopy(layer)
    for _ in range(3):
        x = images(2, 8, 4, 4)
        torch.testing.assert_close(layer(x), plain(other, x), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(layer.state_dict(), other.state_dict(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("mean", [1e3, 1e4])
def test_a_large_mean_costs_no_digits(mean, layout, cut):
    torch.manual_seed(0)
    layer = randomised(IBN(2))
    x = images(2, 2, 5, 9, layout=layout) + mean
    weights = torch.randn_like(x)
    exact = copy.deepcopy(layer).double()
    found, truth = everything(layer, x, weights), everything(exact, x.double(), weights)
    for name in ("y", "dx", "IN.weight", "BN.weight", "BN.running_var"):
        scale = truth[name].abs().max()
        assert (found[name] - truth[name]).abs().max() <= 1e-5 * scale, name


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_nan_and_infinity_spread_as_in_the_plain_layer(bad, training, plain):
    torch.manual_seed(0)
    layer = randomised(IBN(8)).train(training)
    x = images(2, 8, 6, 7)
    x[1, 3, 2, 4] = x[0, 5, 5, 1] = bad
    weights = torch.randn_like(x)
    other = copy.deepcopy(layer)
    found, expected = everything(layer, x, weights), plain(everything, other, x, weights)
    for name in ("y", "dx"):
        torch.testing.assert_close(
            found[name], expected[name], equal_nan=True, rtol=1e-4, atol=1e-5
        )
    assert torch.equal(layer.BN.running_var.isfinite(), other.BN.running_var.isfinite())


@pytest.mark.parametrize("wanted", ["x", "IN.weight", "BN.bias"])
def test_a_gradient_for_one_alone(wanted, plain):
    torch.manual_seed(0)
    layer = randomised(IBN(6))
    for name, parameter in layer.named_parameters():
        parameter.requires_grad_(name == wanted)
    x = images(2, 6, 3, 5).requires_grad_(wanted == "x")
    target = x if wanted == "x" else layer.get_parameter(wanted)
    (found,) = torch.autograd.grad(layer(x).square().sum(), target)
    (expected,) = torch.autograd.grad(plain(layer, x).square().sum(), target)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layout", FORMATS)
def test_a_gradient_in_another_format(layout, plain):
    torch.manual_seed(0)
    layer = randomised(IBN(6))
    x = images(2, 6, 3, 5, layout=layout).requires_grad_()
    for gradient in (
        images(2, 6, 3, 5, layout="channels_last"),
        images(2, 6, 3, 5),
        torch.randn(2, 6, 1, 1).expand(2, 6, 3, 5),
    ):
        (found,) = torch.autograd.grad(layer(x), x, gradient)
        (expected,) = torch.autograd.grad(plain(layer, x), x, gradient)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_derivatives_of_the_second_order(dtype):
    torch.manual_seed(0)
    layer = randomised(IBN(6))
    exact = copy.deepcopy(layer).double()
    x = images(2, 6, 3, 5, dtype=dtype).requires_grad_()
    results = []
    for network, inputs in ((layer, x), (exact, x.detach().double().requires_grad_())):
        targets = [inputs, *network.parameters()]
        y = network(inputs)
        assert in_one_pass(y) == (network is layer)
        weights = torch.linspace(-1, 1, x.numel()).view(x.shape)
        score = (y * weights).square().sum()
        first = torch.autograd.grad(score, targets, create_graph=True)
        score = sum(g.double().square().sum() for g in first)
        results.append([*first, *torch.autograd.grad(score, targets)])
    share = 1e-4 if dtype == torch.float32 else 0.05
    for found, expected in zip(*results, strict=True):
        assert (found.double() - expected).abs().max() <= share * expected.abs().max()


def test_transforms_of_functions_are_left_to_the_plain_layer(monkeypatch):
    def refuse(*_):
        raise AssertionError("the passes were called")

    monkeypatch.setattr(triton_passes, "forward", refuse)
    layer, x = IBN(6).eval(), images(3, 2, 6, 4, 5)
    torch.func.vmap(layer)(x)
    torch.func.grad(lambda x: layer(x).sum())(x[0])
    torch.func.jvp(layer, (x[0],), (x[1],))
    with pytest.raises(AssertionError, match="the passes were called"):
        layer(x[0])


@pytest.mark.parametrize("layer", [IBN(6).half(), IBN(6).double(), IBN(6)])
def test_other_inputs_are_left_to_the_plain_layer(layer):
    x = images(2, 6, 4, 10, dtype=layer.IN.weight.dtype).requires_grad_()
    if x.dtype == torch.float32:
        x = x[..., ::2]
    assert not in_one_pass(layer(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", FORMATS)
def test_relu(layout, dtype):
    torch.manual_seed(0)
    x = images(2, 6, 4, 5, layout=layout, dtype=dtype)
    x[0, 0, 0, 0] = float("nan")
    tensors = [torch.randn(3) for _ in range(4)] + [None, None]
    found = torch.empty(2, 3)
    plan = Plan(0, 3, 1e-5, 1e-5)
    (y, _), (z, _) = (triton_passes.forward(x, tensors, found, plan, relu) for relu in (0, 1))
    assert (y < 0).any()
    torch.testing.assert_close(z, y.relu(), rtol=0, atol=0, equal_nan=True)
    assert z.isnan()[0, 0].all()


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_fused_layers_take_the_relu_in(first, relu, folded, layout, plain, monkeypatch):
    torch.manual_seed(0)
    layer = FusedIBN(randomised(IBN(10, 0.3, instance_first=first)).eval(), relu, folded)
    calls = called(monkeypatch)
    x = images(2, 10, 4, 5, layout=layout)
    with torch.no_grad():
        found, expected = layer(x), plain(layer, x.clone())
        assert calls == [relu]
    assert found.stride() == x.stride()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def called(monkeypatch):
    """Return a list that gets the flag `relu` of each forward pass."""
    calls, forward = [], triton_passes.forward
    monkeypatch.setattr(
        triton_passes,
        "forward",
        lambda *arguments, relu: calls.append(relu) or forward(*arguments, relu=relu),
    )
    return calls


def test_a_fused_instance_norm_takes_the_relu_in(plain, monkeypatch):
    torch.manual_seed(0)
    layer = FusedInstanceNorm(randomised(InstanceNorm(5)), relu=True)
    calls = called(monkeypatch)
    x = images(2, 5, 4, 3)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), plain(layer, x), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(layer(x[0]), plain(layer, x[0]), rtol=1e-5, atol=1e-6)
    assert calls == [True, True]


def test_fused_layers_with_gradients_or_hooks_are_plain(monkeypatch):
    layer = FusedIBN(IBN(6).eval(), relu=True)
    calls, seen = called(monkeypatch), []
    layer(images(2, 6, 4, 3)).sum().backward()
    assert layer.IN.weight.grad is not None
    with torch.no_grad():
        handle = layer.IN.register_forward_hook(lambda *_: seen.append(1))
        layer(images(2, 6, 4, 3))
        handle.remove()
    assert (calls, seen) == ([], [1])
