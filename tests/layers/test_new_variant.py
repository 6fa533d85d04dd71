"""A variant is one entry of the table: whatever builds networks takes it from there."""

import importlib

import pytest
import torch
from torch import nn

import ibn_seg
from ibn_seg.errors import UserError
from ibn_seg.layers import IBN, InstanceNorm, Placement, placement
from ibn_seg.layers.placement import VARIANTS, Variant
from ibn_seg.models import specs


@pytest.fixture
def both(monkeypatch):
    """Enter a variant that splits norms in stage 2 and adds norms in stage 2, with its stem."""
    variant = Variant((1,), first_norm=IBN, norm_after_addition=InstanceNorm, stem=True)
    monkeypatch.setitem(VARIANTS, "both", variant)
    return "both"


def grouped(channels, ratio, norm_layer, instance_first=True):
    return nn.GroupNorm(2, channels)


@pytest.fixture
def groups(monkeypatch):
    """Enter a variant whose norm is none of ours."""
    monkeypatch.setitem(VARIANTS, "groups", Variant((0, 3), first_norm=grouped))
    return "groups"


def norms(network, kind):
    return [name for name, module in network.named_modules() if type(module) is kind]


SPLIT = ["layer2.0.bn1", "layer2.1.bn1"]
ADDED = ["bn1", "layer2.1.IN"]


def test_a_named_network_has_what_the_entry_builds(both):
    network = ibn_seg.create_model("resnet18", ibn=both, base_channels=8, num_classes=3)
    assert norms(network, IBN) == SPLIT
    assert norms(network, InstanceNorm) == ADDED
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 3)


def test_a_norm_of_another_kind_is_built_too(groups):
    network = ibn_seg.create_model("resnet50", ibn=groups, base_channels=8)
    built = norms(network, nn.GroupNorm)
    assert built == [f"layer1.{i}.bn1" for i in range(3)] + [f"layer4.{i}.bn1" for i in range(3)]
    dense = ibn_seg.create_model("densenet121", ibn=groups)
    assert len(norms(dense, nn.GroupNorm)) == 2 + 6
    marked = ibn_seg.create_model("resnet18", ibn_stages=[None, groups, "a", "b"], base_channels=8)
    assert norms(marked, nn.GroupNorm) == SPLIT


def test_a_config_takes_it(both):
    backbones = pytest.importorskip("ibn_seg.plugins.mmengine")
    network = backbones.MODELS.build({"type": "IBNResNet", "depth": 18, "ibn": both})
    assert norms(network, IBN) == SPLIT
    assert norms(network, InstanceNorm) == ADDED


def test_timm_and_smp_build_a_named_network_of_it(both, monkeypatch):
    for library in ("timm", "segmentation_models_pytorch"):
        pytest.importorskip(library)
    timm, encoders = map(importlib.import_module, ("ibn_seg.plugins.timm", "ibn_seg.plugins.smp"))
    spec = specs.ModelSpec("resnet", 18, both, 0, 0.0)
    monkeypatch.setattr(specs, "MODELS", {**specs.MODELS, spec.name: spec})
    for module in ("ibn_seg.models.factory", "ibn_seg.plugins.smp", "ibn_seg.plugins.timm"):
        monkeypatch.setattr(f"{module}.MODELS", specs.MODELS)
    network = timm.TimmResNet(**timm.network_settings(spec.name))
    encoder = type("E", (encoders.Encoder, ibn_seg.models.resnet.ResNet), {})(spec.name)
    for made in (network, encoder):
        assert norms(made, IBN) == SPLIT
        assert norms(made, InstanceNorm) == ADDED


def test_networks_of_others_are_converted_to_it(both):
    torchvision = pytest.importorskip("torchvision")
    network = torchvision.models.resnet18()
    model, report = ibn_seg.convert(network, both)
    assert (list(report.split), list(report.replaced), list(report.added)) == (
        SPLIT, ["bn1"], ["layer2.1.IN"],
    )  # fmt: skip
    assert model.eval()(torch.randn(1, 3, 64, 64)).shape == (1, 1000)
    ours = ibn_seg.convert(ibn_seg.create_model("resnet18", base_channels=8), both).model
    assert ours.placement == Placement.resolve(both)
    dense = torchvision.models.densenet121()
    with pytest.raises(UserError, match="variant 'both' has no meaning for DenseNet"):
        ibn_seg.convert(dense, both)
    with pytest.raises(UserError, match="'both' needs residual additions"):
        ibn_seg.create_model("densenet121", ibn=both)


def test_what_cannot_be_made_of_batch_norms_is_refused(groups):
    with pytest.raises(UserError, match="'groups' has norms other than IBN"):
        ibn_seg.convert(ibn_seg.create_model("resnet18", base_channels=8), groups)


def test_a_stem_alone_in_a_densenet(monkeypatch):
    monkeypatch.setitem(VARIANTS, "stem", Variant((0,), first_norm=IBN, stem=True))
    network = ibn_seg.create_model("densenet121", ibn="stem")
    assert norms(network, InstanceNorm) == ["features.norm0"]
    assert len(norms(network, IBN)) == 2


def test_an_entry_that_builds_nothing_cannot_be_made(monkeypatch):
    for arguments in ({"stages": (0,)}, {"stages": (), "first_norm": IBN}):
        with pytest.raises(ValueError, match="has to mark stages, and to build a norm"):
            Variant(**arguments)
    monkeypatch.setitem(VARIANTS, "late", Variant((3,), first_norm=IBN))
    with pytest.raises(UserError, match="ibn='late' marks no stage of a network with 2"):
        ibn_seg.create_model(
            "resnet18", ibn="late", num_stages=2, strides=(1, 2), dilations=(1, 1),
            features_only=True, out_indices=(0, 1),
        )  # fmt: skip


def test_unknown_names_list_the_entries(both):
    with pytest.raises(UserError, match=r"'c'.*a, b, in, .*, both, None"):
        ibn_seg.create_model("resnet18", ibn="c")


class Wrong(nn.Module):
    """A norm that drops channels."""

    def __init__(self, channels, **_):
        super().__init__()

    def forward(self, x):
        return x[:, 1:]


@pytest.fixture
def table(monkeypatch):
    monkeypatch.setattr("ibn_seg.layers.placement.VARIANTS", dict(VARIANTS))


@pytest.mark.parametrize("name", ["resnet18", "resnext50", "se_resnet50", "densenet121"])
def test_a_norm_of_ones_own_is_in_every_family(name, table):
    ibn_seg.register_variant("mine", Variant((0, 1), first_norm=grouped))
    ibn_seg.register_variant("mine", Variant((0, 1), first_norm=grouped))
    network = ibn_seg.create_model(name, ibn="mine", num_classes=3)
    assert norms(network, nn.GroupNorm)
    assert not norms(network, IBN)
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 3)


@pytest.mark.parametrize(
    ("name", "variant", "message"),
    [
        ("a", Variant((0,), first_norm=grouped), "there is a variant 'a' already"),
        ("my norm", Variant((0,), first_norm=grouped), "'my norm' cannot name a variant"),
        ("mine", {"stages": (0,)}, "is no variant: give ibn_seg.Variant"),
        ("mine", Variant((0,), first_norm=nn.BatchNorm2d), "first_norm of variant 'mine' cannot"),
        ("mine", Variant((0,), norm_after_addition=lambda: None), "norm_after_addition of variant"),
        ("mine", Variant((0,), first_norm=lambda c, **_: None), "returns None, no module"),
        (
            "mine", Variant((0,), first_norm=lambda c, **_: nn.GroupNorm(48, c)),
            r"for 64 channels: num_channels .*must be divisible by num_groups",
        ),
        (
            "mine", Variant((0,), first_norm=lambda c, **_: nn.LayerNorm(c)),
            "cannot run on maps: Given normalized_shape",
        ),
        ("mine", Variant((0,), first_norm=Wrong), r"makes shape \(2, 63, 4, 4\)"),
    ],
)  # fmt: skip
def test_what_is_no_variant_is_one_line(name, variant, message, table):
    with pytest.raises(UserError, match=message) as caught:
        ibn_seg.register_variant(name, variant)
    assert "\n" not in caught.value.line
    assert name == "a" or name not in placement.VARIANTS


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stages": 1, "first_norm": grouped}, "stages=1 of a variant: give stages from 0 to 3"),
        ({"stages": "01", "first_norm": grouped}, "stages='01' of a variant"),
        ({"stages": (0, 7), "first_norm": grouped}, r"stages=\(0, 7\) of a variant"),
        ({"stages": (0,), "first_norm": 5}, "first_norm=5 of a variant"),
        (
            {"stages": (0,), "first_norm": grouped, "stem": True, "stem_norm": None},
            "stem_norm=None of a variant",
        ),
    ],
)
def test_a_part_that_builds_nothing_is_refused(settings, message):
    with pytest.raises(UserError, match=message):
        Variant(**settings)


def test_a_width_that_a_norm_does_not_fit_is_one_line(table):
    """A DenseNet has widths of which the trial of a norm knows nothing."""
    wide = Variant((0, 1, 2, 3), first_norm=lambda c, **_: nn.GroupNorm(64, c))
    ibn_seg.register_variant("wide", wide)
    with pytest.raises(UserError, match="'wide' cannot be built for 160 channels: num_channels"):
        ibn_seg.create_model("densenet121", ibn="wide")


def test_a_trial_draws_no_random_numbers(table):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    ibn_seg.register_variant("drawn", Variant((0,), norm_after_addition=lambda c: Drawn(c)))
    assert torch.equal(torch.rand(3), expected)


class Drawn(nn.Module):
    """A norm that starts from random numbers."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(channels))

    def forward(self, x):
        return x * self.weight.view(1, -1, 1, 1)
