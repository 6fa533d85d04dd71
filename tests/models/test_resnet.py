"""The network itself: where the norms are, features, recomputation, gradients, bad arguments."""

import pytest
import torch
from torch import nn

from ibn_seg.errors import UserError
from ibn_seg.layers import IBN
from ibn_seg.models import ResNet
from ibn_seg.models.backbone import OUTPUT_STRIDES

SMALL = {"stem_channels": 8, "base_channels": 4}


def instance_norms(network):
    return {
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.InstanceNorm2d) and not name.endswith("bn1.IN")
    }


def ibns(network):
    return {name for name, module in network.named_modules() if isinstance(module, IBN)}


@pytest.mark.parametrize("depth", [18, 50])
def test_placement_a(depth):
    network = ResNet(depth, ibn="a", **SMALL)
    counts = [len(getattr(network, f"layer{stage}")) for stage in (1, 2, 3)]
    assert ibns(network) == {
        f"layer{stage + 1}.{block}.bn1" for stage, n in enumerate(counts) for block in range(n)
    }
    assert instance_norms(network) == set()


@pytest.mark.parametrize(("deep_stem", "stem"), [(False, "bn1"), (True, "stem.7")])
def test_placement_b(deep_stem, stem):
    network = ResNet(50, ibn="b", deep_stem=deep_stem, **SMALL)
    assert ibns(network) == set()
    assert instance_norms(network) == {stem, "layer1.2.IN", "layer2.3.IN"}
    assert network.layer1[2].IN.num_features == 16


def test_free_placement():
    network = ResNet(18, ibn_stages=[None, "b", None, "a"], ibn_stem=False, **SMALL)
    assert ibns(network) == {"layer4.0.bn1", "layer4.1.bn1"}
    assert instance_norms(network) == {"layer2.1.IN"}


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75])
def test_the_ratio_is_that_of_every_split_norm(ratio):
    network = ResNet(50, ibn_stages=["a", "b", "a", None], ibn_ratio=ratio, **SMALL)
    assert ibns(network) >= {"layer1.0.bn1", "layer3.5.bn1"}
    for name in ibns(network):
        norm = network.get_submodule(name)
        assert norm.IN.num_features == int(norm.channels * ratio)
        assert norm.BN.num_features == norm.channels - norm.IN.num_features
    half = ResNet(50, ibn_stages=["a", "b", "a", None], **SMALL)
    assert list(network.state_dict()) == list(half.state_dict())
    if ratio == 0.5:
        shapes = [value.shape for value in network.state_dict().values()]
        assert shapes == [value.shape for value in half.state_dict().values()]


def test_variant_b_normalises_after_the_addition_and_before_the_last_relu():
    network = ResNet(18, ibn="b", **SMALL).eval()
    block = network.layer1[1]
    x = torch.randn(2, 4, 8, 8)
    with torch.no_grad():
        branch = block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(x)))))
        expected = torch.relu(block.IN(branch + x))
        torch.testing.assert_close(block(x), expected)
    # The norm feeds the ReLU: about half of what comes out is zero.
    assert 0.2 < (expected == 0).float().mean() < 0.8


@pytest.mark.parametrize("output_stride", OUTPUT_STRIDES)
@pytest.mark.parametrize("depth", [18, 50])
def test_features_are_as_described(depth, output_stride):
    strides, dilations = OUTPUT_STRIDES[output_stride]
    network = ResNet(
        depth, strides=strides, dilations=dilations, out_indices=(1, 3), ibn="a", **SMALL
    ).eval()
    with torch.no_grad():
        features = network(torch.randn(1, 3, 64, 96))
    assert [info.module for info in network.feature_info] == ["layer2", "layer4"]
    assert network.feature_info[-1].stride == output_stride
    for info, feature in zip(network.feature_info, features, strict=True):
        assert feature.shape == (1, info.channels, 64 // info.stride, 96 // info.stride)


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("ibn", [None, "a", "b"])
def test_every_parameter_gets_a_gradient(depth, ibn):
    network = ResNet(depth, ibn=ibn, num_classes=5, zero_init_residual=False, **SMALL)
    network(torch.randn(2, 3, 64, 64)).square().mean().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


@pytest.mark.parametrize("ibn", [None, "a", "b"])
def test_recomputation_changes_nothing_but_memory(ibn):
    results = []
    for with_cp in (False, True):
        torch.manual_seed(0)
        network = ResNet(50, ibn=ibn, with_cp=with_cp, zero_init_residual=False, **SMALL).double()
        image = torch.randn(2, 3, 64, 64, dtype=torch.double)
        for _ in range(2):
            network(image)[-1].square().mean().backward()
        gradients = {name: p.grad for name, p in network.named_parameters()}
        results.append((gradients, network.state_dict()))
        assert network.layer1[0].bn2.momentum == 0.1
    for plain, recomputed in zip(*results, strict=True):
        for key in plain:
            torch.testing.assert_close(plain[key], recomputed[key])


def test_recomputation_keeps_fewer_activations():
    def kept(with_cp):
        network = ResNet(50, with_cp=with_cp, **SMALL)
        sizes = []
        # Tensors that the backward pass keeps, wherever they are kept.
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t: sizes.append(t.numel()) or t, lambda t: t
        ):
            network(torch.randn(1, 3, 64, 64))
        return sum(sizes)

    assert kept(True) < 0.6 * kept(False)


def test_norm_eval_covers_the_batch_norm_inside_ibn():
    network = ResNet(18, ibn="a", norm_eval=True, **SMALL).train()
    before = network.layer1[0].bn1.BN.running_mean.clone()
    network(torch.randn(2, 3, 64, 64))
    assert network.layer1[0].bn1.IN.training
    assert torch.equal(network.layer1[0].bn1.BN.running_mean, before)


@pytest.mark.parametrize("ibn", ["a", "b"])
def test_frozen_stages_stop_learning(ibn):
    network = ResNet(18, ibn=ibn, frozen_stages=1, **SMALL).train()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    network(torch.randn(2, 3, 64, 64))[-1].mean().backward()
    for name, parameter in network.named_parameters():
        frozen = name.startswith(("conv1", "bn1", "layer1"))
        assert (parameter.grad is None) == frozen
    changed = {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}
    assert changed
    assert not any(key.startswith(("bn1", "layer1")) for key in changed)


def test_custom_layers_reach_every_norm_and_convolution():
    class Norm(nn.BatchNorm2d):
        pass

    class Conv(nn.Conv2d):
        pass

    network = ResNet(50, ibn="a", norm=Norm, conv=Conv, **SMALL)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert type(module) is Norm
        if isinstance(module, nn.Conv2d):
            assert type(module) is Conv


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 51}, "unknown ResNet depth 51: did you mean '50'\\? .*18, 34, 50, 101, 152"),
        ({"ibn": "bb"}, "unknown ibn variant 'bb': did you mean 'b'"),
        ({"style": "cafe"}, "unknown ResNet style 'cafe': did you mean 'caffe'"),
        ({"num_stages": 5}, "num_stages=5 is out of range"),
        ({"strides": (1, 2)}, r"strides=\(1, 2\) does not describe 4 stages"),
        ({"dilations": (1,) * 5}, "dilations=.* does not describe 4 stages"),
        ({"out_indices": (0, 4)}, r"out_indices=\(0, 4\) names stages that are not there"),
        ({"out_indices": ()}, "out_indices"),
        ({"frozen_stages": 5}, "frozen_stages=5 is out of range"),
        ({"ibn": "a", "ibn_ratio": 0}, "ibn_ratio=0 is out of range"),
        ({"ibn": "a", "ibn_ratio": 1.0}, "ibn_ratio=1.0 is out of range"),
        ({"ibn": "a", "ibn_ratio": True}, "ibn_ratio=True is out of range"),
        ({"ibn_ratio": float("nan")}, "ibn_ratio=nan is out of range"),
        ({"ibn": "b", "ibn_ratio": 0.25}, "ibn_ratio=0.25 is given, and no norm is split"),
        ({"ibn": "a", "ibn_ratio": 0.1}, "leaves no channel to one of the norms of 4 channels"),
        ({"depth": 50, "multi_grid": (1, 2)}, r"multi_grid=\(1, 2\) is too short"),
    ],
)
def test_wrong_arguments_are_one_line(arguments, message):
    with pytest.raises(UserError, match=message) as caught:
        ResNet(**{"depth": 18, **SMALL, **arguments})
    assert "\n" not in str(caught.value)
