"""Our names for the arrays of a symbol checkpoint of IBN-Net.mxnet, and what `bn_data` stands for.

Source: https://github.com/bruinxiong/IBN-Net.mxnet at e138250. The arrays have PyTorch's layout.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from ibn_seg.errors import UserError

Weights = Mapping[str, torch.Tensor]

_EPS = 2e-5
_PREFIXES = ("arg", "aux")
_ENDS = {
    "gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_var": "running_var",
    "weight": "weight", "bias": "bias",
}  # fmt: skip
_MOVING = ("moving_mean", "moving_var")
_NAME = re.compile(rf"(.+)_({'|'.join(_ENDS)})")
_PART = re.compile(r"stage([1-9])_unit([1-9]\d*)_(.+)")
# `bn1` stands at the end of a network that normalises before each convolution.
_TOP = {
    "conv0": "conv1", "bn0": "bn1", "conv02": "stem.0", "bn02": "stem.1", "conv03": "stem.3",
    "bn03": "stem.4", "bn1": "last_norm", "fc1": "fc",
}  # fmt: skip
_PARTS = {
    **{name: name for name in ("conv1", "conv2", "conv3", "bn1", "bn2", "bn3")},
    "in1": "bn1.IN", "ibn1": "IN", "sc": "downsample.0", "sc_bn": "downsample.1",
}  # fmt: skip
DATA = "bn_data"
# Gluon numbers its blocks, so such names depend on what a process built before.
_EXPORTED = re.compile(r"(?!stage\d+_unit)[a-z]+\d+_[a-z]+\d+_\w+")


@dataclass(frozen=True)
class Preprocessing:
    """What the batch norm of the images does, as a preprocessor of RGB from 0 to 255.

    Attributes:
        mean: Subtracted from the red, green and blue values.
        std: Divides them then.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __str__(self) -> str:
        return f"mean={_short(self.mean)}, std={_short(self.std)} of RGB from 0 to 255"

    def config(self) -> str:
        """Return the same as arguments of a config's `data_preprocessor`."""
        mean, std = ([round(value, 4) for value in values] for values in (self.mean, self.std))
        return f"mean={mean}, std={std}, bgr_to_rgb=True"


def is_symbol(weights: Weights) -> bool:
    """Return whether names have the prefixes of a symbol checkpoint."""
    return any(key.startswith(("arg:", "aux:")) for key in weights)


def from_symbol(weights: Weights) -> tuple[dict[str, torch.Tensor], Preprocessing | None]:
    """Return the weights of a symbol checkpoint under our names, as float32.

    Args:
        weights: Tensors under the names of the file.

    Returns:
        The weights without those of `bn_data`, and what these stand for; None without them.

    Raises:
        UserError: A name is of no network of IBN-Net.mxnet, or has the wrong prefix.
    """
    plain = {_without_prefix(key): value.float() for key, value in weights.items()}
    data = {key: plain.pop(key) for key in list(plain) if key.startswith(f"{DATA}_")}
    unknown = [name for name in plain if _ours(name, plain) is None]
    if unknown:
        raise _unknown(unknown)
    ours = {_ours(name, plain): value for name, value in plain.items()}
    if len(ours) < len(plain):
        raise UserError("two arrays stand for one tensor", "give a checkpoint of one network")
    return ours, _preprocessing(data)


def module_name(node: str, names: Weights) -> str | None:
    """Return our module for a node such as `stage1_unit1_bn1`, or None if it has none.

    Args:
        node: The name of a layer.
        names: The arrays of its network by name, without prefixes.
    """
    match = _PART.fullmatch(node)
    if match is None:
        return _TOP.get(node)
    part = _PARTS.get(match[3])
    split = f"stage{match[1]}_unit{match[2]}_in1_gamma" in names
    if part == "bn1" and split:
        part = "bn1.BN"
    return part and f"layer{match[1]}.{int(match[2]) - 1}.{part}"


def _ours(name: str, names: Weights) -> str | None:
    match = _NAME.fullmatch(name)
    module = match and module_name(match[1], names)
    return module and f"{module}.{_ENDS[match[2]]}"


def _without_prefix(key: str) -> str:
    """Return a name without its prefix, which must be the right one."""
    prefix, separator, name = key.partition(":")
    if not separator or prefix not in _PREFIXES:
        raise UserError(
            f"{key} has neither arg: nor aux:, other names have", "give the whole checkpoint"
        )
    right = "aux" if name.endswith(_MOVING) else "arg"
    if prefix != right:
        raise UserError(
            f"{key} must be {right}:{name}, so the names are damaged",
            "write the checkpoint again with mx.model.save_checkpoint",
        )
    return name


def _preprocessing(data: Weights) -> Preprocessing | None:
    """Return what `bn_data` stands for; its gamma is 1, whatever is stored (`fix_gamma`)."""
    ends = ("beta", *_MOVING)
    if not data:
        return None
    missing = [f"{DATA}_{end}" for end in ends if f"{DATA}_{end}" not in data]
    if missing:
        raise UserError(f"{missing[0]} is missing", "give the whole checkpoint")
    beta, mean, var = (data[f"{DATA}_{end}"].double() for end in ends)
    if not beta.shape == mean.shape == var.shape or beta.dim() != 1:
        raise UserError(f"the arrays of {DATA} have different shapes", "give another file")
    std = (var + _EPS).sqrt()
    return Preprocessing(tuple((mean - beta * std).tolist()), tuple(std.tolist()))


def _unknown(names: list[str]) -> UserError:
    rest = f" and {len(names) - 1} more" if len(names) > 1 else ""
    if all(map(_EXPORTED.fullmatch, names)):
        return UserError(
            f"{names[0]}{rest}: names that Gluon's export writes, which no table knows",
            "write the network with net.save_parameters(FILE)",
        )
    return UserError(
        f"{names[0]}{rest}: no network of IBN-Net.mxnet has such arrays",
        "give a checkpoint of one of its networks",
    )


def _short(values: tuple[float, ...]) -> str:
    return f"[{', '.join(f'{value:.4g}' for value in values)}]"
