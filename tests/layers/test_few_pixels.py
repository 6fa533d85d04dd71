"""Maps of one pixel and empty batches, which a batch norm takes."""

import copy

import pytest
import torch
from torch import nn

from ibn_seg.layers import IBN, InstanceNorm
from ibn_seg.layers.fused import FusedIBN, FusedInstanceNorm
from tests.layers.steps import images, randomised
from tests.layers.test_recorded import scripted

LAYERS = {
    "ibn": lambda: IBN(20),
    "ibn_last": lambda: IBN(20, 0.3, instance_first=False),
    "instance": lambda: InstanceNorm(20),
}


def shift(layer):
    """Return what one pixel gives in the channels of the instance norm, and these."""
    if isinstance(layer, InstanceNorm):
        return layer.bias, slice(None)
    count = layer.IN.num_features
    return layer.IN.bias, slice(count) if layer.instance_first else slice(20 - count, None)


def fused(layer, **options):
    layer = copy.deepcopy(layer)
    make = FusedInstanceNorm if isinstance(layer, InstanceNorm) else FusedIBN
    return make(layer, **options)


FORMS = {
    "eager": lambda layer: layer,
    "fused": fused,
    "scripted": lambda layer: scripted(layer, None),
    "fx": lambda layer: torch.fx.symbolic_trace(nn.Sequential(layer)),
    "fx_of_training": lambda layer: torch.fx.symbolic_trace(nn.Sequential(layer.train())).eval(),
}


@pytest.mark.parametrize("layout", ["nchw", "channels_last"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", LAYERS)
def test_one_pixel_gives_the_shift_alone_in_evaluation(kind, form, layout):
    layer = randomised(LAYERS[kind]()).eval()
    bias, channels = shift(layer)
    recorded = FORMS[form](layer)
    x = images(3, 20, 1, 1, layout=layout) * 1e4
    for gradients in (False, True):
        with torch.set_grad_enabled(gradients):
            y = recorded(x.clone())
        assert torch.equal(y[:, channels], bias.detach().view(1, -1, 1, 1).expand(3, -1, 1, 1))
    if kind != "instance":
        rest = [c for c in range(20) if c not in range(20)[channels]]
        expected = layer.eval().BN(x[:, rest])
        torch.testing.assert_close(y[:, rest], expected)


@pytest.mark.parametrize("kind", LAYERS)
def test_the_gradient_of_one_pixel_is_zero_and_nan_stays(kind):
    layer = randomised(LAYERS[kind]()).double().eval()
    bias, channels = shift(layer)
    x = torch.randn(2, 20, 1, 1, dtype=torch.double, requires_grad=True)
    layer(x)[:, channels].sum().backward()
    assert not x.grad.any()
    assert torch.equal(bias.grad, torch.full_like(bias, 2))
    for value in (float("nan"), float("inf")):
        assert layer(torch.full_like(x, value))[:, channels].isnan().all()
    # PyTorch 2.1 has no batch norm in half precision on a CPU.
    for dtype in (torch.half, torch.bfloat16)[torch.__version__ < (2, 3) :]:
        assert layer.to(dtype)(x.detach().to(dtype)).dtype == dtype


@pytest.mark.parametrize("form", ["eager", "scripted"])
@pytest.mark.parametrize("kind", LAYERS)
def test_one_pixel_stays_an_error_in_training(kind, form):
    layer = FORMS[form](LAYERS[kind]().train())
    with pytest.raises(Exception, match="Expected more than 1 spatial element when training"):
        layer(torch.randn(2, 20, 1, 1))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("form", ["eager", "scripted", "fx"])
@pytest.mark.parametrize("kind", LAYERS)
def test_empty_batches_go_through(kind, form, training):
    layer = FORMS[form](randomised(LAYERS[kind]()).train(training))
    x = torch.randn(0, 20, 4, 5, requires_grad=True)
    y = layer(x)
    assert y.shape == x.shape
    y.sum().backward()
    assert x.grad.shape == x.shape


def test_single_samples_and_other_shapes():
    layer, x = randomised(InstanceNorm(20)).eval(), torch.randn(20, 4, 5)
    for form in ("eager", "scripted", "fx", "fused"):
        torch.testing.assert_close(FORMS[form](layer)(x), layer(x[None])[0], rtol=1e-5, atol=1e-5)
        one = FORMS[form](layer)(x[:, :1, :1])
        assert torch.equal(one, layer.bias.view(-1, 1, 1))
    for shape in ((20,), (1, 20), (1, 2, 20, 4, 5)):
        with pytest.raises(Exception, match="expected 3D or 4D input"):
            FORMS["scripted"](layer)(torch.randn(shape))
