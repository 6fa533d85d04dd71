"""How a network of timm is tuned: which parameters are trained, and which adapters it gets."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ibn_seg.errors import UserError, unknown
from ibn_seg.foundation.low_rank import LowRankLinear
from ibn_seg.foundation.rein import QUERY_WIDTH, Rein
from ibn_seg.foundation.timm_models import is_plain, patch_size, transformer_blocks

MODES = ("full", "frozen", "head", "lora", "soma", "rein")
LOW_RANK = ("lora", "soma")
_SPLIT = ("q", "k", "v")
_FUSED = "qkv"


@dataclass(frozen=True)
class Tuning:
    """The key `tuning` of a backbone: a mode, or a dict of a mode and these settings.

    Attributes:
        mode: 'full' trains all. 'frozen' trains nothing, in eval mode without gradients. 'head'
            trains nothing and keeps the averages of norms; drop path and dropout are as in
            training. 'lora', 'soma' and 'rein' train adapters.
        rank: Rank of LoRA and SoMA, and of Rein's tokens; None for Rein's plain tokens.
        alpha: LoRA and SoMA multiply their change by alpha / rank. Default: the rank.
        rank_stabilised: Multiply by alpha / sqrt(rank) instead.
        matrices: Which linear layers of the blocks get LoRA or SoMA, such as ['qkv', 'mlp.fc1'].
            'q', 'k' and 'v' of a fused 'qkv' get an adapter each. Default: all, and for SoMA all
            with q, k and v apart.
        first_block: The first block with an adapter. SoMA as published: the last two thirds.
        largest: SoMA takes the largest singular values, as the released code does by default.
        tokens: Rein's tokens of each block.
        scale: Rein's factor at first.
        softmax: Rein weights its tokens by a softmax.
        zero_start: Rein's change begins with 0.
        link: Rein makes queries for a head that asks for them.
        query_width: Channels of these queries.
    """

    mode: str = "full"
    rank: int | None = 16
    alpha: float | None = None
    rank_stabilised: bool = False
    matrices: Sequence[str] | None = None
    first_block: int = 0
    largest: bool = False
    tokens: int = 100
    scale: float = 0.001
    softmax: bool = True
    zero_start: bool = False
    link: bool = False
    query_width: int = QUERY_WIDTH


_LOW_RANK_READ = ("rank", "alpha", "rank_stabilised", "matrices", "first_block")
_READ = {
    "lora": _LOW_RANK_READ,
    "soma": (*_LOW_RANK_READ, "largest"),
    "rein": ("rank", "tokens", "scale", "softmax", "zero_start", "link", "query_width"),
}


def read_tuning(given: Any) -> Tuning:
    """Return what `tuning` of a config means.

    Args:
        given: A mode, or a dict with `mode` and settings of `Tuning`.

    Raises:
        UserError: A mode or setting is unknown, or has a value that it cannot have.
    """
    settings = {"mode": given} if isinstance(given, str) else given
    if not isinstance(settings, Mapping) or "mode" not in settings:
        raise UserError(f"tuning={given!r}", f"give one of {', '.join(MODES)}, or dict(mode=...)")
    mode = settings["mode"]
    if mode not in MODES:
        raise unknown("mode of tuning", mode, MODES)
    allowed = {"mode", *_READ.get(mode, ())}
    for name in settings:
        if name not in allowed:
            raise unknown(f"setting of tuning {mode!r}", name, sorted(allowed))
    tuning = Tuning(**settings)
    for field in fields(Tuning):
        value = getattr(tuning, field.name)
        if field.type is bool and not isinstance(value, bool):
            raise UserError(f"tuning.{field.name}={value!r}", "give True or False")
    _check_numbers(tuning)
    return tuning


def _check_numbers(tuning: Tuning) -> None:
    for name, least in (("rank", 1), ("tokens", 2), ("first_block", 0), ("query_width", 1)):
        value = getattr(tuning, name)
        plain = name == "rank" and value is None and tuning.mode == "rein"
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= least
        if not whole and not plain:
            raise UserError(f"tuning.{name}={value!r}", f"give a whole number from {least}")
    if tuning.alpha is not None and not (_is_number(tuning.alpha) and tuning.alpha > 0):
        raise UserError(f"tuning.alpha={tuning.alpha!r}", "give a number above 0")
    if not _is_number(tuning.scale):
        raise UserError(f"tuning.scale={tuning.scale!r}", "give a number, such as 0.001")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def add_adapters(network: nn.Module, name: str, tuning: Tuning) -> Rein | None:
    """Give a network its adapters, and set which of its parameters are trained.

    Args:
        network: Of timm, changed in place.
        name: Its name, for messages.
        tuning: How it is tuned.

    Returns:
        Rein's modules, which are not part of the network; None for the other modes.

    Raises:
        UserError: The network has no place for the adapters.
    """
    network.requires_grad_(tuning.mode == "full")
    if tuning.mode in LOW_RANK:
        _add_low_rank(network, name, tuning)
    return _rein(network, name, tuning) if tuning.mode == "rein" else None


def start_adapters(network: nn.Module, rein: Rein | None, tuning: Tuning) -> None:
    """Give the adapters their first values; the network's weights must be loaded.

    SoMA's come from the weights. So they are made behind the loading, as in the paper. The released
    code makes them before it.
    """
    for layer in low_rank_layers(network).values():
        if tuning.mode == "soma":
            layer.start_soma(tuning.largest)
        else:
            layer.start_lora()
    if rein is not None:
        rein.reset_parameters()


def low_rank_layers(network: nn.Module) -> dict[str, LowRankLinear]:
    """Return the layers with an adapter by name."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, LowRankLinear)
    }


def hold(network: nn.Module, tuning: Tuning) -> None:
    """Put what must stay put into eval mode; call it behind every `train()`.

    Args:
        network: The network of timm, without Rein's modules.
        tuning: How it is tuned.
    """
    if tuning.mode == "head":
        hold_norms(network)
    elif tuning.mode != "full":
        network.eval()


def hold_norms(network: nn.Module) -> None:
    """Put batch norms into eval mode, so that their averages stay."""
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.eval()


def merged_state(network: nn.Module, tuning: Tuning) -> dict[str, Any]:
    """Return the weights of a plain network of timm that computes the same.

    Args:
        network: The tuned network; it is not changed.
        tuning: How it was tuned.

    Raises:
        UserError: It was tuned by Rein, whose change depends on the features.
    """
    if tuning.mode == "rein":
        raise UserError(
            "Rein cannot be merged, because its change depends on the picture",
            "keep the backbone as it is",
        )
    state = dict(network.state_dict())
    for name, layer in low_rank_layers(network).items():
        for adapter in ("lora_A", "lora_B"):
            del state[f"{name}.{adapter}"]
        state[f"{name}.weight"] = layer.merged().detach()
    return state


def _rein(network: nn.Module, name: str, tuning: Tuning) -> Rein:
    """Return Rein's modules for a plain transformer."""
    if not is_plain(network):
        raise UserError(
            f"tuning 'rein' needs a plain transformer, and {name} is none",
            "take a ViT, or tuning 'full', 'frozen' or 'head'",
        )
    return Rein(
        len(network.blocks),
        network.feature_info[0]["num_chs"],
        patch_size(network)[0],
        tokens=tuning.tokens,
        rank=tuning.rank,
        scale=tuning.scale,
        softmax=tuning.softmax,
        zero_start=tuning.zero_start,
        link=tuning.link,
        query_width=tuning.query_width,
    )


def _add_low_rank(network: nn.Module, name: str, tuning: Tuning) -> None:
    """Replace linear layers of the blocks, and train their adapters."""
    blocks = transformer_blocks(network)
    if not blocks:
        raise UserError(
            f"tuning {tuning.mode!r} needs a network with attention, and {name} has none",
            "take a transformer, or tuning 'full', 'frozen' or 'head'",
        )
    if tuning.first_block >= len(blocks):
        raise UserError(
            f"tuning.first_block={tuning.first_block}", f"{name} has blocks 0 to {len(blocks) - 1}"
        )
    chosen = blocks[tuning.first_block :]
    found = {
        f"{block}.{inner}": inner
        for block, module in chosen
        for inner, layer in module.named_modules()
        if isinstance(layer, nn.Linear)
    }
    wanted = _matrices(tuning, set(found.values()))
    alpha = tuning.rank if tuning.alpha is None else tuning.alpha
    for full, inner in found.items():
        if inner in wanted:
            layer = network.get_submodule(full)
            least = min(layer.in_features, layer.out_features // wanted[inner])
            if tuning.rank > least:
                raise UserError(f"tuning.rank={tuning.rank}", f"{full} has rank {least} at most")
            adapter = LowRankLinear(
                layer, tuning.rank, alpha, tuning.rank_stabilised, wanted[inner]
            )
            if tuning.mode == "soma" and adapter.bias is not None:
                adapter.bias.requires_grad_(True)
            parent, _, leaf = full.rpartition(".")
            setattr(network.get_submodule(parent), leaf, adapter)
    for block, module in chosen:
        _use_layer(module.attn, f"{name}: {block}.attn", biases=tuning.mode == "soma")


def _use_layer(attention: nn.Module, where: str, biases: bool) -> None:
    """Let an attention call its fused layer, instead of reading the layer's weight.

    EVA's and BEiT's keep the bias of q, k and v apart, and read the weight by default. The adapter
    would be passed over then.
    """
    fused = getattr(attention, _FUSED, None)
    if not isinstance(fused, LowRankLinear) or getattr(attention, "q_bias", None) is None:
        return
    if not hasattr(attention, "qkv_bias_separate"):
        raise UserError(f"{where} reads the weight of qkv itself", "leave qkv out of matrices")
    attention.qkv_bias_separate = True
    if biases:
        attention.q_bias.requires_grad_(True)
        attention.v_bias.requires_grad_(True)


def _matrices(tuning: Tuning, known: set[str]) -> dict[str, int]:
    """Return the names of layers in a block that get adapters, with the number of parts of each.

    Args:
        tuning: Names without their module are allowed, such as 'fc1' for 'mlp.fc1'.
        known: The linear layers of a block.
    """
    given = tuning.matrices
    fused = {inner for inner in known if inner.split(".")[-1] == _FUSED}
    if given is None:
        split = 3 if tuning.mode == "soma" else 1
        return {inner: split if inner in fused else 1 for inner in known}
    if not isinstance(given, list | tuple) or not all(isinstance(each, str) for each in given):
        raise UserError(f"tuning.matrices={given!r}", "give a list of names, such as ['qkv']")
    parts: dict[str, int] = {}
    for each in given:
        found = {inner for inner in known if f".{inner}".endswith(f".{each}")}
        if not found and each in _SPLIT and fused:
            if not set(_SPLIT) <= set(given):
                raise UserError(f"tuning.matrices={list(given)}", "name q, k and v, or qkv")
            parts.update(dict.fromkeys(fused, len(_SPLIT)))
        elif not found:
            names = sorted(known | ({"q", "k", "v"} if fused else set()))
            raise unknown("layer in tuning.matrices", each, names)
        else:
            parts.update(dict.fromkeys(found, 1))
    return parts
