"""The networks of IBN-Net.mxnet: what they are built of, and what they share with all families."""

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

import ibn_seg
from ibn_seg.errors import UserError
from ibn_seg.layers import IBN, InstanceNorm
from ibn_seg.layers.placement import VARIANTS, Variant
from ibn_seg.models.factory import FAMILIES, create_model
from ibn_seg.plugins.mmengine import IBNMXResNet

SMALL = {"stem_channels": 8, "filters": (16, 32, 64, 128)}
NETWORKS = {
    "resnet a": ("mx_resnet", {"depth": 50, "ibn": "a"}),
    "resnet 18": ("mx_resnet", {"depth": 18}),
    "resnext a": ("mx_resnext", {"depth": 50, "ibn": "a", "groups": 4}),
    "resnext b": ("mx_resnext", {"depth": 50, "ibn": "b", "groups": 4}),
    "resnext 18": ("mx_resnext", {"depth": 18}),
    "resnext wd": ("mx_resnext_wd", {"depth": 50, "ibn": "a", "groups": 4}),
}


def build(name, **options):
    family, settings = NETWORKS[name]
    torch.manual_seed(0)
    network = FAMILIES[family](**{**SMALL, **settings, **options})
    for key, value in network.state_dict().items():
        if value.dim() == 1 and value.is_floating_point():
            value.uniform_(0.5, 1.5) if key.endswith(("weight", "var")) else value.normal_(std=0.2)
    return network.eval()


def image(size=64):
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))


def norms(network, kind):
    return [name for name, module in network.named_modules() if type(module) is kind]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_norm_has_the_eps_of_the_source(name):
    found = [m for m in build(name).modules() if isinstance(m, _BatchNorm | nn.InstanceNorm2d)]
    assert {module.eps for module in found} == {2e-5}


def test_where_the_instance_norms_are():
    blocks = [f"layer{s + 1}.{i}" for s, n in enumerate((3, 4, 6, 3)) for i in range(n)]
    for name in ("resnet a", "resnext a", "resnext wd"):
        assert norms(build(name), IBN) == [f"{b}.bn1" for b in blocks if not b.startswith("layer4")]
        everywhere = build(name, ibn=None, ibn_stages=["a"] * 4)
        assert norms(everywhere, IBN) == [f"{b}.bn1" for b in blocks]
    assert norms(build("resnext b"), InstanceNorm) == [f"{b}.IN" for b in blocks]
    assert norms(build("resnext b"), IBN) == []
    for name in ("resnet 18", "resnext 18"):
        assert norms(build(name), IBN) == norms(build(name), InstanceNorm) == []


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_feature_maps_are_activated_and_end_in_the_logits(name):
    network = build(name, num_classes=5)
    encoder = build(name)
    encoder.load_state_dict(network.state_dict(), strict=False)
    maps = encoder(image())
    assert [m.shape[1] for m in maps] == list(SMALL["filters"])
    assert all((m >= 0).all() and (m > 0).any() for m in maps)
    torch.testing.assert_close(network(image()), network.fc(maps[-1].mean((2, 3))))
    for info, feature in zip(encoder.feature_info, maps, strict=True):
        seen = []
        hook = encoder.get_submodule(info.module).register_forward_hook(
            lambda module, inputs, output: seen.append(output)  # noqa: B023 - called at once
        )
        encoder(image())
        hook.remove()
        torch.testing.assert_close(seen[-1], feature)


@torch.no_grad()
def test_a_smaller_output_stride_keeps_what_a_projection_sees():
    """At the positions that a stride kept, a dilated stage's projection gives the same."""
    plain = build("resnext wd")
    dilated = build("resnext wd", strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4))
    x = torch.randn(1, 32, 16, 16, generator=torch.Generator().manual_seed(2))
    third = [network.layer3[0].downsample[0] for network in (plain, dilated)]
    fourth = [network.layer4[0].downsample[0] for network in (plain, dilated)]
    narrow, wide = third[0](x), third[1](x)
    torch.testing.assert_close(wide[:, :, ::2, ::2], narrow)
    torch.testing.assert_close(fourth[1](wide)[:, :, ::4, ::4], fourth[0](narrow))


@pytest.mark.parametrize("name", ["resnet a", "resnext b", "resnext wd"])
@torch.no_grad()
def test_traced_and_fused_networks_give_the_same(name):
    network = build(name, num_classes=5, units=(1, 1, 1, 1))
    expected = network(image())
    most = 1e-5 * expected.abs().max()
    traced = torch.fx.symbolic_trace(network)
    assert (traced(image()) - expected).abs().max() <= most
    assert (torch.jit.script(traced)(image()) - expected).abs().max() <= most
    ibn_seg.fuse(network)
    assert (network(image()) - expected).abs().max() <= most


def test_dropout_is_for_training():
    network = build("resnext wd", num_classes=5)
    assert torch.equal(network(image()), network(image()))
    maps = torch.ones(400, 128)
    network.train()
    dropped = network.fc(maps)
    assert not torch.equal(dropped[0], dropped[1])
    exact = build("resnext wd", num_classes=5, dropout=0.0).train()
    assert torch.equal(exact.fc(maps)[0], exact.fc(maps)[1])


def test_a_small_stem_and_three_stages():
    network = FAMILIES["mx_resnet"](
        11, units=(1, 1, 1), stem="small", stem_channels=4, filters=(8, 16, 32), bottleneck=True,
        ibn="a", frozen_stages=1,
    )  # fmt: skip
    maps = network.eval()(image(32))
    assert [m.shape[1:] for m in maps] == [(8, 32, 32), (16, 16, 16), (32, 8, 8)]
    assert [(i.channels, i.stride) for i in network.feature_info] == [(8, 1), (16, 2), (32, 4)]
    assert not network.conv1.weight.requires_grad
    assert network.layer2[0].bn1.IN.weight.requires_grad


def test_a_variant_of_ones_own(monkeypatch):
    monkeypatch.setitem(VARIANTS, "own", Variant((1,), first_norm=IBN))
    network = create_model("mx_resnet18", ibn="own", **{"filters": (8, 8, 8, 8)})
    assert norms(network, IBN) == ["layer2.0.bn1", "layer2.1.bn1"]


def test_a_config_may_name_another_eps():
    assert IBNMXResNet(18).bn1.eps == 2e-5
    assert IBNMXResNet(18, norm_cfg={"type": "SyncBN"}).bn1.eps == 2e-5
    assert IBNMXResNet(18, norm_cfg={"type": "BN", "eps": 1e-3}).bn1.eps == 1e-3


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet a", {"depth": 51}, "unknown MX-ResNet depth 51"),
        ("resnet a", {"ibn": "b"}, "variant 'b' has no place in MX-ResNet"),
        ("resnet a", {"stem": "odd"}, "unknown MX-ResNet stem 'odd'"),
        ("resnet a", {"units": (0, 1)}, r"units=\(0, 1\) are no blocks"),
        ("resnet a", {"filters": (16, 32)}, "do not describe 4 stages: give 4 multiples of 4"),
        ("resnet a", {"filters": (16, 32, 64, 66)}, "do not describe 4 stages"),
        ("resnext a", {"groups": 3}, "groups=3 of MX-ResNeXt do not divide its widths"),
        ("resnext b", {"groups": 32}, "groups=32 of MX-ResNeXt do not divide"),
        ("resnext a", {"groups": 0}, "groups=0 of MX-ResNeXt"),
        ("resnext 18", {"ibn_ratio": 0.25}, "no norm is split"),
        ("resnext a", {"out_indices": (4,)}, "names stages that are not there"),
    ],
)
def test_wrong_arguments_are_one_line(name, options, message):
    with pytest.raises(UserError, match=message):
        build(name, **options)


def test_a_stem_norm_is_refused(monkeypatch):
    variant = Variant((1,), first_norm=IBN, stem=True)
    monkeypatch.setitem(VARIANTS, "stemmed", variant)
    with pytest.raises(UserError, match="has an instance norm in the stem, MX-ResNet has none"):
        build("resnet a", ibn="stemmed")
