"""What the passes of C leave to the plain layers: what looks into these, and other inputs."""

import copy

import pytest
import torch
from torch import nn

from ibn_seg.errors import UserError
from ibn_seg.layers import IBN, InstanceNorm, native
from ibn_seg.layers.fused import FusedIBN, FusedInstanceNorm
from tests.layers.steps import images, in_one_pass, randomised

pytestmark = pytest.mark.usefixtures("compiled")


def test_transforms_of_functions_are_left_to_the_plain_layer():
    torch.manual_seed(0)
    layer = randomised(IBN(20)).eval()
    exact = copy.deepcopy(layer).double()
    x = torch.randn(3, 2, 20, 4, 5)
    tangent = torch.randn_like(x[0])

    def results(network, x, tangent):
        def score(x):
            return network(x).square().sum()

        sample = x[0].clone().requires_grad_()
        rows = torch.eye(40, dtype=x.dtype).view(40, 2, 20, 1, 1).expand(40, 2, 20, 4, 5)
        rows = torch.autograd.grad(network(sample), sample, rows, is_grads_batched=True)
        return [
            *rows,
            torch.func.vmap(network)(x),
            torch.func.grad(score)(x[0]),
            torch.func.vmap(torch.func.grad(score))(x),
            torch.func.jvp(network, (x[0],), (tangent,))[1],
        ]

    for found, expected in zip(
        results(layer, x, tangent), results(exact, x.double(), tangent.double()), strict=True
    ):
        torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "x",
    [
        torch.randn(2, 20, 8, 8)[:, :, ::2],
        torch.randn(2, 20, 5, 8).transpose(2, 3),
        torch.randn(2, 40, 5, 5)[:, ::2],
        torch.randn(1, 20, 5, 5).expand(3, 20, 5, 5),
        torch.randn(2, 20, 5, 5).double(),
        torch.randn(2, 20, 5, 5).bfloat16(),
        torch.randn(2, 20, 5, 5, device="meta"),
    ],
    ids=["rows", "transposed", "channels", "expanded", "double", "bfloat16", "meta"],
)
def test_other_inputs_are_left_to_the_plain_layer(x, plain):
    layer = IBN(20).to(device=x.device, dtype=x.dtype).eval()
    y = layer(x)
    assert not in_one_pass(y)
    if x.device.type != "meta":
        torch.testing.assert_close(y, plain(layer, x))
        assert y.stride() == plain(layer, x).stride()


@pytest.mark.parametrize("shape", [(1, 20, 1, 1), (2, 20, 1, 1), (2, 19, 4, 4), (20, 4, 4)])
@pytest.mark.parametrize("make", [IBN, InstanceNorm])
def test_errors_are_those_of_the_plain_layer(make, shape, plain):
    layer, errors = make(20), []
    for call in (lambda: layer(torch.randn(shape)), lambda: plain(layer, torch.randn(shape))):
        if make is InstanceNorm and len(shape) == 3:
            assert call().shape == shape  # PyTorch's takes a single sample, too
            continue
        with pytest.raises((ValueError, RuntimeError, IndexError)) as caught:
            call()
        errors.append((caught.type, str(caught.value)))
    assert errors[:1] == errors[1:]


@pytest.mark.parametrize("part", ["IN", "BN"])
def test_hooks_of_the_parts_are_called(part):
    layer, seen = IBN(20), []
    x = images(2, 20, 5, 5).requires_grad_()
    expected = layer(x)
    module = getattr(layer, part)
    for register in (
        module.register_forward_hook, module.register_forward_pre_hook,
        module.register_full_backward_hook, nn.modules.module.register_module_forward_hook,
    ):  # fmt: skip
        seen.clear()
        handle = register(lambda module, *_: seen.append(module))
        layer(x).sum().backward()
        handle.remove()
        assert module in seen
        assert in_one_pass(layer(x))
    torch.testing.assert_close(layer(x), expected)


def test_replaced_parts_are_called():
    class Frozen(nn.BatchNorm2d):
        def forward(self, x):
            return x * 0 + 7

    x = images(2, 20, 5, 5)
    assert (IBN(20, norm_layer=Frozen)(x)[:, 10:] == 7).all()
    layer = IBN(20)
    layer.BN.forward = lambda x: x * 0 + 8
    assert (layer(x)[:, 10:] == 8).all()
    assert IBN(20, norm_layer=lambda n: nn.BatchNorm2d(n, affine=False))(x).shape == x.shape


def test_the_switch(monkeypatch):
    layer, x = IBN(20), images(2, 20, 5, 5)
    assert in_one_pass(layer(x))
    monkeypatch.delenv(native.SWITCH, raising=False)
    assert in_one_pass(layer(x))
    monkeypatch.setenv(native.SWITCH, "plain")
    assert not in_one_pass(layer(x))
    monkeypatch.setenv(native.SWITCH, "plan")
    with pytest.raises(UserError, match="IBN_SEG_KERNEL 'plan': did you mean 'plain'"):
        layer(x)


def test_tracing_and_scripting(plain):
    x = torch.randn(2, 20, 5, 5)
    for layer in (IBN(20).eval(), InstanceNorm(20)):
        expected = plain(layer, x)
        traced = torch.jit.trace(layer, x)
        assert "PythonOp" not in str(traced.inlined_graph)
        torch.testing.assert_close(traced(x), expected)
        graph = torch.fx.experimental.proxy_tensor.make_fx(layer)(x)
        other = x.flip(0)
        torch.testing.assert_close(graph(other), plain(layer, other))
    torch.testing.assert_close(torch.jit.script(InstanceNorm(20))(x), InstanceNorm(20)(x))
    torch.testing.assert_close(torch.fx.symbolic_trace(InstanceNorm(20))(x), InstanceNorm(20)(x))


def test_the_plain_instance_norm_of_one_sample_has_the_right_gradient(plain):
    """PyTorch's own is wrong if the gradient of its result is channels-last."""
    torch.manual_seed(0)
    x = images(1, 20, 5, 6).requires_grad_()
    weights = images(1, 20, 5, 6, layout="channels_last")
    layer = InstanceNorm(20)
    (found,) = torch.autograd.grad(plain(layer, x), x, weights)
    (expected,) = torch.autograd.grad(layer(x), x, weights)
    torch.testing.assert_close(found, expected)


@pytest.mark.skipif(
    not hasattr(torch.compiler, "is_compiling"), reason="PyTorch 2.1 breaks its own instance norm"
)
@pytest.mark.parametrize("training", [True, False])
def test_torch_compile_makes_one_graph(training):
    network = nn.Sequential(IBN(20), nn.ReLU(), InstanceNorm(20)).train(training)
    expected = copy.deepcopy(network)(x := torch.randn(2, 20, 5, 5))
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), expected, rtol=1e-4, atol=1e-5)


def test_function_modes_see_instance_norms():
    """What follows PyTorch's functions sees the norms of every layer, fused ones too."""
    seen = []

    class Follow(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            seen.append(function)
            return function(*args, **(kwargs or {}))

    x = torch.randn(1, 8, 5, 6)
    with torch.no_grad():
        for layer in (
            InstanceNorm(8).eval(),
            IBN(8).eval(),
            FusedInstanceNorm(nn.InstanceNorm2d(8)),
            FusedIBN(IBN(8).eval(), folded=True),
        ):
            expected = layer(x.clone())
            seen.clear()
            with Follow():
                found = layer(x.clone())
            assert seen.count(nn.functional.instance_norm) == 1
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_default_device_changes_nothing():
    layer, x = IBN(20).eval(), torch.randn(2, 20, 8, 8)
    with torch.device("cpu"):
        assert in_one_pass(layer(x))
