"""Without instance norms the network is mmseg's ResNet: keys, features, freezing, start."""

import itertools

import pytest
import torch
from mmseg.models.backbones import ResNet, ResNetV1c, ResNetV1d

from ibn_seg.models.backbone import OUTPUT_STRIDES
from ibn_seg.plugins.mmengine import IBNResNet

SMALL = {"stem_channels": 8, "base_channels": 4}
DILATIONS = {
    "plain": {},
    "contract": {"contract_dilation": True},
    "grid": {"multi_grid": (1, 2, 4)},
    "both": {"multi_grid": (1, 2, 4), "contract_dilation": True},
}
STEMS = tuple(itertools.product((False, True), repeat=2))


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def randomise(network):
    """Give every tensor a value that tells it apart, as training would."""
    torch.manual_seed(0)
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point():
            tensor.normal_(0.1, 0.3)


def pair(**settings):
    """Return mmseg's network and ours with the same weights."""
    theirs = ResNet(**SMALL, **settings)
    randomise(theirs)
    ours = IBNResNet(**SMALL, **settings)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return theirs, ours


def assert_same_features(theirs, ours, size=64):
    image = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1))
    theirs.eval()
    ours.eval()
    with torch.no_grad():
        expected, given = theirs(image), ours(image)
    assert len(expected) == len(given)
    for theirs_map, our_map in zip(expected, given, strict=True):
        assert torch.equal(theirs_map, our_map)


@pytest.mark.parametrize("dilation", DILATIONS)
@pytest.mark.parametrize(("deep_stem", "avg_down"), STEMS)
@pytest.mark.parametrize("output_stride", OUTPUT_STRIDES)
@pytest.mark.parametrize("style", ["pytorch", "caffe"])
@pytest.mark.parametrize("depth", [18, 50])
def test_features_are_equal_bit_for_bit(depth, style, output_stride, deep_stem, avg_down, dilation):
    strides, dilations = OUTPUT_STRIDES[output_stride]
    theirs, ours = pair(
        depth=depth,
        style=style,
        strides=strides,
        dilations=dilations,
        deep_stem=deep_stem,
        avg_down=avg_down,
        **DILATIONS[dilation],
    )
    assert list(theirs.state_dict()) == list(ours.state_dict())
    assert_same_features(theirs, ours)


@pytest.mark.parametrize(
    "settings",
    [
        {"depth": 34},
        {"depth": 101, "num_stages": 3, "strides": (1, 2, 2), "dilations": (1, 1, 1),
         "out_indices": (0, 2)},
        {"depth": 18, "in_channels": 5},
        {"depth": 18, "num_stages": 1, "strides": (2,), "dilations": (1,), "out_indices": (0,)},
        {"depth": 50, "strides": (2, 1, 2, 1), "dilations": (1, 3, 1, 2)},
        {"depth": 50, "norm_cfg": {"type": "SyncBN", "eps": 1e-3, "momentum": 0.01}},
        {"depth": 50, "conv_cfg": {"type": "Conv2d"}, "out_indices": (3,)},
    ],
)  # fmt: skip
def test_other_settings_are_equal_too(settings):
    theirs, ours = pair(**settings)
    image = torch.randn(1, settings.get("in_channels", 3), 64, 64)
    theirs.eval()
    ours.eval()
    expected, given = theirs(image), ours(image)
    assert len(expected) == len(given)
    assert all(map(torch.equal, expected, given))


@pytest.mark.parametrize(
    ("theirs", "settings"),
    [
        (ResNetV1c, {"deep_stem": True}),
        (ResNetV1d, {"deep_stem": True, "avg_down": True}),
    ],
)
def test_the_named_variants_are_settings(theirs, settings):
    theirs = theirs(depth=50, **SMALL)
    randomise(theirs)
    ours = IBNResNet(depth=50, **SMALL, **settings)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    assert_same_features(theirs, ours)


@pytest.mark.parametrize("norm_eval", [False, True])
@pytest.mark.parametrize("deep_stem", [False, True])
@pytest.mark.parametrize("frozen_stages", [-1, 0, 1, 3, 4])
def test_freezing_is_the_same(frozen_stages, deep_stem, norm_eval):
    settings = {"frozen_stages": frozen_stages, "deep_stem": deep_stem, "norm_eval": norm_eval}
    theirs, ours = pair(depth=18, **settings)
    for mode in (True, False, True):
        theirs.train(mode)
        ours.train(mode)
        assert {k: p.requires_grad for k, p in theirs.named_parameters()} == {
            k: p.requires_grad for k, p in ours.named_parameters()
        }
        # Only norms behave differently in the two modes.
        flags = [
            {
                name: module.training
                for name, module in network.named_modules()
                if isinstance(module, torch.nn.BatchNorm2d)
            }
            for network in (theirs, ours)
        ]
        assert flags[0] == flags[1]


@pytest.mark.parametrize("settings", [
    {},
    {"zero_init_residual": False},
    {"deep_stem": True, "avg_down": True},
    {"init_cfg": {"type": "Normal", "layer": "Conv2d", "std": 0.3}},
    {"init_cfg": [{"type": "Constant", "layer": "BatchNorm2d", "val": 0.5}]},
])  # fmt: skip
@pytest.mark.parametrize("depth", [18, 50])
def test_weights_start_the_same(depth, settings):
    networks = []
    for build in (ResNet, IBNResNet):
        torch.manual_seed(3)
        network = build(depth=depth, **SMALL, **settings)
        network.init_weights()
        networks.append(network.state_dict())
    theirs, ours = networks
    assert all(torch.equal(theirs[key], ours[key]) for key in theirs)


def test_training_steps_are_the_same():
    results = []
    theirs, ours = pair(depth=50, frozen_stages=1)
    for network in (theirs, ours):
        network.train()
        image = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))
        sum(features.square().mean() for features in network(image)).backward()
        gradients = {k: p.grad for k, p in network.named_parameters() if p.requires_grad}
        results.append((gradients, network.state_dict()))
    for theirs_part, our_part in zip(*results, strict=True):
        assert theirs_part.keys() == our_part.keys()
        assert all(torch.equal(theirs_part[key], our_part[key]) for key in theirs_part)
