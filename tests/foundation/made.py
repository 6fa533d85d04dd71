"""Tiny networks of timm of each family."""

from typing import Any

import torch

from ibn_seg.plugins.timm_backbone import TimmBackbone

SIZES = {"embed_dim": 32, "depth": 4, "num_heads": 2}
# Arguments of a backbone for each family, and the channels of its maps.
FAMILIES: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "dinov2": (
        {"model": "vit_small_patch14_dinov2", "patch_size": 16, "timm_args": SIZES}, (32,) * 4
    ),
    "reg4": (
        {"model": "vit_small_patch14_reg4_dinov2", "patch_size": 16, "timm_args": SIZES}, (32,) * 4
    ),
    "dinov3": ({"model": "vit_small_patch16_dinov3", "timm_args": SIZES}, (32,) * 4),
    "eva02": ({"model": "eva02_tiny_patch14_224", "patch_size": 16, "timm_args": SIZES}, (32,) * 4),
    "clip": ({"model": "vit_base_patch16_clip_quickgelu_224", "timm_args": SIZES}, (32,) * 4),
    "siglip": ({"model": "vit_base_patch16_siglip_224", "timm_args": SIZES}, (32,) * 4),
    "sam": (
        {
            "model": "samvit_base_patch16",
            "timm_args": {**SIZES, "window_size": 2, "global_attn_indexes": [1, 3]},
        },
        (32,) * 4,
    ),
    "swin": (
        {
            "model": "swin_tiny_patch4_window7_224",
            "timm_args": {"embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2]},
        },
        (8, 16, 32, 64),
    ),
    "convnext": (
        {
            "model": "convnext_atto",
            "timm_args": {"depths": [1, 1, 1, 1], "dims": [8, 16, 24, 32]},
        },
        (8, 16, 24, 32),
    ),
    "resnet": ({"model": "resnet10t"}, (64, 128, 256, 512)),
}  # fmt: skip
PLAIN = ("dinov2", "reg4", "dinov3", "eva02", "clip", "siglip", "sam")


def tiny(family: str, **options: Any) -> TimmBackbone:
    """Return a tiny backbone for images of 64x64, with layer scales that show in its outputs."""
    settings = {"img_size": 64 if family in (*PLAIN, "swin") else None, **FAMILIES[family][0]}
    model = TimmBackbone(**{**settings, **options})
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "gamma" in name:
                value.fill_(1.0)
    return model


def picture(side: int = 64, seed: int = 0) -> torch.Tensor:
    """Return one image, shape (1, 3, side, side)."""
    return torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(seed))
