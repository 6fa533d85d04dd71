"""The weights that a network of timm starts from: read, converted and loaded strictly."""

import hashlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ibn_seg.errors import EnvError, UserError
from ibn_seg.foundation.resampling import converted
from ibn_seg.foundation.timm_models import build_timm
from ibn_seg.io import load_checkpoint
from ibn_seg.models.state_dicts import all_weights

Weights = dict[str, torch.Tensor]
_SAFETENSORS = ".safetensors"
# Tensors of pretraining that no network of timm has: DINOv2's and EVA's masked patches.
_UNUSED = frozenset(("mask_token",))
_ADAPTERS = ("lora_A", "lora_B")


def read_weights(source: str | bool, name: str, options: Mapping[str, Any]) -> Weights:
    """Return the weights of a file, or those that timm publishes.

    Args:
        source: A .pth or .safetensors file; True for timm's weights.
        name: The network's name in timm.
        options: The arguments that the network was built with.

    Raises:
        UserError: The file holds no weights.
        EnvError: timm cannot fetch the weights, or safetensors is not installed.
    """
    if source is True:
        return dict(build_timm(name, pretrained=True, **options).state_dict())
    if Path(source).suffix == _SAFETENSORS:
        return _read_safetensors(Path(source))
    weights, _ = all_weights(load_checkpoint(source))
    return weights


def load_base(
    network: nn.Module,
    weights: Mapping[str, torch.Tensor],
    *,
    where: str,
    removed: frozenset[str] = frozenset(),
    conversion: str = "timm",
) -> None:
    """Load weights into a network of timm; every tensor must fit.

    Names and sizes are converted by timm's own filter. Tensors of the classifier are left out, and
    so are those of `removed`.

    Args:
        network: The network, changed in place. It may have adapters, which keep their values.
        weights: The weights, by timm's names or by those of the original code.
        where: Their file, for messages.
        removed: Keys of parts that were taken out of the network.
        conversion: How positions and patches of other sizes are converted; see `resampling`.

    Raises:
        UserError: A tensor is missing, unexpected, or has another shape.
    """
    state = dict(weights)
    if conversion == "bicubic":
        state = converted(state, network)
    if filtered := _filter_of(network):
        state = dict(filtered(state, network))
    wanted = base_state(network)
    state = {key: value for key, value in state.items() if not _left_out(key, network, removed)}
    missing = [key for key in wanted if key not in state]
    unexpected = [key for key in state if key not in wanted]
    other = [key for key in wanted if key in state and state[key].shape != wanted[key].shape]
    parts = [
        f"{len(keys)} {kind}, such as {keys[0]}"
        for keys, kind in ((missing, "missing"), (unexpected, "unexpected"))
        if keys
    ]
    if other:
        shapes = f"{tuple(state[other[0]].shape)} instead of {tuple(wanted[other[0]].shape)}"
        parts.append(f"{len(other)} of another shape, such as {other[0]}: {shapes}")
    if parts:
        raise UserError(
            f"{where}: does not fit the network: {'; '.join(parts)}",
            "name the network that it is for in model.backbone.model",
        )
    network.load_state_dict(state, strict=False)


def base_state(network: nn.Module) -> Weights:
    """Return the weights of a network without its adapters, by name."""
    return {
        key: value
        for key, value in network.state_dict().items()
        if key.rpartition(".")[2] not in _ADAPTERS
    }


def weights_hash(weights: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 of names, shapes, types and values of tensors."""
    digest = hashlib.sha256()
    for key in sorted(weights):
        value = weights[key].detach().cpu().contiguous()
        digest.update(f"{key} {tuple(value.shape)} {value.dtype}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _left_out(key: str, network: nn.Module, removed: frozenset[str]) -> bool:
    """Tell whether a tensor belongs to the classifier or to a part that was taken out."""
    config = getattr(network, "pretrained_cfg", None) or {}
    classifiers = config.get("classifier") or ()
    classifiers = (classifiers,) if isinstance(classifiers, str) else classifiers
    return (
        key in removed or key in _UNUSED or any(key.startswith(f"{each}.") for each in classifiers)
    )


def _filter_of(network: nn.Module) -> Callable | None:
    """Return the function by which timm converts weights of others for a family."""
    module = sys.modules[type(network).__module__]
    return getattr(module, "checkpoint_filter_fn", None)


def _read_safetensors(path: Path) -> Weights:
    if not path.is_file():
        raise UserError(f"{path}: no such file", "give a .pth or .safetensors file")
    try:
        import safetensors
        from safetensors.torch import load_file
    except ImportError as error:
        raise EnvError(f"{path}: needs safetensors ({error})", "pip install safetensors") from error
    try:
        return load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise UserError(f"{path}: is damaged ({error})", "copy or download it again") from error
