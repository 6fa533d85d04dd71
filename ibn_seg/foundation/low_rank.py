"""Linear layers with a trained change of low rank: LoRA and SoMA.

`y = W x + b + s B A x`. LoRA (Hu et al., ICLR 2022): A is random and B is 0. SoMA (Yun et al., CVPR
2025, arXiv 2412.04077): B and A are the smallest singular triples of W, and W loses them. So the
layer's output is unchanged at first.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F


class LowRankLinear(nn.Linear):
    """A linear layer with an adapter, under the keys of the layer that it replaces.

    With `parts` above 1 the outputs are so many equal parts, and each has A and B of its own. Then
    the fused `qkv` of timm has the adapters of separate q, k and v.

    Args:
        layer: The layer, whose weight and bias become this layer's.
        rank: Rank of the change, r.
        alpha: The change is multiplied by alpha / r.
        rank_stabilised: Multiply by alpha / sqrt(r) instead (Kalajdzievski 2023).
        parts: Number of parts of the output.
    """

    def __init__(
        self,
        layer: nn.Linear,
        rank: int,
        alpha: float,
        rank_stabilised: bool = False,
        parts: int = 1,
    ) -> None:
        weight = layer.weight
        # Without data: weight and bias are those of the layer.
        super().__init__(layer.in_features, layer.out_features, layer.bias is not None, "meta")
        self.weight, self.bias = weight, layer.bias
        self.rank, self.parts = rank, parts
        self.scale = alpha / (math.sqrt(rank) if rank_stabilised else rank)
        # In float32 always: bfloat16 loses the small steps of training.
        options = {"device": weight.device, "dtype": torch.float32}
        self.lora_A = nn.Parameter(torch.empty(parts * rank, self.in_features, **options))
        self.lora_B = nn.Parameter(torch.zeros(self.out_features, rank, **options))
        self.start_lora()

    def start_lora(self) -> None:
        """Draw A as PyTorch draws a linear layer (Kaiming, a = sqrt 5) and set B to 0."""
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
        nn.init.zeros_(self.lora_B)

    @torch.no_grad()
    def start_soma(self, largest: bool = False) -> None:
        """Move singular triples of the weight into A and B; the layer's output stays.

        Args:
            largest: Take the largest ones, as the released code does by default.
        """
        rows = self.weight.float().chunk(self.parts)
        starts = [_triples(part, self.rank, self.scale, largest) for part in rows]
        self.lora_B.copy_(torch.cat([b for b, _ in starts]))
        self.lora_A.copy_(torch.cat([a for _, a in starts]))
        self.weight.sub_(self.change().to(self.weight.dtype))

    def change(self) -> torch.Tensor:
        """Return s B A, shape (outputs, inputs)."""
        pairs = zip(self.lora_B.chunk(self.parts), self.lora_A.chunk(self.parts), strict=True)
        return self.scale * torch.cat([b @ a for b, a in pairs])

    def merged(self) -> torch.Tensor:
        """Return the weight of one linear layer that computes the same."""
        return (self.weight.to(self.lora_A.dtype) + self.change()).to(self.weight.dtype)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the outputs, shape (..., outputs)."""
        low = F.linear(inputs, self.lora_A)
        if self.parts == 1:
            change = F.linear(low, self.lora_B)
        else:
            pairs = zip(low.chunk(self.parts, -1), self.lora_B.chunk(self.parts), strict=True)
            change = torch.cat([F.linear(part, b) for part, b in pairs], -1)
        return F.linear(inputs, self.weight, self.bias) + self.scale * change


def _triples(
    weight: torch.Tensor, rank: int, scale: float, largest: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return B and A with `s B A` = the sum of `rank` singular triples of a weight."""
    u, s, vt = torch.linalg.svd(weight, full_matrices=False)
    chosen = slice(0, rank) if largest else slice(len(s) - rank, None)
    root = (s[chosen] / scale).sqrt()
    return u[:, chosen] * root, root[:, None] * vt[chosen]
