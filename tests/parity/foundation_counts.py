"""Numbers of parameters of networks at their real size, without data."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from ibn_seg.foundation.timm_models import build_timm, is_plain
from ibn_seg.foundation.tuning import add_adapters, low_rank_layers, read_tuning

_RANK = 16


def differences(counts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each network of the file's counts, with what differs; '' if all is equal."""
    for name, expected in counts.get("backbones", {}).items():
        found = counted(name)
        wrong = [
            f"{key} {found.get(key)!r} instead of {value!r}"
            for key, value in expected.items()
            if found.get(key) != value
        ]
        yield name, "; ".join(wrong)


def counted(name: str) -> dict[str, Any]:
    """Return the counts of a network of timm, as the file has them."""
    with torch.device("meta"):
        network = build_timm(name)
        found: dict[str, Any] = {"total": _size(network)}
        if not is_plain(network):
            return found
        found |= {
            "depth": len(network.blocks),
            "dim": network.embed_dim,
            "prefix_tokens": getattr(network, "num_prefix_tokens", 0),
        }
        norm = getattr(network, "norm", None)
        if norm is not None and _size(norm):
            found["final_norm"] = _size(norm)
        attention = network.blocks[0].attn
        fused = getattr(attention, "qkv", None) is not None
        names = ["qkv"] if fused else ["q_proj", "k_proj", "v_proj"]
        found["lora_r16_qkv_only"] = _adapters(name, names)[0]
        found["lora_r16_all_linear"], layers = _adapters(name, None)
        first = {layer for layer in layers if layer.startswith("blocks.0.")}
        found["lora_r16_names"] = sorted(layer.removeprefix("blocks.0.") for layer in first)
    return found


def _adapters(name: str, matrices: list[str] | None) -> tuple[int, list[str]]:
    """Return the parameters of LoRA's adapters, and the layers that have one."""
    network = build_timm(name)
    tuning = read_tuning({"mode": "lora", "rank": _RANK, "matrices": matrices})
    add_adapters(network, name, tuning)
    layers = low_rank_layers(network)
    count = sum(layer.lora_A.numel() + layer.lora_B.numel() for layer in layers.values())
    return count, list(layers)


def _size(module: torch.nn.Module) -> int:
    return sum(value.numel() for value in module.parameters())
