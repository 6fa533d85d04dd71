"""Checkpoints of the batch-norm twin, in all their wrappings, into every placement."""

import re

import pytest
import torch

from ibn_seg.errors import UserError
from ibn_seg.models import ResNet, create_model
from ibn_seg.models.weights import adapt_state_dict, load_backbone_weights
from tests.models.twins import SMALL, twin
from tests.networks import scrambled

PLACEMENTS = {
    "none": {},
    "a": {"ibn": "a"},
    "b": {"ibn": "b"},
    "mixed": {"ibn_stages": ["a", "b", "a", "b"], "ibn_stem": True},
}
STEMS = [{}, {"deep_stem": True}, {"deep_stem": True, "avg_down": True}]


def split_by_hand(weights, split, dropped):
    """Return `weights` with the norms of `split` split in halves, by the letter of the rule."""
    result = {}
    for key, value in weights.items():
        norm, _, tensor = key.rpartition(".")
        if norm in split and tensor in ("weight", "bias"):
            half = len(value) // 2
            result[f"{norm}.IN.{tensor}"] = value[:half]
            result[f"{norm}.BN.{tensor}"] = value[half:]
        elif norm in split:
            result[f"{norm}.BN.{tensor}"] = value[len(value) // 2 :] if value.dim() else value
        elif norm not in dropped or tensor in ("weight", "bias"):
            result[key] = value
    return result


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("name", PLACEMENTS)
@pytest.mark.parametrize("depth", [18, 50])
def test_split_equals_the_split_by_hand(depth, name, stem):
    placement = PLACEMENTS[name]
    counts = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}[depth]
    stages = {"none": "----", "a": "aaa-", "b": "bb--", "mixed": "abab"}[name]
    split = {
        f"layer{stage + 1}.{block}.bn1"
        for stage, count in enumerate(counts)
        for block in range(count)
        if stages[stage] == "a"
    }
    added = {
        f"layer{stage + 1}.{count - 1}.IN"
        for stage, count in enumerate(counts)
        if stages[stage] == "b"
    }
    stem_norm = "stem.7" if stem else "bn1"
    dropped = {stem_norm} if name in ("b", "mixed") else set()

    weights = twin(depth, **stem)
    kept = {key: value.clone() for key, value in weights.items()}
    network = ResNet(depth, **SMALL, **stem, **placement)
    adapted, report = adapt_state_dict(network, weights)
    expected = split_by_hand(weights, split, dropped)
    for norm in added:
        channels = network.get_submodule(norm).num_features
        expected |= {f"{norm}.weight": torch.ones(channels), f"{norm}.bias": torch.zeros(channels)}

    assert list(adapted) == list(network.state_dict())
    assert adapted.keys() == expected.keys()
    assert all(torch.equal(adapted[key], expected[key]) for key in expected)
    network.load_state_dict(adapted, strict=True)
    assert (set(report.split), set(report.added)) == (split, added)
    assert bool(report.dropped) == bool(dropped)
    # What was given is left as it was.
    assert weights.keys() == kept.keys()
    assert all(torch.equal(weights[key], kept[key]) for key in kept)


def test_report_is_one_line():
    network = ResNet(50, **SMALL, ibn_stages=["a", "b", None, None], ibn_stem=True)
    _, report = adapt_state_dict(network, {**twin(50), "fc.weight": torch.zeros(2, 2)})
    assert str(report) == (
        "split 3 batch norms into IN and BN: layer1.0.bn1, layer1.1.bn1, layer1.2.bn1; "
        "added from their defaults 1: layer2.3.IN; "
        "dropped fc.* (1 keys), the running statistics of bn1 (an instance norm here)"
    )
    _, report = adapt_state_dict(ResNet(18, **SMALL), twin())
    assert str(report) == "loaded key for key: nothing split, added or dropped"


def wrapped(weights):
    heads = {
        "decode_head.conv_seg.weight": torch.zeros(1),
        "auxiliary_head.0.conv_seg.bias": torch.zeros(1),
    }
    prefixed = {f"backbone.{key}": value for key, value in weights.items()}
    return {
        "bare": weights,
        "state_dict": {"state_dict": weights, "meta": {"epoch": 3}},
        "model": {"model": weights, "optimizer": {"lr": 0.1}, "epoch": 1},
        "ema": {"state_dict_ema": weights, "args": None},
        "nested": {"model": {"state_dict": weights}},
        "module": {f"module.{key}": value for key, value in weights.items()},
        "backbone": prefixed,
        "segmentor": {"state_dict": {**prefixed, **heads}, "message_hub": {}},
        "distributed": {
            "state_dict": {f"module.{key}": value for key, value in {**prefixed, **heads}.items()}
        },
        "with classifier": {**weights, "fc.weight": torch.zeros(3, 32), "fc.bias": torch.zeros(3)},
        "without counters": {
            key: value for key, value in weights.items() if "num_batches" not in key
        },
    }


@pytest.mark.parametrize("ibn", [None, "a", "b"])
@pytest.mark.parametrize("wrapping", wrapped({"key": torch.zeros(1)}))
def test_wrappings_come_off(wrapping, ibn):
    network = ResNet(18, **SMALL, ibn=ibn)
    weights = twin()
    expected, _ = adapt_state_dict(network, weights)
    adapted, report = adapt_state_dict(network, wrapped(weights)[wrapping])
    counters = wrapping == "without counters"
    assert adapted.keys() == expected.keys()
    for key, value in expected.items():
        is_counter = counters and key.endswith("num_batches_tracked")
        assert torch.equal(adapted[key], torch.tensor(0) if is_counter else value)
    if wrapping in ("segmentor", "distributed"):
        assert "decode_head.* (1 keys)" in str(report)
        assert "auxiliary_head.* (1 keys)" in str(report)
    if wrapping == "with classifier":
        assert "fc.* (2 keys)" in str(report)


@pytest.mark.parametrize("prefix", ["teacher.backbone", "teacher.backbone.", "teacher"])
def test_a_prefix_selects(prefix):
    network = ResNet(18, **SMALL, ibn="a")
    weights, other = twin(), twin(seed=1)
    both = {f"teacher.backbone.{key}": value for key, value in weights.items()}
    both |= {f"student.backbone.{key}": value for key, value in other.items()}
    adapted, report = adapt_state_dict(network, both, prefix=prefix)
    expected, _ = adapt_state_dict(network, weights)
    assert all(torch.equal(adapted[key], expected[key]) for key in expected)
    assert f"everything outside {prefix}" in str(report)


@pytest.mark.parametrize("name", ["a", "b", "mixed"])
def test_own_checkpoints_load_key_for_key(name):
    network = ResNet(18, **SMALL, **PLACEMENTS[name])
    own = {key: torch.rand(v.shape) if v.dim() else v for key, v in network.state_dict().items()}
    adapted, report = adapt_state_dict(network, own)
    assert all(torch.equal(adapted[key], own[key]) for key in own)
    assert str(report).startswith("loaded key for key")


def test_a_network_with_classifier_takes_it():
    network = ResNet(18, **SMALL, ibn="a", num_classes=3)
    weights = {**twin(), "fc.weight": torch.rand(3, 32), "fc.bias": torch.rand(3)}
    adapted, _ = adapt_state_dict(network, weights)
    assert torch.equal(adapted["fc.weight"], weights["fc.weight"])
    with pytest.raises(UserError, match=r"2 missing: fc\.weight, fc\.bias"):
        adapt_state_dict(network, twin())


def test_stages_after_the_last_are_dropped():
    network = ResNet(
        18, **SMALL, ibn="b", num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(1,)
    )
    adapted, report = adapt_state_dict(network, twin())
    assert list(adapted) == list(network.state_dict())
    assert "layer3.* (30 keys), layer4.* (30 keys)" in str(report)


@pytest.mark.parametrize(("depth", "ibn"), [(18, None), (18, "a"), (18, "b"), (50, "a")])
def test_torchvision(depth, ibn):
    models = pytest.importorskip("torchvision.models")
    weights = getattr(models, f"resnet{depth}")().state_dict()
    network = ResNet(depth, ibn=ibn)
    adapted, report = adapt_state_dict(network, weights)
    network.load_state_dict(adapted, strict=True)
    assert torch.equal(network.conv1.weight, weights["conv1.weight"])
    assert "fc.* (2 keys)" in str(report)


@pytest.mark.parametrize("name", ["resnet18", "resnet18d", "resnet50d", "resnet50c"])
def test_timm(name):
    timm = pytest.importorskip("timm")
    theirs = timm.create_model(name, pretrained=False, features_only=False).eval()
    settings = {
        "deep_stem": name[-1] in "cd",
        "avg_down": name[-1] == "d",
    }
    depth = int(name[6:8])
    network = ResNet(depth, **settings).eval()
    load, _ = adapt_state_dict(network, theirs.state_dict())
    network.load_state_dict(load, strict=True)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(network(image)[-1], theirs.forward_features(image))
    adapt_state_dict(ResNet(depth, ibn="b", **settings), theirs.state_dict())


@pytest.mark.parametrize("ibn", [None, "a", "b"])
@pytest.mark.parametrize("name", ["ResNetV1c", "ResNetV1d"])
def test_open_mmlab(name, ibn):
    backbones = pytest.importorskip("mmseg.models.backbones")
    theirs = getattr(backbones, name)(depth=50, **SMALL).state_dict()
    network = ResNet(50, **SMALL, deep_stem=True, avg_down=name == "ResNetV1d", ibn=ibn)
    adapted, _ = adapt_state_dict(network, {"state_dict": dict(theirs), "meta": {}})
    network.load_state_dict(adapted, strict=True)


def without(weights, *keys):
    return {key: value for key, value in weights.items() if key not in keys}


def changed(change):
    """Return weights with another first tensor."""
    weights = twin()
    return {**weights, "conv1.weight": change(weights["conv1.weight"])}


BAD = {
    "missing": (
        {"ibn": "a"},
        lambda: without(twin(), "layer1.0.bn1.weight", "conv1.weight"),
        r"3 missing: conv1\.weight, layer1\.0\.bn1\.IN\.weight, layer1\.0\.bn1\.BN\.weight",
    ),
    "unexpected": (
        {"ibn": "a"},
        lambda: {**twin(), "layer1.0.se.weight": torch.zeros(1)},
        "1 unexpected: layer1.0.se.weight",
    ),
    "unknown head": (
        {},
        lambda: {**{f"backbone.{k}": v for k, v in twin().items()}, "other.x": torch.zeros(1)},
        "1 unexpected: other.x",
    ),
    "another shape": (
        {"in_channels": 4},
        twin,
        r"conv1.weight is \[8, 3, 7, 7\], here \[8, 4, 7, 7\]",
    ),
    "another depth": (
        {"depth": 18},
        lambda: twin(50),
        "looks like ResNet-50, the config asks for depth 18: set depth=50",
    ),
    "same blocks, other kind": (
        {"depth": 50},
        lambda: twin(34),
        "looks like ResNet-34, the config asks for depth 50",
    ),
    "deep stem": ({}, lambda: twin(deep_stem=True), "set deep_stem=True"),
    "plain stem": ({"deep_stem": True}, twin, "set deep_stem=False"),
    "pooled shortcut": ({}, lambda: twin(avg_down=True), "set avg_down=True"),
    "layout": (
        {"ibn": "b"},
        lambda: twin(ibn="a"),
        r"layout is ibn_stages=\['a', 'a', 'a', None\], ibn_stem=False",
    ),
    "stem of RobustNet": (
        {"ibn": "b", "deep_stem": True},
        lambda: twin(ibn="b", deep_stem=True, deep_stem_norms="first two"),
        "set deep_stem_norms='first two'",
    ),
    "last norm of a stem": (
        {"ibn": "b", "deep_stem": True, "deep_stem_norms": "first two"},
        lambda: twin(ibn="b", deep_stem=True),
        "set deep_stem_norms='last'",
    ),
    "layout without": (
        {},
        lambda: twin(ibn="b"),
        r"layout is ibn_stages=\['b', 'b', None, None\], ibn_stem=True",
    ),
    "own but incomplete": (
        {"ibn": "b"},
        lambda: without(twin(ibn="b"), "layer2.1.IN.weight", "layer2.1.IN.bias"),
        "2 missing: layer2.1.IN.weight, layer2.1.IN.bias",
    ),
    "another network": ({}, lambda: {"features.0.weight": torch.zeros(1)}, "no ResNet backbone"),
    "no weights": ({}, lambda: {"epoch": 3}, "no weights in it .keys epoch."),
    "a list": ({}, lambda: [1, 2], "no weights in it .list."),
    "empty": ({}, dict, "no weights in it"),
    "sparse": ({}, lambda: changed(torch.Tensor.to_sparse), "no plain values .conv1.weight: .*coo"),
    "quantised": (
        {},
        lambda: changed(lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8)),
        "no plain values .conv1.weight: qint8|cannot load it safely",  # the latter by PyTorch 2.1
    ),
    "whole numbers": ({}, lambda: changed(torch.Tensor.char), "no plain values .conv1.w.*: int8"),
    "without values": ({}, lambda: changed(lambda x: x.to("meta")), "no plain values .*on meta"),
    "no classifier": (
        {"num_classes": 3},
        twin,
        r"only the classifier does not fit: give skip=\['fc'\], or features_only=True",
    ),
    "no classifier below a name": (
        {"num_classes": 3},
        lambda: {"head.weight": torch.ones(1), **{f"base.{k}": v for k, v in twin().items()}},
        "below 'base', the checkpoint does not fit .* only the classifier",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_one_line_and_changes_nothing(case, tmp_path):
    settings, checkpoint, message = BAD[case]
    path = tmp_path / "weights.pth"
    torch.save(checkpoint(), path)
    network = ResNet(**{"depth": 18, **SMALL, **settings})
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(UserError, match=message) as caught:
        load_backbone_weights(network, path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_a_bias_in_the_stem_goes_into_the_mean():
    """As in the Caffe ResNet-50: the batch norm after it takes it out again."""
    weights, bias = twin(), torch.linspace(-1, 1, 8)
    for settings in ({}, {"ibn": "a"}, {"ibn": "b"}):
        network = ResNet(18, **SMALL, **settings)
        adapted, report = adapt_state_dict(network, {**weights, "conv1.bias": bias})
        assert "conv1.bias (subtracted from bn1.running_mean)" in report.dropped
        if settings.get("ibn") != "b":  # whose instance norm has no running mean
            assert torch.equal(adapted["bn1.running_mean"], weights["bn1.running_mean"] - bias)


def test_added_norms_start_from_the_identity_in_a_trained_network_too():
    network = ResNet(18, **SMALL, ibn="b")
    torch.nn.init.constant_(network.layer1[1].IN.weight, 3.0)
    adapted, report = adapt_state_dict(network, twin())
    assert report.added == ["layer1.1.IN", "layer2.1.IN"]
    assert torch.equal(adapted["layer1.1.IN.weight"], torch.ones(4))
    assert torch.equal(adapted["layer1.1.IN.bias"], torch.zeros(4))


def test_a_prefix_that_is_not_there():
    with pytest.raises(UserError, match=r"no key starts with 'student\.': there are: teacher"):
        adapt_state_dict(
            ResNet(18, **SMALL), {f"teacher.{k}": v for k, v in twin().items()}, "student"
        )


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"none.pth: no such checkpoint"):
        load_backbone_weights(ResNet(18, **SMALL), tmp_path / "none.pth")


@pytest.mark.parametrize("variant", ["in", "isw", "sw2", "sw5", "iternorm"])
def test_norms_of_methods_start_from_batch_norm_weights_as_in_robustnet(variant):
    """The stem's scale and shift are copied, statistics are dropped, added norms are new."""
    torch.manual_seed(0)
    plain = scrambled(create_model("resnet18", base_channels=16))
    network = create_model("resnet18", ibn=variant, base_channels=16)
    new = create_model("resnet18", ibn=variant, base_channels=16).state_dict()
    adapted, report = adapt_state_dict(network, plain.state_dict())
    network.load_state_dict(adapted)
    for key, value in network.state_dict().items():
        if key in ("bn1.weight", "bn1.bias"):
            assert torch.equal(value.flatten(), plain.state_dict()[key])
        elif key.startswith("bn1.") or ".IN." in key:
            assert torch.equal(value, new[key]), key
        else:
            assert torch.equal(value, plain.state_dict()[key])
    # Without tensors there is nothing to add.
    assert report.added == ([] if variant == "in" else ["layer1.1.IN", "layer2.1.IN"])
    assert any("running statistics of bn1" in part for part in report.dropped)
    # Its own checkpoint is loaded key for key.
    assert str(adapt_state_dict(network, network.state_dict())[1]).startswith("loaded key for key")


@pytest.mark.parametrize("variant", ["b", "isw", "sw2"])
def test_a_deep_stem_may_have_them_at_the_places_of_robustnet(variant):
    """Its ResNet-101 has them at the first two norms of the stem; the third stays a batch norm."""
    deep = {"deep_stem": True, "stem_channels": 32, "base_channels": 16}
    plain = scrambled(create_model("resnet18", **deep)).state_dict()
    network = create_model("resnet18", ibn=variant, deep_stem_norms="first two", **deep)
    norms = [type(network.stem[at]) for at in (1, 4, 7)]
    assert norms[0] is norms[1] is type(network.layer1[-1].IN) is not torch.nn.BatchNorm2d
    assert norms[2] is torch.nn.BatchNorm2d
    network.load_state_dict(adapt_state_dict(network, plain)[0])
    loaded = network.state_dict()
    for key in ("stem.1.weight", "stem.4.bias", "stem.7.running_var"):
        if key in loaded:
            assert torch.equal(loaded[key].flatten(), plain[key])
    assert "stem.7.running_var" in loaded
    network(torch.randn(2, 3, 32, 32))


@pytest.mark.parametrize("variant", ["isw", "sw3", "iternorm"])
def test_a_checkpoint_with_norms_of_a_method_tells_which(variant):
    given = create_model("resnet18", ibn=variant, base_channels=16).state_dict()
    stages = re.escape(f"ibn_stages=['{variant}', '{variant}', None, None], ibn_stem=True")
    with pytest.raises(UserError, match=stages):
        adapt_state_dict(create_model("resnet18", base_channels=16), given)
