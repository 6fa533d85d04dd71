"""Position and patch embeddings for another grid or patch, in timm's way and in the originals'.

All compute in float32. The target's pixel i reads the source at `(i + 0.5) r - 0.5` with a cubic
kernel. Sources: timm 1.0, dinov2 at b8931f7, Rein's conversion script at 7da85bc.
"""

import functools
import math
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F

from ibn_seg.errors import UserError, unknown

Grid = tuple[int, int]
POSITIONS = ("timm", "dinov2")
CONVERSIONS = ("timm", "bicubic")
# DINOv2 adds it to the new size, against a rounding of PyTorch at that time.
_OFFSET = 0.1


def resampled_positions(
    table: torch.Tensor, new: Grid, way: str, prefix: int = 1, old: Grid | None = None
) -> torch.Tensor:
    """Return a table of positions for another grid.

    Args:
        table: Shape (1, prefix + M * M, C).
        new: Rows and columns of the new grid.
        way: 'timm', and DINOv2 with registers: antialiased, r = M / w. 'dinov2', without registers:
            r = M / (w + 0.1), not antialiased. 'bicubic', of Rein's and SoMA's conversion: r =
            M / w, not antialiased.
        prefix: Entries before the grid, which stay as they are.
        old: Rows and columns of the table's grid. Default: it is square.

    Returns:
        Shape (1, prefix + h * w, C).
    """
    old = old or (math.isqrt(table.shape[1] - prefix),) * 2
    if new == old:
        return table
    first, grid = table[:, :prefix], table[:, prefix:].float()
    grid = grid.reshape(1, *old, -1).permute(0, 3, 1, 2)
    if way == "dinov2":
        factors = tuple((w + _OFFSET) / m for w, m in zip(new, old, strict=True))
        grid = F.interpolate(grid, scale_factor=factors, mode="bicubic")
    else:
        grid = F.interpolate(grid, size=new, mode="bicubic", antialias=way == "timm")
    grid = grid.permute(0, 2, 3, 1).flatten(1, 2)
    return torch.cat([first, grid.to(first.dtype)], dim=1)


def resampled_patches(kernel: torch.Tensor, new: Grid, way: str) -> torch.Tensor:
    """Return the kernel of a patch embedding for another patch.

    Args:
        kernel: Shape (C, channels of the image, p, p).
        new: Height and width of the new patch, in pixels.
        way: 'timm' keeps the response to a constant image (pseudo-inverse of the resize, FlexiViT,
            CVPR 2023). 'bicubic' resizes the kernel, so responses grow with its area.
    """
    if tuple(kernel.shape[-2:]) == new:
        return kernel
    if way == "bicubic":
        return F.interpolate(kernel.float(), size=new, mode="bicubic").to(kernel.dtype)
    from timm.layers import resample_patch_embed

    return resample_patch_embed(kernel, list(new))


def converted(state: Mapping[str, torch.Tensor], network: nn.Module) -> dict[str, torch.Tensor]:
    """Return weights with positions and patches for a network, by bicubic resizing.

    This is the conversion of Rein's and SoMA's rows. timm's own is made by its filter functions.

    Args:
        state: The weights of a plain transformer, by timm's or DINOv2's names.
        network: The network of timm that they are for.
    """
    state = dict(state)
    kernel, table = "patch_embed.proj.weight", "pos_embed"
    if kernel in state:
        state[kernel] = resampled_patches(
            state[kernel], tuple(network.patch_embed.patch_size), "bicubic"
        )
    if table in state:
        entries = state[table].shape[1]
        prefix = entries - math.isqrt(entries) ** 2
        grid = tuple(network.patch_embed.grid_size)
        state[table] = resampled_positions(state[table], grid, "bicubic", prefix)
    return state


def set_positions(network: nn.Module, way: str) -> None:
    """Let a plain transformer resample its positions in a named way.

    Args:
        network: Of timm, changed in place.
        way: One of `POSITIONS`.

    Raises:
        UserError: The way is unknown, or DINOv2's is asked of a network of another kind.
    """
    if way not in POSITIONS:
        raise unknown("way of positions", way, POSITIONS)
    if way == "timm":
        return
    from timm.models.vision_transformer import VisionTransformer

    if not isinstance(network, VisionTransformer) or network.pos_embed is None:
        raise UserError(
            f"positions='dinov2' is for timm's VisionTransformer, not {type(network).__name__}",
            "leave it out",
        )
    # timm has no option for it. DINOv2 with registers resamples as timm does.
    if network.reg_token is None:
        network._pos_embed = functools.partial(_dinov2_positions, network)


def _dinov2_positions(network: nn.Module, patches: torch.Tensor) -> torch.Tensor:
    """Return class token and patches with DINOv2's positions, shape (N, 1 + h * w, C).

    Args:
        network: A `VisionTransformer` of timm without registers.
        patches: Shape (N, h, w, C).
    """
    grid = (patches.shape[1], patches.shape[2])
    tokens = patches.flatten(1, 2)
    prefix = 0 if network.no_embed_class else network.num_prefix_tokens
    old = tuple(network.patch_embed.grid_size)
    table = resampled_positions(network.pos_embed, grid, "dinov2", prefix, old)
    if network.cls_token is not None:
        first = network.cls_token.expand(len(tokens), -1, -1)
        tokens = torch.cat([first, tokens], dim=1)
    if prefix == 0 and network.num_prefix_tokens:
        table = F.pad(table, (0, 0, network.num_prefix_tokens, 0))
    return network.pos_drop(tokens + table)
