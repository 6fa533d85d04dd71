"""Check whether a checkpoint fits a model; if not, one line says why."""

import re
import sys
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.dist import is_main_process
from torch import nn

from ibn_seg.errors import UserError
from ibn_seg.foundation.small_checkpoint import completed
from ibn_seg.models.blocks import ARCHITECTURES
from ibn_seg.models.finite import say_not_finite
from ibn_seg.models.state_dicts import (
    COUNTER,
    all_weights,
    below,
    check_values,
    possible_prefixes,
)
from ibn_seg.models.weight_rules import instance_share, some

# Blocks per stage and whether they are bottlenecks, of the standard residual networks.
_DEPTHS = {
    (counts, block.expansion > 1): f"ResNet-{depth}"
    for depth, (block, counts) in ARCHITECTURES.items()
}
_BLOCK = re.compile(r"(?:^|\.)layer([1-4])\.(\d+)\.")


def load_strictly(model: nn.Module, checkpoint: Any, path: object) -> None:
    """Load the weights of a checkpoint; every parameter and buffer must fit.

    If all weights lie below one name, as in checkpoints of Lightning ('model.'), they are taken
    from there. A small checkpoint is completed by the weights of its base. A line on stderr names
    weights that are left out, NaN or infinite.

    Args:
        model: The model, changed in place.
        checkpoint: The result of `ibn_seg.io.load_checkpoint`.
        path: Its file, for the message.

    Raises:
        UserError: Something does not fit. The line says what and, if this can be told, which depth
            or IBN placement the checkpoint and the config have.
    """
    checkpoint = completed(model, checkpoint, path)
    try:
        given, left_out = all_weights(checkpoint)
    except UserError as error:
        raise UserError(
            f"{path}: holds no model weights: {error.problem}",
            "give a checkpoint made by training",
        ) from error
    wanted = model.state_dict()
    prefixes = ["", *(f"{prefix}." for prefix in possible_prefixes(given, wanted))]
    fitting = [prefix for prefix in prefixes if not differences(below(prefix, given), wanted)]
    if len(fitting) != 1:
        # The first of the prefixes is the bare name; it is meant if any key fits there.
        nearest = prefixes[0 if given.keys() & wanted.keys() else min(1, len(prefixes) - 1)]
        raise _misfit(path, nearest, fitting, below(nearest, given), wanted, left_out)
    prefix = fitting[0]
    weights = below(prefix, given)
    if prefix:
        outside = (key for key in given if not key.startswith(prefix))
        left_out = [*dict.fromkeys(key.rpartition(".")[0] or key for key in outside), *left_out]
    if (prefix or left_out) and is_main_process():
        where = f" what is below {prefix[:-1]!r}" if prefix else ""
        rest = f"; left out {some(left_out)}" if left_out else ""
        print(f"{path}: loaded{where}{rest}", file=sys.stderr)
    try:
        check_values(weights, wanted)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    model.load_state_dict(weights, strict=False)
    say_not_finite(model, path)


def differences(given: Mapping, wanted: Mapping) -> tuple[list[str], list[str], list[str]] | None:
    """Compare two state dicts by their keys and shapes.

    Args:
        given: Of a checkpoint.
        wanted: Of a network.

    Returns:
        The keys that are missing, unexpected and of another shape; None if all fits.
    """
    # Old versions of PyTorch did not store the counters of batch norm, and nothing reads them.
    missing = [key for key in wanted if key not in given and not key.endswith(COUNTER)]
    unexpected = [key for key in given if key not in wanted]
    reshaped = [key for key in wanted if key in given and given[key].shape != wanted[key].shape]
    return (missing, unexpected, reshaped) if missing or unexpected or reshaped else None


def _misfit(
    path: object,
    prefix: str,
    fitting: list[str],
    given: Mapping,
    wanted: Mapping,
    left_out: list[str],
) -> UserError:
    """Return the error for weights that fit nowhere, or in several places.

    Args:
        path: The file.
        prefix: The name below which the weights were searched, '' or ending with a dot.
        fitting: The prefixes below which everything fits.
        given: The entries below `prefix`.
        wanted: The state dict of the model.
        left_out: Entries that are no tensors.
    """
    if fitting:
        names = " and ".join(repr(each.rstrip(".")) for each in fitting)
        return UserError(
            f"{path}: holds several networks that fit the config, below {names}",
            "write one of them to a file of its own with torch.save",
        )
    missing, unexpected, reshaped = differences(given, wanted)
    reason = _kinds_differ(given, wanted) or _keys_differ(
        missing, unexpected, reshaped, given, wanted
    )
    if not missing and not unexpected and (heads := _heads_differ(reshaped, given, wanted)):
        reason = f"{heads} ({reason})"
    if missing and left_out:
        reason += f"; left out {some(left_out)}"
    where = f" below {prefix[:-1]!r}" if prefix else ""
    return UserError(
        f"{path}: does not fit the config{where}: {reason}", "give the config it was trained with"
    )


def describe_backbone(state: Mapping[str, torch.Tensor]) -> tuple[str, str] | None:
    """Return depth and IBN placement of a residual network, read from its keys.

    Returns:
        Such as ('ResNet-50', 'IBN-a'), or None if the keys are not of a residual network.
    """
    keys = [key for key in state if not key.startswith(("decode_head", "auxiliary_head"))]
    blocks: dict[int, set[int]] = {}
    for key in keys:
        if match := _BLOCK.search(key):
            blocks.setdefault(int(match[1]), set()).add(int(match[2]))
    if not blocks:
        return None
    counts = tuple(len(blocks[stage]) for stage in sorted(blocks))
    bottleneck = any(re.search(r"layer1\.0\.conv3\.", key) for key in keys)
    kind = "bottleneck" if bottleneck else "basic"
    depth = _DEPTHS.get((counts, bottleneck), f"a residual network of {counts} {kind} blocks")
    return depth, _placement(state, keys)


def _placement(state: Mapping[str, torch.Tensor], keys: list[str]) -> str:
    """Tell IBN-a, IBN-b and plain BN apart: b adds norms without running statistics.

    Norms of other methods have tensors of their own.
    """
    for end, name in ((".sw_mean_weight", "SW"), (".running_wm", "IterNorm"), (".mask", "ISW")):
        if any(key.endswith(end) for key in keys):
            return name
    if any(re.search(r"layer\d\.\d+\.\w+\.IN\.weight$", key) for key in keys):
        return "IBN-a"
    norms = [key for key in keys if state[key].dim() == 1 and key.endswith(".weight")]
    plain = [key for key in norms if f"{key.removesuffix('weight')}running_mean" not in state]
    return "IBN-b" if plain else "BN"


def _kinds_differ(given: Mapping, wanted: Mapping) -> str | None:
    """Return the depth or placement of the checkpoint as text if it explains the difference."""
    have, need = describe_backbone(given), describe_backbone(wanted)
    if have is None or need is None:
        return None
    if have == need:
        return _ratios_differ(given, wanted)
    both = zip(("backbone", "norm placement"), have, need, strict=True)
    parts = [f"its {name} is {a}, the config's is {b}" for name, a, b in both if a != b]
    return "; ".join(parts)


def _ratios_differ(given: Mapping, wanted: Mapping) -> str | None:
    """Return both shares of instance-normalised channels as text if they differ."""
    have, need = instance_share(given), instance_share(wanted)
    if have is None or need is None or have == need:
        return None
    return f"its IBN ratio is {have:.3g}, the config's is {need:.3g}"


def _heads_differ(reshaped: list[str], given: Mapping, wanted: Mapping) -> str | None:
    """Return both numbers of classes as text if only classifiers have another shape."""
    if not reshaped or not all(re.search(r"\bconv_seg\.(weight|bias)$", key) for key in reshaped):
        return None
    have, need = (len(state[reshaped[0]]) for state in (given, wanted))
    return f"its head is for {have} classes, the config's for {need}" if have != need else None


def _keys_differ(
    missing: list[str], unexpected: list[str], reshaped: list[str], given: Mapping, wanted: Mapping
) -> str:
    """Count the differences and give an example of each."""
    parts = []
    if missing:
        parts.append(f"{len(missing)} parameters missing, such as {missing[0]}")
    if unexpected:
        parts.append(f"{len(unexpected)} unexpected, such as {unexpected[0]}")
    if reshaped:
        key = reshaped[0]
        shapes = f"{tuple(given[key].shape)} instead of {tuple(wanted[key].shape)}"
        parts.append(f"{len(reshaped)} of another shape, such as {key}: {shapes}")
    return "; ".join(parts)
