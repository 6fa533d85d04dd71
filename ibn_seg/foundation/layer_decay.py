"""Learning rates that fall from the head to the first layer, in the conventions of the field.

With n blocks, block j from 0 and the rate d, the factor of the learning rate is:

| convention | patches, positions, tokens | block j | final norm | not decayed |
| --- | --- | --- | --- | --- |
| timm (ViT) | d^n | d^(n-1-j) | 1 | 1-D; positions and tokens |
| dinov2 | d^(n+1) | d^(n-j) | 1 | biases, norms, gammas |
| mmseg (BEiT) | d^(n+1) | d^(n-j) | 1 | 1-D |
| eomt | d^(n-1) | d^(n-1-j) | 1 | nothing |

timm's counts come from its own table of layers, so its ConvNeXt has one for every block. Sources:
timm 1.0, dinov2 at b8931f7, mmsegmentation 1.2, EoMT at 7bd19dd.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from ibn_seg.errors import UserError, unknown

CONVENTIONS = ("timm", "dinov2", "mmseg", "eomt")
_BLOCK = re.compile(r"(?:^|\.)(?:blocks|layers)\.(\d+)\.")
_PATCHES = "patch_embed"
_TOKENS = ("pos_embed", "cls_token", "mask_token", "reg_token", "register_tokens")
# Rein's optimiser at 7da85bc, for mmengine's own constructor.
REIN_PARAMWISE: Mapping[str, Any] = {
    "custom_keys": {
        key: {"decay_mult": 0.0}
        for key in ("norm", "query_embed", "level_embed", "learnable_tokens", "reins.scale")
    },
    "norm_decay_mult": 0.0,
}

Factors = dict[str, tuple[float, float]]


def network_factors(
    network: nn.Module, decay: float, convention: str, patch_factor: float = 1.0
) -> Factors:
    """Return the factors of a network of timm.

    Args:
        network: The network.
        decay: The rate d, above 0 and at most 1.
        convention: One of `CONVENTIONS`.
        patch_factor: A further factor of the learning rate of the patch embedding.

    Returns:
        For each parameter's name the factors of the learning rate and of the weight decay.

    Raises:
        UserError: The convention or the rate is none, or the convention needs blocks in a row.
    """
    dimensions = {name: value.dim() for name, value in network.named_parameters()}
    if convention == "timm":
        _check(decay, convention)
        factors = _timm_factors(network, dimensions, decay)
        return {
            name: (lr * (patch_factor if _PATCHES in name else 1.0), wd)
            for name, (lr, wd) in factors.items()
        }
    return named_factors(dimensions, decay, convention, patch_factor)


def named_factors(
    dimensions: Mapping[str, int], decay: float, convention: str, patch_factor: float = 1.0
) -> Factors:
    """Return the factors of parameters of a plain transformer by their names.

    Args:
        dimensions: The number of dimensions of each parameter by name. Blocks have names like
            'blocks.0.' or 'layers.0.'.
        decay: The rate d, above 0 and at most 1.
        convention: 'dinov2', 'mmseg' or 'eomt'.
        patch_factor: A further factor of the learning rate of the patch embedding.

    Raises:
        UserError: The convention or the rate is none, or there are no blocks.
    """
    _check(decay, convention)
    numbers = [int(match[1]) for name in dimensions if (match := _BLOCK.search(name))]
    if not numbers:
        raise UserError(
            f"layer_decay: the convention {convention!r} is for plain transformers",
            "give convention='timm'",
        )
    last = max(numbers) + 1
    decayed = _DECAYED[convention]
    found = {}
    for name, count in dimensions.items():
        factor = decay ** _steps(name, last, convention)
        if _PATCHES in name:
            factor *= patch_factor
        found[name] = (factor, 1.0 if decayed(name, count) else 0.0)
    return found


def _check(decay: float, convention: str) -> None:
    if convention not in CONVENTIONS:
        raise unknown("convention of layer_decay", convention, CONVENTIONS)
    if isinstance(decay, bool) or not isinstance(decay, int | float) or not 0 < decay <= 1:
        raise UserError(f"layer_decay={decay!r}", "give a number above 0 and at most 1")


def _steps(name: str, blocks: int, convention: str) -> int:
    """Return the exponent of the rate for one parameter."""
    # EoMT counts as timm does, and its embeddings share the factor of block 0.
    first, embeddings = (blocks - 1, blocks - 1) if convention == "eomt" else (blocks, blocks + 1)
    if match := _BLOCK.search(name):
        return first - int(match[1])
    is_embedding = _PATCHES in name or name.rpartition(".")[2] in _TOKENS
    return embeddings if is_embedding else 0


def _decayed_by_dinov2(name: str, _: int) -> bool:
    return not (name.endswith(".bias") or "norm" in name or "gamma" in name)


_DECAYED: Mapping[str, Callable[[str, int], bool]] = {
    "dinov2": _decayed_by_dinov2,
    "mmseg": lambda _, count: count > 1,
    "eomt": lambda _, __: True,
}


def _timm_factors(network: nn.Module, dimensions: Mapping[str, int], decay: float) -> Factors:
    """Return the factors of `timm.optim.param_groups_layer_decay`, for all parameters."""
    from timm.models import group_parameters

    layers = group_parameters(network, network.group_matcher(coarse=False), reverse=True)
    last = max(layers.values())
    spared = set(network.no_weight_decay()) if hasattr(network, "no_weight_decay") else set()
    return {
        name: (decay ** (last - layers[name]), 0.0 if count <= 1 or name in spared else 1.0)
        for name, count in dimensions.items()
    }
