"""The networks as encoders of segmentation_models_pytorch: ours inside, its protocol outside."""

import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

import ibn_seg
from ibn_seg.errors import UserError
from ibn_seg.models.blocks import BasicBlock
from ibn_seg.models.published_weights import IMAGE_MEAN, IMAGE_STD
from ibn_seg.models.specs import MODELS
from tests.models.local_server import released

smp = pytest.importorskip("segmentation_models_pytorch")
FAMILIES = [
    "resnet18_ibn_a", "resnet18_ibn_b", "resnext50_ibn_a", "se_resnet50_ibn_a", "densenet121_ibn_a",
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def plugin():
    before = dict(smp.encoders.encoders)
    import ibn_seg.plugins.smp

    return ibn_seg.plugins.smp, before


def image(channels=3, size=(64, 96)):
    return torch.randn(2, channels, *size, generator=torch.Generator().manual_seed(0))


def test_registered_are_ours_and_smps_own_stay(plugin):
    module, before = plugin
    table = smp.encoders.encoders
    mine = {name for name in MODELS if table[name]["encoder"].__module__ == module.__name__}
    assert {name for name, spec in MODELS.items() if spec.ibn} <= mine
    assert {"resnext50", "resnext101", "resnext152"} <= mine
    assert {"resnet50", "se_resnet50", "densenet121"} & mine == set()
    for name, entry in before.items():
        assert table[name] is entry


@pytest.mark.parametrize(
    ("name", "stride"),
    [*((name, 16) for name in FAMILIES), ("resnet18_ibn_b", 32), ("resnet18_ibn_b", 8),
     ("densenet121_ibn_a", 8), ("mx_resnext_wd50_ibn_a", 8)],
)  # fmt: skip
@torch.no_grad()
def test_features_are_create_models(name, stride):
    encoder = smp.encoders.get_encoder(name, output_stride=stride).eval()
    for module in encoder.modules():
        if isinstance(module, _BatchNorm):  # the last of a block starts from zero
            module.weight.uniform_(0.5, 1)
    expected = ibn_seg.create_model(name, features_only=True, output_stride=stride).eval()
    expected.load_state_dict(encoder.state_dict(), strict=True)
    for block in expected.modules():
        if isinstance(block, BasicBlock):  # smp dilates both convolutions
            block.conv2.dilation = block.conv2.padding = block.conv1.dilation
    given, stem, *features = encoder(image())
    assert torch.equal(given, image())
    for got, wanted in zip(features, expected(image()), strict=True):
        # smp also "dilates" 1x1 convolutions, which another kernel computes.
        assert (got - wanted).abs().max() <= 1e-4 * wanted.abs().max()
    assert encoder.out_channels == [f.shape[1] for f in (given, stem, *features)]
    assert encoder.output_stride == stride == 64 // features[-1].shape[2]


@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize("variant", ["a", "b"])
def test_basic_blocks_are_dilated_as_smps_own(variant, stride):
    """smp dilates both convolutions of a block; timm's and mmseg's networks the first alone."""
    found = []
    for name in ("resnet18", f"resnet18_ibn_{variant}"):
        with torch.device("meta"):
            encoder = smp.encoders.get_encoder(name, weights=None, output_stride=stride)
        found.append({
            name: (module.stride, module.padding, module.dilation)
            for name, module in encoder.named_modules()
            if isinstance(module, torch.nn.Conv2d)
        })  # fmt: skip
    assert found[0] == found[1]


@pytest.mark.parametrize(("depth", "channels"), [(3, 1), (4, 4), (5, 3)])
@torch.no_grad()
def test_depths_and_channels_of_unet(depth, channels):
    model = smp.Unet(
        "resnet18_ibn_b", encoder_weights=None, encoder_depth=depth, in_channels=channels,
        classes=19, decoder_channels=[32, 16, 8, 8, 8][:depth],
    ).eval()  # fmt: skip
    assert model(image(channels)).shape == (2, 19, 64, 96)
    features = model.encoder(image(channels))
    assert model.encoder.out_channels == [f.shape[1] for f in features]
    assert len(features) == depth + 1


@pytest.mark.parametrize(
    ("name", "stride"), [("resnet18_ibn_a", 16), ("resnet18_ibn_b", 8), ("densenet121_ibn_a", 8)]
)
def test_deeplab_trains(name, stride):
    model = smp.DeepLabV3Plus(
        name, encoder_weights=None, encoder_output_stride=stride, classes=19
    ).train()
    out = model(image())
    assert out.shape == (2, 19, 64, 96)
    out.square().mean().backward()
    assert all(p.grad is not None for p in model.encoder.parameters())


@pytest.mark.parametrize("kind", ["FPN", "PAN", "PSPNet"])
@torch.no_grad()
def test_other_decoders_run(kind):
    model = getattr(smp, kind)("resnet18_ibn_a", encoder_weights=None, classes=3).eval()
    assert model(image(size=(128, 128))).shape == (2, 3, 128, 128)


def test_published_weights_through_our_download(tmp_path, monkeypatch):
    name = "resnet18_ibn_a"
    with released(name, tmp_path, monkeypatch) as (release, _, weights):
        model = smp.Unet(name, encoder_weights="imagenet", classes=19)
        for key, value in model.encoder.state_dict().items():
            assert torch.equal(value, weights[key]), key
        grey = smp.encoders.get_encoder(name, in_channels=1, weights="imagenet", depth=4)
        torch.testing.assert_close(grey.conv1.weight, weights["conv1.weight"].sum(1, keepdim=True))
        # The default of smp's models.
        assert torch.equal(smp.FPN(name).encoder.conv1.weight, weights["conv1.weight"])
        (kept,) = (tmp_path / "hub" / "checkpoints").iterdir()
        for path in (kept, release / kept.name):
            path.write_bytes(path.read_bytes()[:-1] + b"?")
        with pytest.raises(UserError, match=r"its SHA-256 begins with .*, expected"):
            smp.Unet(name, encoder_weights="imagenet")


def test_weights_of_other_sources(plugin, monkeypatch):
    asked = []

    def weights(name, source):
        asked.append((name, source))
        raise UserError("asked")

    monkeypatch.setattr(plugin[0], "published_weights", weights)
    for given in ("imagenet", "gluoncv2", "pytorchcv"):
        with pytest.raises(UserError, match="asked"):
            smp.encoders.get_encoder("densenet121_ibn_a", weights=given)
    assert asked == [("densenet121_ibn_a", s) for s in ("authors", "gluoncv2", "pytorchcv")]
    assert smp.encoders.get_preprocessing_params("resnet50_ibn_b", "gluoncv2")["mean"] == list(
        IMAGE_MEAN
    )


def test_preprocessing_is_the_authors():
    params = smp.encoders.get_preprocessing_params("resnet50_ibn_a", "imagenet")
    assert params == {
        "input_space": "RGB", "input_range": [0, 1],
        "mean": list(IMAGE_MEAN), "std": list(IMAGE_STD),
    }  # fmt: skip
    prepare = smp.encoders.get_preprocessing_fn("densenet121_ibn_a", "imagenet")
    assert prepare(image().permute(0, 2, 3, 1).numpy()).shape == (2, 64, 96, 3)


def test_other_repositories_are_still_asked_for(monkeypatch, plugin):
    """Of smp's own encoders, the weights come from where smp says."""
    asked = []
    monkeypatch.setattr(plugin[0], "_hub_download", lambda *a, **k: asked.append((a, k)) or "x")
    assert smp.encoders.hf_hub_download("smp-hub/resnet18", filename="a", revision="b") == "x"
    assert asked == [(("smp-hub/resnet18", "a"), {"revision": "b"})]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, UserError, "resnet152_ibn_a: its authors published no weights: there are: resnet18_i"),
        ({"encoder_weights": "ssl"}, KeyError, r"Available options are: \['imagenet'\]"),
        ({"encoder_weights": None, "encoder_depth": 6}, UserError, "encoder_depth=6 .*1 to 5"),
    ],
)
def test_what_cannot_be_had_is_an_error(options, error, message):
    with pytest.raises(error, match=message):
        smp.Unet("resnet152_ibn_a", **options)
