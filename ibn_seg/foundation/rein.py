"""Rein (Wei et al., CVPR 2024, arXiv 2312.04265): learned tokens change the features of each block.

Names of parameters are those of https://github.com/w1oves/Rein at 7da85bc, so that its released
weights fit. The formulae are from there too.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

# Width of the queries of Mask2Former.
QUERY_WIDTH = 256


class Rein(nn.Module):
    """The modules of all blocks of one transformer.

    Args:
        layers: Number of blocks.
        channels: Width of the features, C.
        patch: Side of the patches in pixels; the tokens' start depends on it.
        tokens: Number of tokens of each block, m. With a link it is the number of queries.
        rank: The tokens are a product of this rank, as published. None: they are learned as such.
        scale: The factor of the change at first, one learned number.
        softmax: Weight the tokens by a softmax.
        zero_start: The change begins with 0, and there is no factor.
        link: Make queries for a mask transformer of the tokens.
        query_width: Channels of these queries.
    """

    def __init__(
        self,
        layers: int,
        channels: int,
        patch: int = 16,
        tokens: int = 100,
        rank: int | None = 16,
        scale: float = 0.001,
        softmax: bool = True,
        zero_start: bool = False,
        link: bool = False,
        query_width: int = QUERY_WIDTH,
    ) -> None:
        super().__init__()
        self.channels, self.patch, self.softmax, self.link = channels, patch, softmax, link
        self.rank, self.zero_start, self.start = rank, zero_start, scale
        self.scale = 1.0 if zero_start else nn.Parameter(torch.tensor(scale))
        if rank is None:
            self.learnable_tokens = nn.Parameter(torch.empty(layers, tokens, channels))
        else:
            self.learnable_tokens_a = nn.Parameter(torch.empty(layers, tokens, rank))
            self.learnable_tokens_b = nn.Parameter(torch.empty(layers, rank, channels))
        self.mlp_token2feat = nn.Linear(channels, channels)
        self.mlp_delta_f = nn.Linear(channels, channels)
        if link:
            self.transform = nn.Linear(channels, query_width)
            self.merge = nn.Linear(3 * query_width, query_width)
        self.reset_parameters()

    @property
    def bound(self) -> float:
        """The largest value of a token, or of its factors, at first."""
        width = self.channels if self.rank is None else math.sqrt(self.channels * self.rank)
        return math.sqrt(6 / (3 * self.patch**2 + width))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the start that was published."""
        for name, parameter in self.named_parameters():
            if name.startswith("learnable_tokens"):
                parameter.uniform_(-self.bound, self.bound)
        for layer in (self.mlp_token2feat, self.mlp_delta_f):
            nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5))
        if self.zero_start:
            nn.init.zeros_(self.mlp_delta_f.weight)
            nn.init.zeros_(self.mlp_delta_f.bias)
        else:
            self.scale.fill_(self.start)

    def tokens(self, layer: int | None = None) -> torch.Tensor:
        """Return the tokens of a block, shape (m, C), or of all, shape (layers, m, C)."""
        chosen = slice(None) if layer is None else layer
        if self.rank is None:
            return self.learnable_tokens[chosen]
        return self.learnable_tokens_a[chosen] @ self.learnable_tokens_b[chosen]

    def forward(self, features: torch.Tensor, layer: int) -> torch.Tensor:
        """Return changed features.

        Args:
            features: The patches behind a block, shape (N, patches, C).
            layer: Number of the block, from 0.
        """
        tokens = self.tokens(layer)
        similar = features @ tokens.T
        if self.softmax:
            similar = F.softmax(similar / math.sqrt(self.channels), dim=-1)
        # The first token takes up what shall not change; the rest are not normalised again.
        change = similar[..., 1:] @ self.mlp_token2feat(tokens[1:])
        return features + self.scale * self.mlp_delta_f(change + features)

    def queries(self) -> torch.Tensor:
        """Return the positional part of a mask transformer's queries, shape (m, query_width)."""
        each = self.transform(self.tokens())
        # Per token and channel: the largest and the mean of all blocks, and the last block.
        three = torch.stack([each.amax(0), each.mean(0), each[-1]], dim=-1)
        return self.merge(three.flatten(1))
