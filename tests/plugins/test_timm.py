"""The networks as timm's: the same outputs as ours, and what timm's users rely on."""

import copy

import pytest
import torch

import ibn_seg
from ibn_seg.errors import UserError
from ibn_seg.models.published_weights import AUTHORS, addresses
from ibn_seg.models.specs import MODELS
from tests.models.local_server import released
from tests.models.test_osmr_weights import write_file

timm = pytest.importorskip("timm")
timm_data = pytest.importorskip("timm.data")

OURS = "ibn_seg.plugins.timm"
FAMILIES = [
    "resnet18_ibn_a", "resnet18_ibn_b", "resnext50_ibn_a", "se_resnet50", "densenet121_ibn_a",
    "mx_resnet18",
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def plugin():
    import ibn_seg.plugins.timm

    return ibn_seg.plugins.timm


def image(channels=3, size=(64, 96)):
    return torch.randn(2, channels, *size, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def scrambled(name, **options):
    """One of our networks in eval mode whose norms are not the identity."""
    torch.manual_seed(1)
    network = ibn_seg.create_model(name, **options).eval()
    for key, value in network.state_dict().items():
        if value.dim() == 1 and value.is_floating_point():
            value.uniform_(0.5, 1.5) if key.endswith(("weight", "var")) else value.normal_(std=0.2)
    return network


def test_registered_are_ours_and_timms_own_stay(plugin):
    entry = timm.models.model_entrypoint
    mine = {name for name in MODELS if entry(name).__module__ == OURS}
    assert {name for name, spec in MODELS.items() if spec.ibn} <= mine
    assert {"resnext50", "resnext101", "resnext152", "se_resnet50", "se_resnet101",
            "se_resnet152"} <= mine  # fmt: skip
    assert {"resnet50", "densenet121"} & mine == set()
    assert all(timm.models.is_model(name) for name in MODELS)
    listed = timm.list_models("*ibn*", pretrained=True)
    tags = {AUTHORS: "", "gluoncv2": ".gluoncv2", "pytorchcv": ".pytorchcv"}
    assert sorted(listed) == sorted(
        f"{name}{tags[source]}" for name in MODELS for source in addresses(name)
    )
    assert len(timm.list_models("*_ibn_[ab]")) == sum(
        spec.ibn is not None for spec in MODELS.values()
    )


@pytest.mark.parametrize("name", [*FAMILIES, "resnet18", "densenet121"])
@torch.no_grad()
def test_keys_and_logits_are_create_models(name):
    """Also under the names that are timm's own."""
    expected = scrambled(name, num_classes=10)
    model = timm.create_model(name, num_classes=10).eval()
    model.load_state_dict(expected.state_dict(), strict=True)
    torch.testing.assert_close(model(image()), expected(image()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
@torch.no_grad()
def test_features_are_create_models_and_the_stems(name):
    expected = scrambled(name, features_only=True, output_stride=16)
    model = timm.create_model(name, features_only=True, output_stride=16).eval()
    model.load_state_dict(expected.state_dict(), strict=True)
    stem, *features = model(image())
    for got, wanted in zip(features, expected(image()), strict=True):
        assert torch.equal(got, wanted)
    info = model.feature_info
    assert info.channels() == [f.shape[1] for f in (stem, *features)]
    assert info.reduction() == [64 // f.shape[2] for f in (stem, *features)] == [2, 4, 8, 16, 16]
    names = [dict(model.named_modules())[module] for module in info.module_name()]
    assert len(names) == 5

    few = timm.create_model(name, features_only=True, out_indices=(-1, 1), in_chans=4).eval()
    assert few.feature_info.channels() == [info.channels()[i] for i in (1, 4)]
    assert [f.shape[1] for f in few(image(4))] == few.feature_info.channels()


@pytest.mark.parametrize("kind", ["list", "dict", "hook", "getter"])
@torch.no_grad()
def test_timms_own_ways_to_features(kind):
    expected = timm.create_model("resnet18_ibn_a", features_only=True).eval()
    model = timm.create_model("resnet18_ibn_a", features_only=True, feature_cls=kind).eval()
    inner = model.model if kind == "getter" else model.body if kind == "hook" else model
    inner.load_state_dict(expected.state_dict(), strict=True)
    features = model(image())
    features = list(features.values()) if isinstance(features, dict) else features
    for got, wanted in zip(features, expected(image()), strict=True):
        assert torch.equal(got, wanted)


@pytest.mark.parametrize("name", ["resnet18_ibn_b", "densenet121_ibn_a"])
@torch.no_grad()
def test_heads(name):
    model = timm.create_model(name, num_classes=5, drop_rate=0.5).eval()
    width = model.num_features
    assert (model.head_hidden_size, model.num_classes) == (width, 5)
    maps = model.forward_features(image())
    assert maps.shape == (2, width, 2, 3)
    pooled = model.forward_head(maps, pre_logits=True)
    torch.testing.assert_close(pooled, maps.mean((2, 3)))
    torch.testing.assert_close(model.get_classifier()(pooled), model(image()))
    assert getattr(model, model.get_classifier(name_only=True)) is model.get_classifier()
    model.train()
    assert not torch.equal(model.forward_head(maps), model.forward_head(maps)), "no dropout"
    model.eval()
    model.reset_classifier(0)
    assert torch.equal(model(image()), pooled)
    model.reset_classifier(3, "max")
    assert model(image()).shape == (2, 3)
    torch.testing.assert_close(model.forward_head(maps, pre_logits=True), maps.amax((2, 3)))
    plain = timm.create_model(name, num_classes=0, global_pool="", in_chans=1).eval()
    assert plain(image(1)).shape == maps.shape
    last, features = plain.forward_intermediates(image(1), 2)
    assert torch.equal(last, features[-1])
    assert len(features) == 2


def test_settings_are_the_authors():
    model = timm.create_model("resnet18_ibn_a")
    settings = timm_data.resolve_data_config({}, model=model)
    assert settings["mean"] == (0.485, 0.456, 0.406)
    assert settings["input_size"] == (3, 224, 224)
    assert (settings["interpolation"], settings["crop_pct"]) == ("bilinear", 0.875)
    assert model.default_cfg["classifier"] == "fc"
    assert model.pretrained_cfg["url"] == MODELS["resnet18_ibn_a"].url
    names = dict(model.named_parameters())
    assert model.pretrained_cfg["first_conv"] + ".weight" in names


def test_training_helpers_of_timm():
    for name, count, coarse_count in (("densenet121_ibn_a", 64, 7), ("resnet18_ibn_b", 10, 6)):
        model = timm.create_model(name, num_classes=3)
        names = {n for n, _ in model.named_parameters()}
        for coarse, number in ((False, count), (True, coarse_count)):
            groups = timm.models.group_parameters(model, model.group_matcher(coarse=coarse))
            assert {n for group in groups.values() for n in group} == names
            assert len(groups) == number
    model.set_grad_checkpointing()
    assert all(block.with_cp for block in model.blocks())
    copy.deepcopy(model)(image()).sum().backward()


def test_published_weights_through_our_download(tmp_path, monkeypatch):
    name = "resnet18_ibn_a"
    with released(name, tmp_path, monkeypatch) as (release, _, weights):
        model = timm.create_model(name, pretrained=True)
        for key, value in model.state_dict().items():
            assert torch.equal(value, weights[key]), key
        assert "state_dict" not in model.pretrained_cfg
        other = timm.create_model(name, pretrained=True, num_classes=7, in_chans=1)
        assert other.fc.weight.shape == (7, 512)
        torch.testing.assert_close(other.conv1.weight, weights["conv1.weight"].sum(1, keepdim=True))
        assert torch.equal(other.layer4[0].conv1.weight, weights["layer4.0.conv1.weight"])
        features = timm.create_model(name, pretrained=True, features_only=True, out_indices=(1,))
        for key, value in features.state_dict().items():
            assert torch.equal(value, weights[key]), key
        (kept,) = (tmp_path / "hub" / "checkpoints").iterdir()
        for path in (kept, release / kept.name):
            path.write_bytes(path.read_bytes()[:-1] + b"?")
        with pytest.raises(UserError, match=r"its SHA-256 begins with .*, expected"):
            timm.create_model(name, pretrained=True)


def test_tags_are_sources_of_weights(plugin, monkeypatch):
    asked = []

    def weights(name, source):
        asked.append((name, source))
        raise UserError("asked")

    monkeypatch.setattr(plugin, "published_weights", weights)
    for given in ("densenet121_ibn_a", "densenet121_ibn_a.gluoncv2", "densenet121_ibn_a.pytorchcv"):
        with pytest.raises(UserError, match="asked"):
            timm.create_model(given, pretrained=True)
    assert asked == [("densenet121_ibn_a", s) for s in ("authors", "gluoncv2", "pytorchcv")]
    cfg = timm.models.get_pretrained_cfg("resnet50_ibn_b.gluoncv2")
    assert cfg.origin_url == "https://github.com/osmr/imgclsmob"


def test_a_file_of_mxnet(tmp_path):
    expected = scrambled("resnet18_ibn_b", num_classes=1000)
    file, _ = write_file(tmp_path, "gluoncv2", expected.state_dict())
    model = timm.create_model(
        "resnet18_ibn_b", pretrained=True, num_classes=7,
        pretrained_cfg_overlay={"file": str(file)},
    )  # fmt: skip
    assert model.fc.weight.shape == (7, 512)
    assert torch.equal(model.layer2[1].IN.weight, expected.layer2[1].IN.weight)


def test_a_file_of_ones_own(tmp_path):
    expected = scrambled("resnet18_ibn_b", num_classes=1000)
    torch.save(expected.state_dict(), tmp_path / "mine.pth")
    model = timm.create_model(
        "resnet18_ibn_b", pretrained=True,
        pretrained_cfg_overlay={"file": str(tmp_path / "mine.pth")},
    )  # fmt: skip
    assert torch.equal(model.fc.weight, expected.fc.weight)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pretrained": True}, "resnet152_ibn_a: its authors published no weights: there are: res"),
        ({"features_only": True, "out_indices": (5,)}, r"out_indices=\(5,\) .* from -5 to 4"),
        ({"output_stride": 5}, "unknown output stride 5"),
    ],
)
def test_what_cannot_be_had_is_one_line(options, message):
    with pytest.raises(UserError, match=message):
        timm.create_model("resnet152_ibn_a", **options)
