"""What a single pass over a tensor should do, and how its implementations are called."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch


class Plan(NamedTuple):
    """Which operations apply to which channels.

    Attributes:
        first: First instance-normalised channel.
        last: The channel after the last one of these. The channels before and behind are
            batch-normalised.
        instance_eps: Added to the variance of the instance norm.
        batch_eps: Added to the variance of the batch norm.
        batch_statistics: Whether the batch norm uses the statistics of the batch.
    """

    first: int
    last: int
    instance_eps: float
    batch_eps: float = 0.0
    batch_statistics: bool = True


class Passes(Protocol):
    """The passes for one kind of device; a module with these functions fits."""

    def takes(self, x: torch.Tensor) -> bool:
        """Return whether the passes exist and support type and memory format of `x`."""

    def forward(
        self,
        x: torch.Tensor,
        tensors: Sequence[torch.Tensor | None],
        found: torch.Tensor | None,
        plan: Plan,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return y, and mean and 1 / deviation of each sample and channel, shape (2, N, C).

        Args:
            x: The input, shape (N, C, H, W).
            tensors: Scale and shift of the instance norm; scale, shift, running mean and running
                variance of the batch norm. A tensor that does not exist is None.
            found: Receives mean and unbiased variance of the batch, shape (2, channels of the batch
                norm). None if the running statistics are used, or if there is no batch norm.
            plan: Which operations to do.
        """

    def backward(
        self,
        x: torch.Tensor,
        dy: torch.Tensor,
        weights: Sequence[torch.Tensor | None],
        moments: torch.Tensor,
        plan: Plan,
        needed: Sequence[bool],
    ) -> list[torch.Tensor | None]:
        """Return the gradients of x, then of scale and shift of both norms.

        Args:
            x: The input.
            dy: Gradient of the output, of its shape and type.
            weights: Scale of the instance norm and of the batch norm.
            moments: The moments that the forward pass returned.
            plan: The plan of the forward pass.
            needed: Which of the five are needed; the others are None.
        """
