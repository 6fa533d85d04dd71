"""What smp 0.6 checks of its own encoders holds for ours, as encoders and in a decoder."""

import copy

import pytest
import torch

smp = pytest.importorskip("segmentation_models_pytorch")
pytest.importorskip("ibn_seg.plugins.smp")

pytestmark = pytest.mark.hosts

SMALLEST = ("resnet18_ibn_a", "resnet18_ibn_b", "resnext50", "resnext50_ibn_a",
            "se_resnet50_ibn_a", "densenet121_ibn_a")  # fmt: skip
STRIDES = [1, 2, 4, 8, 16, 32]


@pytest.fixture(params=SMALLEST)
def name(request):
    return request.param


def encoder_of(name, **options):
    return smp.encoders.get_encoder(name, weights=None, **options).double()


def images(channels=3):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(1, channels, 64, 64, generator=generator, dtype=torch.float64)


def strides(features):
    return [(64 // f.shape[2], 64 // f.shape[3]) for f in features]


def test_forward_and_backward(name):
    encoder = encoder_of(name, in_channels=3)
    features = encoder(images())
    assert len(features) == 6
    features[-1].mean().backward()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_of_the_image(name, channels):
    with torch.no_grad():
        features = encoder_of(name, in_channels=channels).eval()(images(channels))
    assert features[0].shape[1] == channels


@pytest.mark.parametrize("depth", [3, 4, 5])
def test_depth(name, depth):
    encoder = encoder_of(name, in_channels=3, depth=depth).eval()
    with torch.no_grad():
        features = encoder(images())
    assert strides(features) == [(stride, stride) for stride in STRIDES[: depth + 1]]
    assert encoder.output_stride == STRIDES[depth]
    assert list(encoder.out_channels) == [f.shape[1] for f in features]


@pytest.mark.parametrize("depth", [-1, 0, 6])
def test_a_depth_that_is_not_there_is_a_value_error(name, depth):
    with pytest.raises(ValueError, match="encoder_depth"):
        encoder_of(name, in_channels=3, depth=depth)


@pytest.mark.parametrize("stride", [8, 16])
def test_dilation(name, stride):
    with torch.no_grad():
        features = encoder_of(name, in_channels=3, output_stride=stride).eval()(images())
    assert strides(features) == [(min(s, stride), min(s, stride)) for s in STRIDES]


def equal(one, other):
    """All outputs agree to 1e-6 of the largest value."""
    for a, b in zip(one, other, strict=True):
        scale = float(a.abs().max().clamp(min=1))
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6 * scale)


def test_scripted(name):
    encoder = encoder_of(name, in_channels=3).eval()
    with torch.inference_mode():
        scripted = torch.jit.script(copy.deepcopy(encoder))
        equal(encoder(images()), scripted(images()))


def test_exported(name):
    encoder = encoder_of(name, in_channels=3).eval()
    exported = torch.export.export(encoder, (images(),), strict=False)
    with torch.inference_mode():
        equal(encoder(images()), exported.module()(images()))


def test_compiled_without_a_break(name):
    encoder = encoder_of(name, in_channels=3).eval()
    compiled = torch.compile(encoder, fullgraph=True, dynamic=True, backend="eager")
    with torch.inference_mode():
        equal(encoder(images()), compiled(images()))


def test_features_of_an_encoder_are_kept_by_its_hooks(name):
    """smp walks over the stages that a smaller output stride dilates."""
    found = encoder_of(name, in_channels=3).get_stages()
    assert sorted(found) == [16, 32]
    assert all(isinstance(m, torch.nn.Module) for modules in found.values() for m in modules)


def test_a_unet_is_scripted_and_exported(name):
    unet = smp.Unet(name, encoder_weights=None, classes=2).eval().double()
    with torch.inference_mode():
        expected = unet(images())
        equal([expected], [torch.jit.script(copy.deepcopy(unet))(images())])
    exported = torch.export.export(unet, (images(),), strict=False).module()
    equal([expected], [exported(images())])
