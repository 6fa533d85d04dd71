"""The layouts in which training programs keep a backbone's weights."""

import argparse

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ibn_seg.errors import UserError
from ibn_seg.models import ResNet
from ibn_seg.models.densenet import DenseNet
from ibn_seg.models.state_dicts import all_weights
from ibn_seg.models.weights import adapt_state_dict, load_backbone_weights
from tests.models.twins import SMALL, twin

OTHER = {"heads.weight": torch.zeros(2), "pixel_mean": torch.zeros(3)}


def under(prefix, weights):
    return {f"{prefix}.{key}": value for key, value in weights.items()}


def layouts(weights, averaged):
    """Return contents of files that load without a prefix, with what the report has to name."""
    counters = {k: int(v) if k.endswith("num_batches_tracked") else v for k, v in weights.items()}
    lightning = {"pytorch-lightning_version": "2.1", "callbacks": {}, "lr_schedulers": []}
    args = argparse.Namespace(lr=0.1)
    inner = {k.replace(".0.", ".0._checkpoint_wrapped_module.", 1): v for k, v in weights.items()}
    average = {"n_averaged": torch.tensor(3), **under("module", averaged)}
    return {
        "a number beside": ({**weights, "epoch": 12}, "epoch (int, no tensor)"),
        "None beside": ({"state_dict": {**weights, "mask": None}}, "mask (NoneType, no tensor)"),
        "counters as numbers": ({"state_dict": counters}, ""),
        "a loss beside the wrapper": ({"state_dict": weights, "loss": torch.zeros(1)}, ""),
        "torchreid": (
            {"state_dict": {**weights, "classifier.weight": torch.zeros(7, 8)}, "rank1": 0.5},
            "classifier.* (1 keys)",
        ),
        "timm": ({"state_dict": weights, "state_dict_ema": averaged, "args": args}, "averaged"),
        "torchvision": ({"model": weights, "model_ema": average, "args": args}, "averaged"),
        "averaged alone": ({"n_averaged": torch.tensor(1), **under("module", weights)}, ""),
        "compiled": (under("_orig_mod", weights), ""),
        "compiled in DDP": (under("module._orig_mod", weights), ""),
        "DDP in compiled": (under("_orig_mod.module", weights), ""),
        "FSDP and checkpointed": ({"model": under("_fsdp_wrapped_module", inner)}, ""),
        "DDP": ({"model": under("module.backbone", weights)}, ""),
        "Lightning": ({"state_dict": under("net", weights), **lightning}, "the prefix 'net'"),
        "a wrapper of another name": ({"params": weights}, "the prefix 'params'"),
        "student": (under("student.backbone", weights), "the prefix 'student.backbone'"),
    }


@pytest.mark.parametrize("layout", layouts({"key": torch.zeros(1)}, {}))
def test_a_layout_loads_and_says_what_it_leaves_out(tmp_path, layout):
    if layout in ("timm", "torchvision") and torch.__version__ < (2, 6):
        pytest.skip("an older PyTorch loads no Namespace, and the line says so")
    weights, averaged = twin(), twin(seed=1)
    content, named = layouts(weights, averaged)[layout]
    torch.save(content, tmp_path / "a.pth")
    network = ResNet(18, **SMALL)
    report = load_backbone_weights(network, tmp_path / "a.pth")
    for key, value in network.state_dict().items():
        assert torch.equal(value, weights[key]), key
    assert named in str(report)


def test_half_precision_and_the_format_before_zip_archives(tmp_path):
    weights = {key: v.half() if v.is_floating_point() else v for key, v in twin().items()}
    torch.save(weights, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    network = ResNet(18, **SMALL, ibn="a")
    load_backbone_weights(network, tmp_path / "a.pth")
    expected, _ = adapt_state_dict(network, weights)
    for key, value in network.state_dict().items():
        assert torch.equal(value, expected[key].to(value.dtype)), key
    assert network.conv1.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("content", "prefixes"),
    [
        # fast-reid, and the strong baseline of re-identification.
        (lambda w: {"model": {**under("backbone", w), **OTHER}, "iteration": 1}, ["backbone"]),
        (lambda w: {**under("base", w), "bottleneck.weight": torch.zeros(4)}, ["base"]),
        (lambda w: {**under("encoder", w), "decoder.weight": torch.zeros(4)}, ["encoder"]),
        (lambda w: {**under("features", w), "head.weight": torch.zeros(4)}, ["features"]),
        (
            lambda w: {"state_dict": under("module.encoder_q", w) | under("module.encoder_k", w)},
            ["encoder_k", "encoder_q"],
        ),
        (
            lambda w: {
                "student": under("module.backbone", w) | {"module.head.weight": torch.zeros(1)},
                "teacher": under("backbone", w) | {"head.weight": torch.zeros(1)},
                "epoch": 1,
            },
            ["student.module.backbone", "teacher.backbone"],
        ),
    ],
)  # fmt: skip
def test_weights_beside_others_need_the_prefix_that_the_line_names(tmp_path, content, prefixes):
    weights = twin()
    torch.save(content(weights), tmp_path / "a.pth")
    network = ResNet(18, **SMALL, ibn="a")
    with pytest.raises(UserError) as caught:
        load_backbone_weights(network, tmp_path / "a.pth")
    names = " or ".join(f"prefix={prefix!r}" for prefix in prefixes)
    assert caught.value.line.endswith(f"below one name: give {names}")
    expected, _ = adapt_state_dict(network, weights)
    for prefix in prefixes:
        load_backbone_weights(network, tmp_path / "a.pth", prefix=prefix)
        assert all(torch.equal(v, expected[k]) for k, v in network.state_dict().items())


@pytest.mark.parametrize(
    ("content", "prefix"),
    [
        (lambda w, a: {"state_dict": w, "state_dict_ema": a}, "state_dict_ema"),
        (lambda w, a: {"model": w, "model_ema": under("module", a)}, "model_ema"),
        (lambda w, a: {"student": w, "teacher": under("backbone", a)}, "teacher"),
    ],
)
def test_a_prefix_may_name_the_dictionary(content, prefix):
    weights, averaged = twin(), twin(seed=1)
    adapted, _ = adapt_state_dict(ResNet(18, **SMALL), content(weights, averaged), prefix=prefix)
    assert all(torch.equal(adapted[key], averaged[key]) for key in averaged)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: under("net", twin(50)), r"below 'net', .* looks like ResNet-50"),
        (
            lambda: {**under("backbone", twin(50)), **OTHER},
            r"below 'backbone', .*looks like ResNet-50",
        ),
        (lambda: {**twin(), **OTHER}, "is there: leave heads, pixel_mean out of the file"),
        (
            lambda: {**twin(), "layer1.0.extra.weight": torch.zeros(1)},
            r"unexpected: layer1\.0\.extra\.weight: use weights of this architecture",
        ),
        (
            lambda: {**twin(), "conv1.weight": [1.0]},
            r"missing: conv1\.weight; left out: conv1\.weight \(list, no tensor\)",
        ),
        (
            lambda: {"model": torch.nn.ReLU(), "epoch": 3},
            r"no weights in it \(keys model: a pickled torch\.nn.*ReLU, epoch\)"
            if torch.__version__ >= (2, 6)
            else "use PyTorch 2.6 or newer",
        ),
        (lambda: {"level1.conv.weight": torch.zeros(3)}, "names like layer1.0.conv1.weight"),
    ],
)
def test_the_hint_is_about_the_cause(tmp_path, content, message):
    torch.save(content(), tmp_path / "a.pth")
    with pytest.raises(UserError, match=message) as caught:
        load_backbone_weights(ResNet(18, **SMALL), tmp_path / "a.pth")
    assert "\n" not in caught.value.line
    assert "prefix=" not in caught.value.line


def test_content_that_holds_itself_is_one_line():
    content = {"epoch": 1}
    content["model"] = content
    with pytest.raises(UserError, match="no weights in it"):
        adapt_state_dict(ResNet(18, **SMALL), content)


NAMES = st.lists(st.sampled_from(["a", "net", "model", "enc", "module"]), min_size=1, max_size=3)


@settings(max_examples=20, deadline=None)
@given(first=NAMES, second=NAMES)
def test_a_network_is_found_below_any_name_and_never_guessed_between_two(first, second):
    """What loads are the weights that are there; where there are two, nothing loads."""
    network, weights, other = ResNet(18, **SMALL), twin(), twin(seed=1)
    one, two = ".".join(first), ".".join(second)
    adapted, _ = adapt_state_dict(network, under(one, weights))
    assert all(torch.equal(adapted[key], weights[key]) for key in weights)
    both = {**under(f"x.{one}", weights), **under(f"y.{two}", other)}
    with pytest.raises(UserError, match=rf"prefix='x\.{one}' or prefix='y\.{two}'$"):
        adapt_state_dict(network, both)


def test_the_same_holds_for_names_that_begin_as_those_of_a_prefix():
    """A DenseNet's own names begin with 'features'."""
    with torch.device("meta"):
        network = DenseNet(121)
    weights = network.state_dict()
    adapted, report = adapt_state_dict(network, under("net", weights))
    assert adapted.keys() == weights.keys()
    assert "the prefix 'net'" in str(report)
    with pytest.raises(UserError, match="give prefix='encoder'"):
        adapt_state_dict(network, {**under("encoder", weights), **OTHER})


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    "of",
    [
        np.asarray,
        lambda value: np.asarray(value, dtype=value.dtype.newbyteorder(">")),
        lambda value: np.asarray(value, order="F"),
    ],
)
def test_arrays_of_numpy_are_read_as_tensors_where_there_are_none(wrapped, of):
    values = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "a.count": np.array(7)}
    given = {key: of(value) for key, value in values.items()}
    names = {**given, "name": "net", "words": np.array(["x"])}
    weights, left_out = all_weights({"state_dict": names, "epoch": 3} if wrapped else names)
    assert weights.keys() == values.keys()
    for key, value in values.items():
        assert weights[key].numpy().dtype == value.dtype
        assert np.array_equal(weights[key].numpy(), value)
    assert left_out == ["name (str, no tensor)", "words (an array of NumPy, no tensor)"]
    weights["a.weight"].zero_()
    assert given["a.weight"].any()


def test_an_array_beside_tensors_is_left_out_by_its_name():
    content = {"a.weight": torch.ones(2), "losses": np.ones(3)}
    weights, left_out = all_weights(content)
    assert list(weights) == ["a.weight"]
    assert left_out == ["losses (an array of NumPy, no tensor)"]


def test_arrays_without_numbers_are_no_weights():
    with pytest.raises(UserError, match=r"no weights in it \(keys words, lists\)"):
        all_weights({"words": np.array(["x"]), "lists": np.array([None])})
