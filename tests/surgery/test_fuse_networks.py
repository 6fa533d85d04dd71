"""Networks made ready for inference: ours, those of other libraries, and segmentors."""

import pytest
import torch
from torch import nn

import ibn_seg
from ibn_seg.layers import IBN
from ibn_seg.layers.fused import Folded, FusedIBN
from ibn_seg.models import create_model
from tests.networks import scrambled, segmentor
from tests.surgery import libraries
from tests.surgery.outputs import assert_same, images

# folded, split, scaled, instance, activations; kept is 0 where it is not said.
NETWORKS = {
    "resnet18": (20, 0, 0, 0, 0),
    "resnet18_ibn_a": (14, 6, 0, 0, 0),
    "resnet18_ibn_b": (19, 0, 0, 3, 1),
    "resnet34": (36, 0, 0, 0, 0),
    "resnet34_ibn_a": (23, 13, 0, 0, 0),
    "resnet34_ibn_b": (35, 0, 0, 3, 1),
    "resnet50": (53, 0, 0, 0, 0),
    "resnet50_ibn_a": (40, 13, 0, 0, 0),
    "resnet50_ibn_b": (52, 0, 0, 3, 1),
    "resnet101": (104, 0, 0, 0, 0),
    "resnet101_ibn_a": (74, 30, 0, 0, 0),
    "resnet101_ibn_b": (103, 0, 0, 3, 1),
    "resnet152": (155, 0, 0, 0, 0),
    "resnet152_ibn_a": (108, 47, 0, 0, 0),
    "resnet152_ibn_b": (154, 0, 0, 3, 1),
    "resnext50": (53, 0, 0, 0, 0),
    "resnext50_ibn_a": (40, 13, 0, 0, 0),
    "resnext101_ibn_a": (74, 30, 0, 0, 0),
    "resnext152_ibn_a": (108, 47, 0, 0, 0),
    "se_resnet50": (53, 0, 0, 0, 0),
    "se_resnet50_ibn_a": (40, 13, 0, 0, 0),
    "se_resnet101_ibn_a": (74, 30, 0, 0, 0),
    "se_resnet152_ibn_a": (108, 47, 0, 0, 0),
    # norm0 and every norm2; every norm1, three transitions and norm5, with their ReLUs.
    "densenet121": (59, 0, 62, 0, 62),
    "densenet121_ibn_a": (59, 0, 62, 0, 62),
    "densenet161_ibn_a": (79, 0, 82, 0, 82),
    "densenet169_ibn_a": (83, 0, 86, 0, 86),
    "densenet201_ibn_a": (99, 0, 102, 0, 102),
}
# Those of the default suite; the others take seconds each.
QUICK = (
    "resnet18",
    "resnet18_ibn_b",
    "resnet50_ibn_a",
    "resnext50_ibn_a",
    "se_resnet50_ibn_a",
    "densenet121_ibn_a",
)
KINDS = ("folded", "split", "scaled", "instance", "activations")
OTHERS = {
    "torchvision resnet18": (lambda: libraries.torchvision("resnet18"), (20, 0, 0, 0, 0)),
    "torchvision densenet121": (
        lambda: libraries.torchvision("densenet121"), (59, 0, 62, 0, 61)),
    "timm resnet50d": (lambda: libraries.timm("resnet50d"), (55, 0, 0, 0, 0)),
    "timm regnety_004": (lambda: libraries.timm("regnety_004"), (53, 0, 0, 0, 0)),
    "timm densenet121": (lambda: libraries.timm("densenet121"), (59, 0, 62, 0, 0)),
    "smp resnet34": (lambda: libraries.smp("resnet34"), (46, 0, 0, 0, 0)),
    "mmseg ResNetV1c": (lambda: libraries.mmseg("ResNetV1c", depth=18), (22, 0, 0, 0, 0)),
    "mmseg HRNet": (lambda: libraries.mmseg("HRNet", extra=libraries.HRNET), (74, 0, 0, 0, 0)),
}  # fmt: skip


def counts(report):
    assert set(report.counts) == {*KINDS, "kept"}
    return tuple(report.counts[kind] for kind in KINDS)


def check_network(name):
    model = scrambled(create_model(name, num_classes=7, zero_init_residual=False)
                      if "densenet" not in name else create_model(name, num_classes=7))  # fmt: skip
    state = {key: value.clone() for key, value in model.state_dict().items()}
    fused, report = ibn_seg.fuse(model)
    assert counts(report) == NETWORKS[name], report
    assert not report.kept
    left = [m for m in fused.modules() if isinstance(m, (nn.BatchNorm2d, nn.InstanceNorm2d, IBN))]
    assert left == []
    for layout in (torch.contiguous_format, torch.channels_last):
        assert_same(fused, model, images(72).contiguous(memory_format=layout))
    after = model.state_dict()
    assert list(after) == list(state)
    assert all(torch.equal(after[key], state[key]) for key in state)
    assert not any(isinstance(m, (Folded, FusedIBN)) for m in model.modules())


@pytest.mark.parametrize("name", QUICK)
def test_our_networks(name):
    check_network(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - set(QUICK)))
def test_our_other_networks(name):
    check_network(name)


@pytest.mark.parametrize("name", OTHERS)
def test_networks_of_other_libraries(name):
    build, expected = OTHERS[name]
    model = scrambled(build())
    fused, report = ibn_seg.fuse(model)
    assert counts(report) == expected, report
    assert not report.kept
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert norms == sum(expected) - len(report.activations)
    assert_same(fused, model, images(96))


def test_converted_networks():
    """Also those whose norms end in an activation (timm)."""
    for model, split in ((libraries.timm("resnet18"), 6), (libraries.timm("regnety_004"), 10)):
        network = scrambled(ibn_seg.convert(model, "a").model)
        fused, report = ibn_seg.fuse(network)
        assert report.counts["split"] == split
        assert_same(fused, network, images(96))


def test_only_the_filters_of_the_batch_norm_change():
    model = scrambled(create_model("resnet18_ibn_a"))
    fused = ibn_seg.fuse(model).model
    before, after = model.layer1[0].conv1, fused.layer1[0].conv1
    assert torch.equal(after.weight[:32], before.weight[:32])
    assert not after.bias[:32].any()
    assert (after.weight[32:] != before.weight[32:]).flatten(1).any(1).all()
    assert isinstance(fused.layer1[0].bn1, FusedIBN)
    assert torch.equal(fused.layer1[0].bn1.IN.weight, model.layer1[0].bn1.IN.weight)


@pytest.mark.parametrize(
    "config",
    [
        "ibn_seg::deeplabv3plus/deeplabv3plus_r50-ibn-a-d16_4xb4-40k_gta5-768x768",
        "ibn_seg::demo/mlp_r18-ibn-b_1xb8-600_scenes-128x128",
    ],
)
def test_segmentors_with_all_heads(config):
    pytest.importorskip("mmseg")
    model = segmentor(config)
    norms = sum(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    plain = norms - sum(isinstance(m, IBN) for m in model.modules())
    fused, report = ibn_seg.fuse(model)
    assert not report.kept
    assert report.counts["folded"] == plain
    assert any(name.startswith("decode_head.") for name in report.folded)
    heads = [name for name in ("auxiliary_head",) if getattr(model, name, None)]
    assert all(any(norm.startswith(head) for norm in report.folded) for head in heads)
    with torch.no_grad():
        x = images(96)
        assert_same(fused.decode_head, model.decode_head, model.extract_feat(x))
        assert_same(fused.extract_feat, model.extract_feat, x)
