"""Find the state dict in a checkpoint file, whatever wrappers other programs put around it."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from numbers import Integral
from typing import Any

import numpy as np
import torch

from ibn_seg.errors import UserError
from ibn_seg.harmless_classes import stands_for

COUNTER = "num_batches_tracked"
# The keys under which training scripts keep the weights; the first existing key counts.
WRAPPERS = ("state_dict", "model", "model_state_dict", "state_dict_ema", "model_ema")
# Keys of averaged weights: timm and torchvision write them beside the weights themselves.
_AVERAGED = ("state_dict_ema", "model_ema")
# Booleans, whole, real and complex numbers.
_NUMBERS = "biufc"
# No known checkpoint is nested deeper; a hostile one may contain itself.
_DEPTH = 6
# Prefixes that `torch.compile`, FSDP and activation checkpointing add to module names.
_WRAPPED = re.compile(r"(^|\.)(?:(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.)+")
# The counter of PyTorch's `AveragedModel`, beside `module.`.
_AVERAGES = "n_averaged"


def all_weights(checkpoint: object, wrapper: str = "") -> tuple[dict[str, torch.Tensor], list[str]]:
    """Return the tensors of a checkpoint by name, and the entries that were left out.

    It removes wrapping dictionaries and prefixes such as `module.` and `_orig_mod.`. Names of
    dictionaries that lie beside each other, such as 'student' and 'teacher', stay part of the keys.
    If a checkpoint holds only NumPy arrays, they are read as tensors.

    Args:
        checkpoint: The content of a checkpoint file.
        wrapper: Take the weights below this key of the checkpoint, if it exists.

    Returns:
        Tensors by name, and a description of each entry that is no tensor. A counter of batches
        that was saved as a number becomes a tensor again.

    Raises:
        UserError: There are no tensors in it.
    """
    content, dropped = checkpoint, []
    if wrapper and isinstance(checkpoint, Mapping) and _has_tensors(checkpoint.get(wrapper)):
        content = {wrapper: checkpoint[wrapper]}
    else:
        for _ in range(_DEPTH):
            key = _wrapper(content)
            if key is None:
                break
            dropped += [
                f"the averaged weights under {other!r}"
                for other in _AVERAGED
                if key not in _AVERAGED and _has_tensors(content.get(other))
            ]
            content = content[key]
    weights, others = {}, []
    for name, value in _flat(content):
        if isinstance(value, torch.Tensor):
            weights[name] = value
        elif _is_count(name, value):
            weights[name] = torch.tensor(int(value))
        else:
            others.append(f"{name} ({_kind(value)}, no tensor)")
    if not weights:
        converted = _with_tensors(checkpoint)
        if not _has_tensors(converted):
            raise _no_weights(checkpoint)
        return all_weights(converted, wrapper)
    return without_wrappers(weights), [*dropped, *others]


def without_wrappers(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Remove prefixes that `torch.compile`, `DataParallel` and similar tools add."""
    weights = {_WRAPPED.sub(r"\1", key): value for key, value in weights.items()}
    while all(key.startswith("module.") for key in weights.keys() - {_AVERAGES}):
        if weights.keys() == {_AVERAGES}:
            break
        weights = below("module.", weights)
    return weights


def below(prefix: str, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the entries below a prefix, under names without it."""
    return {
        key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)
    }


def select(weights: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Return the entries below a prefix, which must exist.

    Raises:
        UserError: It does not exist; the line names the prefixes that do.
    """
    selected = below(prefix, weights)
    if not selected:
        names = sorted({key.partition(".")[0] for key in weights})
        raise UserError(f"no key starts with {prefix!r}", f"there are: {', '.join(names)}")
    return selected


def check_values(weights: Mapping[str, torch.Tensor], target: Mapping[str, torch.Tensor]) -> None:
    """Raise unless tensors have values that a network can copy.

    Args:
        weights: Of the checkpoint.
        target: The state dict of the network.

    Raises:
        UserError: A tensor is sparse, quantised, complex or without values, or holds whole numbers
            in the place of real ones.
    """
    for key in filter(weights.__contains__, target):
        value = weights[key]
        odd = value.is_meta or value.is_quantized or value.is_complex()
        whole = target[key].is_floating_point() and not value.is_floating_point()
        if odd or whole or value.layout != torch.strided:
            kind = f"{value.dtype}, {value.layout}, on {value.device}".replace("torch.", "")
            raise UserError(
                f"its weights have no plain values ({key}: {kind})", "write a plain state dict"
            )


def possible_prefixes(
    weights: Mapping[str, torch.Tensor], target: Mapping[str, torch.Tensor]
) -> list[str]:
    """Return the names below which the modules of a network lie in a checkpoint.

    Args:
        weights: Of the checkpoint.
        target: The state dict of the network.

    Returns:
        Names with most of the network's tensors come first; the empty name is left out.
    """
    modules = {key.partition(".")[0] for key in target}
    found = set()
    for key in weights:
        parts = key.split(".")
        found |= {".".join(parts[:at]) for at in range(1, len(parts) - 1) if parts[at] in modules}
    counts = {prefix: sum(f"{prefix}.{key}" in weights for key in target) for prefix in found}
    return sorted((p for p in counts if counts[p]), key=lambda p: (-counts[p], p))


def _wrapper(content: object) -> str | None:
    """Return the key under which the weights are wrapped, or None if they are bare."""
    if not isinstance(content, Mapping):
        return None
    return next((key for key in WRAPPERS if _has_tensors(content.get(key))), None)


def _has_tensors(value: object, depth: int = _DEPTH) -> bool:
    """Tell whether a mapping holds tensors by name, directly or in a mapping in it."""
    return (
        depth > 0
        and isinstance(value, Mapping)
        and any(
            isinstance(key, str) and (isinstance(v, torch.Tensor) or _has_tensors(v, depth - 1))
            for key, v in value.items()
        )
    )


def _with_tensors(value: object, depth: int = _DEPTH) -> Any:
    """Return the content of a checkpoint, with tensors instead of arrays of numbers."""
    if isinstance(value, Mapping) and depth > 0:
        return {key: _with_tensors(part, depth - 1) for key, part in value.items()}
    if isinstance(value, np.ndarray) and value.dtype.kind in _NUMBERS:
        # A copy in the machine's byte order, which PyTorch may write to.
        native = np.array(value, value.dtype.newbyteorder("="), subok=False)
        with contextlib.suppress(TypeError):  # numbers that PyTorch has not
            return torch.from_numpy(native)
    return value


def _flat(content: object, prefix: str = "", depth: int = _DEPTH) -> Iterator[tuple[str, Any]]:
    """Yield the entries of a mapping; tensors in nested mappings get dotted names."""
    if not isinstance(content, Mapping):
        return
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(key, str) and _has_tensors(value, depth - 1):
            yield from _flat(value, f"{name}.", depth - 1)
        else:
            yield name, value if isinstance(key, str) else None


def _is_count(name: str, value: object) -> bool:
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    return name.endswith(COUNTER) and whole


def _kind(value: object) -> str:
    pickled = stands_for(value)
    if isinstance(value, np.ndarray):
        return "an array of NumPy"
    return f"a pickled {pickled}" if pickled else type(value).__name__


def _no_weights(checkpoint: object) -> UserError:
    """Return the error for content without tensors, which names the content."""
    if not isinstance(checkpoint, Mapping):
        found = type(checkpoint).__name__
    else:
        keys = list(checkpoint.items())[:5]
        names = [f"{k}: {_kind(v)}" if stands_for(v) else str(k) for k, v in keys]
        found = f"keys {', '.join(names)}" if names else "nothing"
    return UserError(
        f"no weights in it ({found})",
        f"expected tensors by name, bare or under one of {', '.join(WRAPPERS)}",
    )
