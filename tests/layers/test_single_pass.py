"""The passes of C against the plain layers."""

import copy
import itertools

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import assume, example, given, settings
from torch import nn

from ibn_seg.layers import IBN, InstanceNorm, native
from ibn_seg.layers.single_pass import Plan, in_torch
from tests.layers.steps import FORMATS, everything, images, in_one_pass, randomised

pytestmark = pytest.mark.usefixtures("compiled")


def compare(layer, x, plain):
    """Assert that the passes are as exact as the plain layer, by double precision."""
    weights = torch.randn_like(x)
    ours, theirs, exact = layer, copy.deepcopy(layer), copy.deepcopy(layer).double()
    assert in_one_pass(copy.deepcopy(layer)(x.detach().clone().requires_grad_()))
    found = everything(ours, x, weights)
    other = plain(everything, theirs, x, weights)
    truth = everything(exact, x.double(), weights)
    # Of a few values the variance may be next to nothing, and what is divided by it is rounding.
    floor = 2e-6 if x[0, 0].numel() >= 16 else 1e-3
    assert found["y"].stride() == other["y"].stride()
    for name, expected in truth.items():
        scale = expected.double().abs().max().clamp(min=1e-3)
        errors = [
            (result[name].double() - expected).abs().max() / scale for result in (found, other)
        ]
        assert errors[0] <= max(3 * errors[1], floor), name
    return found


@st.composite
def cases(draw):
    # Around the 16 and 64 channels that the C code takes at once.
    channels = draw(st.one_of(st.integers(2, 40), st.sampled_from([63, 64, 65, 80, 130])))
    instance = draw(st.integers(1, channels - 1))
    batch, height, width = draw(st.integers(1, 3)), draw(st.integers(1, 9)), draw(st.integers(2, 9))
    # Whichever of the two has the first channels, both have some.
    least = 1 / channels + 1e-9
    ratio = 0.5 if channels == 2 else min(max((instance + 0.5) / channels, least), 1 - least)
    return (batch, channels, height, width), ratio


@settings(max_examples=60, deadline=None)
@given(
    cases(), st.sampled_from(list(FORMATS)), st.booleans(), st.booleans(),
    st.sampled_from([0.1, 0.7, None]), st.integers(0, 99),
)  # fmt: skip
@example(((2, 16, 5, 5), 0.9), "channels_last", False, False, 0.1, 0)
@example(((1, 131, 3, 5), 0.02), "channels_last", True, False, None, 1)
def test_ibn_is_what_the_plain_layer_is(case, layout, first, training, momentum, seed):
    shape, ratio = case
    # Fewer channels than a vector are left to the plain layer.
    assume(layout == "nchw" or shape[1] >= 16)
    torch.manual_seed(seed)
    layer = IBN(shape[1], ratio, lambda n: nn.BatchNorm2d(n, momentum=momentum), first)
    layer = randomised(layer).train(training)
    with pytest.MonkeyPatch.context() as patch:

        def plain(function, *arguments):
            with patch.context() as inner:
                inner.setenv(native.SWITCH, "plain")
                return function(*arguments)

        for _ in range(2):
            compare(layer, images(*shape, layout=layout), plain)
            layer.zero_grad()
    assert layer.BN.num_batches_tracked == (2 if training else 0)


@settings(max_examples=20, deadline=None)
@given(cases(), st.integers(0, 99))
def test_instance_norm_is_pytorchs(case, seed):
    shape, _ = case
    torch.manual_seed(seed)
    ours = randomised(InstanceNorm(shape[1]))
    theirs = nn.InstanceNorm2d(shape[1], affine=True)
    theirs.load_state_dict(ours.state_dict())
    x = images(*shape)
    # Where all pixels of a channel are nearly equal, rounding alone decides about the gradient.
    assume(x.flatten(2).std(dim=2).min() > 0.05)
    weights = torch.randn(shape)
    expected = everything(theirs, x, weights)
    for layout in FORMATS:
        found = everything(ours, x.contiguous(memory_format=FORMATS[layout]), weights)
        assert found["y"].is_contiguous(memory_format=FORMATS[layout])
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-4)
        ours.zero_grad()


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("shape", [(2, 32, 75, 61), (1, 80, 64, 128), (3, 48, 14, 14)])
def test_shapes_of_several_blocks(shape, layout, plain):
    torch.manual_seed(0)
    for layer in (IBN(shape[1], 0.4), IBN(shape[1]).eval(), InstanceNorm(shape[1])):
        compare(randomised(layer), images(*shape, layout=layout), plain)


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("mean", [1e3, 1e4])
def test_a_large_mean_costs_no_digits(mean, layout):
    torch.manual_seed(0)
    layer = randomised(IBN(32))
    x = images(2, 32, 40, 50, layout=layout) + mean
    exact = copy.deepcopy(layer).double()
    weights = torch.randn_like(x)
    found, truth = everything(layer, x, weights), everything(exact, x.double(), weights)
    for name in ("y", "dx", "IN.weight", "BN.weight", "BN.running_var"):
        scale = truth[name].abs().max()
        assert (found[name] - truth[name]).abs().max() <= 1e-5 * scale, name


@pytest.mark.parametrize("layout", FORMATS)
def test_an_outlier_in_front_costs_no_digits(layout):
    """Sums around the first value would lose what the others have."""
    torch.manual_seed(0)
    layer = InstanceNorm(16)
    x = images(1, 16, 50, 80, layout=layout)
    x[:, :, 0, 0] = 3e4
    exact = nn.InstanceNorm2d(16)
    torch.testing.assert_close(layer(x).double(), exact(x.double()), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinity_spread_as_in_the_plain_layer(bad, training, layout, plain):
    torch.manual_seed(0)
    layer = randomised(IBN(32)).train(training)
    x = images(2, 32, 6, 7, layout=layout)
    x[1, 3, 2, 4] = x[0, 20, 5, 1] = bad
    weights = torch.randn_like(x)
    other = copy.deepcopy(layer)
    found, expected = everything(layer, x, weights), plain(everything, other, x, weights)
    for name in ("y", "dx"):
        torch.testing.assert_close(found[name], expected[name], equal_nan=True, msg=name)
    assert torch.equal(layer.BN.running_var.isfinite(), other.BN.running_var.isfinite())


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("training", [True, False])
def test_the_number_of_threads_changes_no_bit(training, layout):
    torch.manual_seed(0)
    layer = randomised(IBN(48)).train(training)
    x = images(2, 48, 50, 50, layout=layout)
    weights = torch.randn_like(x)
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 3, 2):
            torch.set_num_threads(count)
            results.append(everything(copy.deepcopy(layer), x, weights))
    finally:
        torch.set_num_threads(threads)
    for name, expected in results[0].items():
        assert all(torch.equal(result[name], expected) for result in results[1:]), name


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("wanted", ["x", "IN.weight", "IN.bias", "BN.weight", "BN.bias"])
def test_a_gradient_for_one_alone(wanted, training, plain):
    torch.manual_seed(0)
    layer = randomised(IBN(20)).train(training)
    for name, parameter in layer.named_parameters():
        parameter.requires_grad_(name == wanted)
    x = images(2, 20, 5, 5).requires_grad_(wanted == "x")
    target = x if wanted == "x" else layer.get_parameter(wanted)
    y = layer(x)
    assert in_one_pass(y)
    (found,) = torch.autograd.grad(y.square().sum(), target)
    (expected,) = torch.autograd.grad(plain(layer, x).square().sum(), target)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_nothing_is_kept_without_gradients():
    layer = IBN(20)
    with torch.no_grad():
        assert layer(torch.randn(2, 20, 4, 4)).grad_fn is None
    with torch.inference_mode():
        assert layer.eval()(torch.randn(2, 20, 4, 4)).is_inference()


def test_a_layer_without_running_statistics(plain):
    layer = IBN(20, norm_layer=lambda n: nn.BatchNorm2d(n, track_running_stats=False))
    for training in (True, False):
        compare(layer.train(training), images(2, 20, 5, 5), plain)
        layer.zero_grad()


@pytest.mark.parametrize("layout", FORMATS)
def test_a_gradient_in_another_format(layout, plain):
    torch.manual_seed(0)
    layer = randomised(IBN(20))
    x = images(2, 20, 5, 6, layout=layout).requires_grad_()
    for gradient in (
        torch.randn(2, 20, 5, 6).contiguous(memory_format=torch.channels_last),
        torch.randn(2, 20, 5, 6),
        torch.randn(2, 20, 1, 1).expand(2, 20, 5, 6),
    ):
        (found,) = torch.autograd.grad(layer(x), x, gradient)
        (expected,) = torch.autograd.grad(plain(layer, x), x, gradient)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


PLANS = [Plan(0, 2, 1e-5, 1e-4, True), Plan(1, 4, 1e-5, 1e-3, False), Plan(0, 4, 1e-5)]


@pytest.mark.parametrize("plan", PLANS)
def test_the_formulation_in_torch_has_both_derivatives(plan):
    torch.manual_seed(0)
    sizes = (plan.last - plan.first, 4 - plan.last + plan.first)
    x = torch.randn(2, 4, 2, 3, dtype=torch.double, requires_grad=True)
    tensors = [torch.rand(n, dtype=torch.double, requires_grad=True) for n in sizes for _ in "ab"]
    if not sizes[1]:
        tensors[2:] = [None, None]
    running = [None, None]
    if not plan.batch_statistics:
        running = [torch.rand(sizes[1], dtype=torch.double) + 0.5 for _ in "ab"]
    inputs = (x, *tensors, *running)

    def function(*inputs):
        return in_torch(*inputs, plan)

    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs)


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("training", [True, False])
def test_derivatives_of_the_second_order(training, layout):
    torch.manual_seed(0)
    layer = randomised(IBN(20)).train(training)
    exact = copy.deepcopy(layer).double()
    x = images(2, 20, 5, 6, layout=layout).requires_grad_()
    results = []
    for network, inputs in ((layer, x), (exact, x.detach().double().requires_grad_())):
        targets = [inputs, *network.parameters()]
        weights = torch.linspace(-1, 1, x.numel()).view(x.shape).to(inputs.dtype)
        y = network(inputs)
        assert in_one_pass(y) == (network is layer)
        first = torch.autograd.grad((y * weights).square().sum(), targets, create_graph=True)
        score = sum(g.square().sum() for g in first)
        results.append([*first, *torch.autograd.grad(score, targets)])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(
            found.double(), expected, rtol=1e-3, atol=1e-4 * expected.abs().max().item()
        )


def test_layers_change_between_two_passes():
    """What the first pass kept is not the second's."""
    layer, x = IBN(20), images(2, 20, 5, 5).requires_grad_()
    first = layer(x)
    for _, other in itertools.product(range(3), [images(1, 20, 9, 9), images(4, 20, 3, 3)]):
        layer(other).sum().backward()
    (found,) = torch.autograd.grad(first.square().sum(), x)
    (expected,) = torch.autograd.grad(IBN(20)(x).square().sum(), x)
    torch.testing.assert_close(found, expected)
