"""Our names for the weights of gluoncv2 and pytorchcv.

Source: https://github.com/osmr/imgclsmob, gluoncv2 0.0.64 and pytorchcv 0.0.74. The tensors and
their layout are ours. gluoncv2 numbers what pytorchcv names, so its names are turned first.
"""

import re
from collections.abc import Callable, Mapping

import torch

from ibn_seg.errors import UserError

Weights = Mapping[str, torch.Tensor]

_ENDS = {"gamma": "weight", "beta": "bias"}
_MARK = re.compile(r"features\.(?:0|init_block)\.(?:conv|bn|inst_norm)\.")
# Gluon's `export` and `collect_params().save` write such names; they depend on what else was built.
_COLLECTED = re.compile(r"[a-z]+\d+_[a-z]+\d+_\w+")
# Blocks of residual networks, by pytorchcv's names. The first number of a stage is 1, as ours.
_RESIDUAL = (
    (r"features\.init_block\.conv\.conv\.", "conv1."),
    (r"features\.init_block\.conv\.(?:bn|inst_norm)\.", "bn1."),
    (r"features\.stage(\d)\.unit(\d+)\.body\.conv(\d)\.conv\.", r"layer\1.{\2}.conv\3."),
    (r"features\.stage(\d)\.unit(\d+)\.body\.conv(\d)\.bn\.", r"layer\1.{\2}.bn\3."),
    (r"features\.stage(\d)\.unit(\d+)\.body\.conv1\.ibn\.inst_norm\.", r"layer\1.{\2}.bn1.IN."),
    (r"features\.stage(\d)\.unit(\d+)\.body\.conv1\.ibn\.batch_norm\.", r"layer\1.{\2}.bn1.BN."),
    (r"features\.stage(\d)\.unit(\d+)\.identity_conv\.conv\.", r"layer\1.{\2}.downsample.0."),
    (r"features\.stage(\d)\.unit(\d+)\.identity_conv\.bn\.", r"layer\1.{\2}.downsample.1."),
    (r"features\.stage(\d)\.unit(\d+)\.inst_norm\.", r"layer\1.{\2}.IN."),
    (r"output\.", "fc."),
)
_LAYER = r"features.denseblock\1.denselayer\2."
_DENSE = (
    (r"features\.init_block\.conv\.", "features.conv0."),
    (r"features\.init_block\.bn\.", "features.norm0."),
    (r"features\.stage(\d)\.unit(\d+)\.conv(\d)\.conv\.", rf"{_LAYER}conv\3."),
    (r"features\.stage(\d)\.unit(\d+)\.conv(\d)\.bn\.", rf"{_LAYER}norm\3."),
    (r"features\.stage(\d)\.unit(\d+)\.conv1\.ibn\.inst_norm\.", rf"{_LAYER}norm1.IN."),
    (r"features\.stage(\d)\.unit(\d+)\.conv1\.ibn\.batch_norm\.", rf"{_LAYER}norm1.BN."),
    (r"features\.stage(\d)\.trans\1\.conv\.conv\.", r"features.transition<\1>.conv."),
    (r"features\.stage(\d)\.trans\1\.conv\.bn\.", r"features.transition<\1>.norm."),
    (r"features\.post_activ\.bn\.", "features.norm5."),
    (r"output\.", "classifier."),
)


def is_gluon(weights: Weights) -> bool:
    """Return whether names are those of gluoncv2 or pytorchcv.

    Raises:
        UserError: They are those of a whole Gluon program, which say nothing.
    """
    if any(map(_MARK.match, weights)):
        return True
    if weights and all(map(_COLLECTED.fullmatch, weights)):
        raise UserError(
            f"{next(iter(weights))}: names that Gluon's export writes, which no table knows",
            "write the network with net.save_parameters(FILE)",
        )
    return False


def from_gluon(weights: Weights) -> dict[str, torch.Tensor]:
    """Return weights under our names, as float32; names without a counterpart stay."""
    dense = not any(".body." in key for key in weights)
    numbered = any(key.startswith("features.0.") for key in weights)
    named: Callable[[str], str] = _numbered(dense) if numbered else str
    table = _DENSE if dense else _RESIDUAL
    return {
        _ours(key, named(key), table): value.float() if value.is_floating_point() else value
        for key, value in weights.items()
    }


def _ours(key: str, named: str, table: tuple[tuple[str, str], ...]) -> str:
    """Return our name, or `key` if the table has none."""
    for theirs, ours in table:
        match = re.match(theirs, named)
        if match is not None:
            start = re.sub(r"[{<](\d+)[}>]", lambda n: str(int(n[1]) - 1), match.expand(ours))
            return start + named[match.end() :]
    return key


def _numbered(dense: bool) -> Callable[[str], str]:
    """Return the function that turns gluoncv2's names into pytorchcv's."""

    def named(key: str) -> str:
        start, _, end = key.rpartition(".")
        key = f"{start}.{_ENDS.get(end, end)}"
        key = re.sub(r"^features\.0\.", "features.init_block.", key)
        key = re.sub(r"^output\.1\.", "output.", key)
        if dense:
            key = re.sub(r"^features\.5\.", "features.post_activ.", key)
            # Later stages begin with a transition.
            key = re.sub(r"^features\.([2-9])\.0\.", r"features.stage\1.trans\1.", key)
        shift = re.compile(r"^features\.(\d)\.(\d+)\.")
        return shift.sub(
            lambda m: f"features.stage{m[1]}.unit{int(m[2]) + (not dense or m[1] == '1')}.", key
        )

    return named
