"""IBN against a plain split, instance norm, batch norm and concatenation."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import nn

from ibn_seg.errors import UserError
from ibn_seg.layers import IBN
from tests.layers.steps import randomised


class PlainIBN(nn.Module):
    """The definition in elementary operations: one channel after the other."""

    def __init__(self, layer):
        super().__init__()
        self.instance = layer.IN.num_features
        self.scale = nn.Parameter(torch.cat([layer.IN.weight, layer.BN.weight]).detach().clone())
        self.shift = nn.Parameter(torch.cat([layer.IN.bias, layer.BN.bias]).detach().clone())
        self.mean = layer.BN.running_mean.clone()
        self.var = layer.BN.running_var.clone()

    def forward(self, x):
        channels = []
        for index in range(x.shape[1]):
            part = x[:, index]
            if index < self.instance:
                mean = part.mean(dim=(1, 2), keepdim=True)
                var = part.var(dim=(1, 2), keepdim=True, unbiased=False)
            elif self.training:
                mean, var = part.mean(), part.var(unbiased=False)
                place = index - self.instance
                self.mean[place] = 0.9 * self.mean[place] + 0.1 * mean.detach()
                self.var[place] = 0.9 * self.var[place] + 0.1 * part.detach().var()
            else:
                mean, var = self.mean[index - self.instance], self.var[index - self.instance]
            normal = (part - mean) / torch.sqrt(var + 1e-5)
            channels.append(normal * self.scale[index] + self.shift[index])
        return torch.stack(channels, dim=1)


def in_double(channels, ratio, seed=0):
    """Return a double-precision IBN with telling parameters and statistics."""
    torch.manual_seed(seed)
    return randomised(IBN(channels, ratio).double())


@st.composite
def cases(draw):
    channels = draw(st.integers(2, 12))
    instance = draw(st.integers(1, channels - 1))
    # Any ratio whose product with the channels has that integer part.
    ratio = (instance + draw(st.floats(0.05, 0.95))) / channels
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(2, 6)))
    return channels, min(ratio, 0.999), instance, shape, draw(st.integers(0, 99))


@settings(max_examples=40, deadline=None)
@given(cases(), st.booleans())
def test_output_gradients_and_statistics(case, training):
    channels, ratio, instance, (batch, height, width), seed = case
    layer = in_double(channels, ratio, seed).train(training)
    plain = PlainIBN(layer).train(training)
    assert layer.IN.num_features == instance
    inputs = [torch.randn(batch, channels, height, width, dtype=torch.double) for _ in "12"]
    for x in inputs:
        ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
        weight = torch.randn_like(x)
        out, expected = layer(ours), plain(theirs)
        assert out.shape == x.shape
        torch.testing.assert_close(out, expected)
        for network in (layer, plain):
            network.zero_grad()
        (out * weight).sum().backward()
        (expected * weight).sum().backward()
        torch.testing.assert_close(ours.grad, theirs.grad)
        scale = torch.cat([layer.IN.weight.grad, layer.BN.weight.grad])
        shift = torch.cat([layer.IN.bias.grad, layer.BN.bias.grad])
        torch.testing.assert_close(scale, plain.scale.grad)
        torch.testing.assert_close(shift, plain.shift.grad)
        torch.testing.assert_close(layer.BN.running_mean, plain.mean)
        torch.testing.assert_close(layer.BN.running_var, plain.var)
    assert layer.BN.num_batches_tracked == (2 if training else 0)


def test_keys_and_defaults():
    layer = IBN(6)
    assert list(layer.state_dict()) == [
        "IN.weight", "IN.bias",
        "BN.weight", "BN.bias", "BN.running_mean", "BN.running_var", "BN.num_batches_tracked",
    ]  # fmt: skip
    assert (layer.IN.num_features, layer.BN.num_features) == (3, 3)
    assert layer.IN.eps == layer.BN.eps == 1e-5


@pytest.mark.parametrize(
    ("channels", "ratio"), [(8, 0), (8, 1), (8, -0.5), (8, 1.5), (2, 0.4), (1, 0.5), (8, 0.1)]
)
def test_impossible_splits_are_refused_in_one_line(channels, ratio):
    with pytest.raises(UserError, match=r"ratio .*(allowed|use more)") as caught:
        IBN(channels, ratio)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("training", [True, False])
def test_channels_last_is_kept(training):
    layer = in_double(10, 0.3).float().train(training)
    x = torch.randn(2, 10, 5, 7)
    expected = layer(x)
    out = layer(x.contiguous(memory_format=torch.channels_last))
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert expected.is_contiguous()
    layer.eval()
    torch.testing.assert_close(
        layer(x), layer(x.contiguous(memory_format=torch.channels_last)), rtol=1e-5, atol=1e-5
    )


def test_autocast_keeps_the_precision_of_the_convolution():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), in_double(8, 0.5).float())
    x = torch.randn(2, 3, 9, 9)
    expected = network.eval()(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = network(x)
        network.train()(x).float().square().mean().backward()
    torch.testing.assert_close(out.float(), expected, rtol=0.05, atol=0.1)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_conversion_to_synchronised_norm_of_torch():
    layer = in_double(8, 0.25).float().eval()
    x = torch.randn(2, 8, 4, 4)
    expected = layer(x)
    # PyTorch 2.1 leaves the layers that it makes in training mode.
    synchronised = nn.SyncBatchNorm.convert_sync_batchnorm(layer).eval()
    assert isinstance(synchronised.BN, nn.SyncBatchNorm)
    assert isinstance(synchronised.IN, nn.InstanceNorm2d)
    torch.testing.assert_close(synchronised(x), expected)


def test_synchronised_norm_round_trip_of_mmengine():
    model = pytest.importorskip("mmengine.model")
    network = nn.Sequential(nn.Conv2d(3, 8, 3), in_double(8, 0.25).float()).eval()
    x = torch.randn(2, 3, 6, 6)
    expected, state = network(x), {k: v.clone() for k, v in network.state_dict().items()}
    synchronised = model.convert_sync_batchnorm(network)
    assert isinstance(synchronised[1].BN, nn.SyncBatchNorm)
    reverted = model.revert_sync_batchnorm(synchronised).eval()
    assert not any(isinstance(m, nn.SyncBatchNorm) for m in reverted.modules())
    assert isinstance(reverted[1].IN, nn.InstanceNorm2d)
    torch.testing.assert_close(reverted(x), expected)
    assert list(reverted.state_dict()) == list(state)
    assert all(torch.equal(reverted.state_dict()[key], state[key]) for key in state)
