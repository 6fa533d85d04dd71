"""EoMT (Kerssies et al., CVPR 2025): queries join the last blocks of a plain transformer.

Names of parameters and formulae are those of https://github.com/tue-mps/eomt at 7bd19dd.
"""

import math
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from ibn_seg.errors import UserError
from ibn_seg.foundation.timm_models import patch_size

_EPS = 1e-6


class Prediction(NamedTuple):
    """What the queries say behind a block.

    Attributes:
        masks: Logits, shape (N, queries, h, w).
        classes: Logits, shape (N, queries, classes + 1); the last one is no class.
    """

    masks: torch.Tensor
    classes: torch.Tensor


class _Upscale(nn.Module):
    """Doubles the sides of a map: a deconvolution, GELU, a depthwise convolution and a norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.ConvTranspose2d(channels, channels, 2, stride=2)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.norm = nn.LayerNorm(channels, eps=_EPS)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        features = self.conv2(F.gelu(self.conv1(features)))
        return self.norm(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class MaskTransformer(nn.Module):
    """The queries and their predictions; the blocks stay those of the network.

    Args:
        channels: Width of the network.
        patch: Side of its patches in pixels; masks have a quarter of the image's sides with 16.
        classes: Number of classes.
        queries: Number of queries.
        blocks: Number of last blocks that the queries go through.
        own_queries: Learn the queries here; else they are given.
    """

    def __init__(
        self,
        channels: int,
        patch: int,
        classes: int,
        queries: int = 100,
        blocks: int = 4,
        own_queries: bool = True,
    ) -> None:
        super().__init__()
        self.queries, self.blocks = queries, blocks
        self.q = nn.Embedding(queries, channels) if own_queries else None
        self.class_head = nn.Linear(channels, classes + 1)
        layers = [nn.Linear(channels, channels) for _ in range(3)]
        self.mask_head = nn.Sequential(layers[0], nn.GELU(), layers[1], nn.GELU(), layers[2])
        doublings = max(1, int(math.log2(patch)) - 2)
        self.upscale = nn.Sequential(*(_Upscale(channels) for _ in range(doublings)))
        # The share of queries whose attention is masked, by block; see `set_shares`.
        self.register_buffer("mask_shares", torch.ones(blocks))

    def set_shares(self, step: int, anneal: list[tuple[int, int]], power: float = 0.9) -> None:
        """Let the shares of masked queries fall from 1 to 0, each between two steps.

        Args:
            step: The step of the training.
            anneal: Begin and end of the fall, for each block.
            power: Power of the fall.
        """
        for block, (begin, end) in enumerate(anneal):
            left = min(max((end - step) / (end - begin), 0.0), 1.0)
            self.mask_shares[block] = left**power

    def forward(
        self, network: nn.Module, images: torch.Tensor, queries: torch.Tensor | None = None
    ) -> list[Prediction]:
        """Return predictions before each of the last blocks, and at the end.

        Args:
            network: A `VisionTransformer` of timm with its final norm.
            images: Shape (N, 3, H, W).
            queries: Shape (queries, channels), instead of those learned here.
        """
        grid = tuple(s // p for s, p in zip(images.shape[-2:], patch_size(network), strict=True))
        queries = self.q.weight if queries is None else queries
        tokens = network.norm_pre(
            network.patch_drop(network._pos_embed(network.patch_embed(images)))
        )
        first = len(network.blocks) - self.blocks
        for block in network.blocks[:first]:
            tokens = block(tokens)
        tokens = torch.cat([queries.expand(len(tokens), -1, -1).to(tokens.dtype), tokens], dim=1)
        prefix, found = network.num_prefix_tokens, []
        for number, block in enumerate(network.blocks[first:]):
            found.append(self._predict(network.norm(tokens), prefix, grid))
            mask = self._attention_mask(found[-1].masks, tokens.shape[1], prefix, grid, number)
            tokens = block(tokens) if mask is None else block(tokens, attn_mask=mask)
        return [*found, self._predict(network.norm(tokens), prefix, grid)]

    def _predict(self, tokens: torch.Tensor, prefix: int, grid: tuple[int, ...]) -> Prediction:
        queries, patches = tokens[:, : self.queries], tokens[:, self.queries + prefix :]
        features = self.upscale(patches.transpose(1, 2).unflatten(2, grid))
        masks = torch.einsum("nqc,nchw->nqhw", self.mask_head(queries), features)
        return Prediction(masks, self.class_head(queries))

    def _attention_mask(
        self, masks: torch.Tensor, tokens: int, prefix: int, grid: tuple[int, ...], number: int
    ) -> torch.Tensor | None:
        """Return which token sees which, shape (N, 1, tokens, tokens); None if all see all."""
        share = float(self.mask_shares[number])
        if share == 0:
            return None
        inside = F.interpolate(masks.detach(), grid, mode="bilinear", align_corners=False) > 0
        inside = inside.flatten(2)
        if self.training and share < 1:
            free = torch.rand(inside.shape[:2], device=inside.device) >= share
            inside = inside | free[..., None]
        seen = torch.ones(len(masks), tokens, tokens, dtype=torch.bool, device=masks.device)
        seen[:, : self.queries, self.queries + prefix :] = inside
        return seen[:, None]


def pixel_scores(prediction: Prediction) -> torch.Tensor:
    """Return the scores of classes per pixel, shape (N, classes, h, w)."""
    classes = prediction.classes.softmax(-1)[..., :-1]
    return torch.einsum("nqhw,nqk->nkhw", prediction.masks.sigmoid(), classes)


def check_network(network: nn.Module, name: str, blocks: int) -> None:
    """Raise unless queries can join the blocks of a network.

    Args:
        network: Of timm.
        name: Its name, for the message.
        blocks: The number of blocks that the queries go through.

    Raises:
        UserError: It is no `VisionTransformer`, pads images, or has too few blocks.
    """
    from timm.models.vision_transformer import VisionTransformer

    if not isinstance(network, VisionTransformer):
        raise UserError(
            f"MaskTransformerHead needs timm's VisionTransformer, {name} is a"
            f" {type(network).__name__}",
            "take a ViT such as DINOv2, CLIP or SigLIP",
        )
    if getattr(network.patch_embed, "dynamic_img_pad", False):
        raise UserError(
            "MaskTransformerHead makes masks of whole patches alone",
            "leave dynamic_img_pad out of timm_args",
        )
    if not 1 <= blocks <= len(network.blocks):
        raise UserError(
            f"MaskTransformerHead.blocks={blocks}", f"{name} has 1 to {len(network.blocks)}"
        )
