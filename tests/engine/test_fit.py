"""Checkpoints of whole networks, in the layouts of several training programs."""

import pytest
import torch
from torch import nn

from ibn_seg.engine.fit import load_strictly
from ibn_seg.errors import UserError
from ibn_seg.models import ResNet
from tests.models.twins import SMALL


def segmentor(classes=5, seed=0, **settings):
    torch.manual_seed(seed)
    model = nn.Module()
    model.backbone = ResNet(**{"depth": 18, **SMALL, "ibn": "a", **settings})
    model.decode_head = nn.Module()
    model.decode_head.conv_seg = nn.Conv2d(8, classes, 1)
    return model


def under(prefix, weights):
    return {f"{prefix}.{key}": value for key, value in weights.items()}


WEIGHTS = segmentor(seed=1).state_dict()
COUNTERS = {k: 7 if k.endswith("num_batches_tracked") else v for k, v in WEIGHTS.items()}
INNER = {key.replace("backbone.", "backbone._orig_mod."): v for key, v in WEIGHTS.items()}
CRITERION = {"criterion.weight": torch.ones(5)}

LAYOUTS = {
    "mmseg": ({"state_dict": WEIGHTS, "meta": {}}, ""),
    "bare": (WEIGHTS, ""),
    "DDP": ({"state_dict": under("module", WEIGHTS)}, ""),
    "compiled": (under("_orig_mod", WEIGHTS), ""),
    "DDP and compiled": (under("module._orig_mod", WEIGHTS), ""),
    "backbone compiled": (INNER, ""),
    "averaged": ({"n_averaged": torch.tensor(1), **under("module", WEIGHTS)}, ""),
    "Lightning": ({"state_dict": under("net", WEIGHTS)}, "loaded what is below 'net'"),
    "Lightning with a loss": (
        {"state_dict": {**under("model", WEIGHTS), **CRITERION}},
        "loaded what is below 'model'; left out criterion",
    ),
    "a number": ({**WEIGHTS, "epoch": 3}, "left out epoch (int, no tensor)"),
    "two copies": (
        {"state_dict": WEIGHTS, "state_dict_ema": segmentor(seed=2).state_dict()},
        "left out the averaged weights under 'state_dict_ema'",
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_loads_and_says_what_it_leaves_out(layout, capsys):
    content, said = LAYOUTS[layout]
    model = segmentor()
    load_strictly(model, content, "a.pth")
    assert all(torch.equal(value, WEIGHTS[key]) for key, value in model.state_dict().items())
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == bool(said)


def test_counters_saved_as_numbers_are_the_counters():
    model = segmentor()
    load_strictly(model, COUNTERS, "a.pth")
    counters = [v for k, v in model.state_dict().items() if k.endswith("num_batches_tracked")]
    assert counters
    assert all(torch.equal(value, torch.tensor(7)) for value in counters)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {**under("student", WEIGHTS), **under("teacher", WEIGHTS)},
            "fit the config, below 'student' and 'teacher'",
        ),
        (segmentor(7).state_dict(), "does not fit the config: its head is for 7 classes"),
        (
            {"state_dict": under("model", segmentor(7).state_dict())},
            "does not fit the config below 'model': its head is for 7 classes, the config's for 5",
        ),
        (
            under("net", segmentor(ibn=None).state_dict()),
            "below 'net': its norm placement is BN, the config's is IBN-a",
        ),
        (
            {**WEIGHTS, "decode_head.conv_seg.bias": None},
            r"missing, such as decode_head.conv_seg.bias; left out .*NoneType, no tensor",
        ),
        ({**WEIGHTS, "extra.weight": torch.ones(1)}, "1 unexpected, such as extra.weight"),
        ({}, "holds no model weights"),
        ([1], "holds no model weights"),
        ({"state_dict": {}, "epoch": 3}, "holds no model weights"),
    ],
)
def test_what_does_not_fit_is_one_line_and_changes_nothing(content, message):
    model = segmentor()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(UserError, match=message) as caught:
        load_strictly(model, content, "a.pth")
    assert "\n" not in caught.value.line
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    "weights",
    [
        {key: value.to("meta") for key, value in WEIGHTS.items()},
        {
            key: torch.quantize_per_tensor(value, 0.1, 0, torch.qint8)
            if value.dim() == 4
            else value
            for key, value in WEIGHTS.items()
        },
    ],
)
def test_weights_without_plain_values_are_refused(weights):
    with pytest.raises(UserError, match="no plain values"):
        load_strictly(segmentor(), weights, "a.pth")


def test_norms_of_another_method_are_named():
    with pytest.raises(UserError, match="its norm placement is ISW, the config's is IBN-a"):
        load_strictly(segmentor(), segmentor(ibn="isw").state_dict(), "a.pth")
