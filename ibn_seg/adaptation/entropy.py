"""TENT: fully test-time adaptation by entropy minimisation."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ibn_seg.adaptation.target_norm import batch_norms, replace_norms, restore_norms
from ibn_seg.errors import UserError, unknown
from ibn_seg.layers.wide import wide

OPTIMISERS: dict[str, type[torch.optim.Optimizer]] = {
    "Adam": torch.optim.Adam,
    "SGD": torch.optim.SGD,
}


def mean_entropy(logits: torch.Tensor) -> torch.Tensor:
    """Return the entropy of the softmax, averaged over images and pixels.

    Args:
        logits: Class scores, (N, K) or (N, K, H, W).
    """
    log_p = wide(logits).log_softmax(1)
    return -(log_p.exp() * log_p).sum(1).mean()


class Tent:
    """Adapts scale and shift of the batch norms to each batch (Wang et al., ICLR 2021).

    Batch norms use the batch's own statistics, with biased variance. Returned are the scores before
    the update. Nothing but batch norms adapts; instance norms stay as they are. Source:
    arXiv:2006.10726 and its code.

    Args:
        model: The model, which is changed; `close` gives it its norms back.
        scores: Returns the class scores of a batch. Default: the model itself.
        optimiser: 'Adam' or 'SGD'.
        lr: Learning rate; 1e-3 with Adam is the paper's for CIFAR.
        steps: Updates per batch.
        episodic: Forget before each batch what earlier batches taught.
        settings: Further arguments of the optimiser.

    Raises:
        UserError: The model has no batch norm with scale and shift, or a value is unknown.
    """

    def __init__(
        self,
        model: nn.Module,
        scores: Callable[[Any], torch.Tensor] | None = None,
        optimiser: str = "Adam",
        lr: float = 1e-3,
        steps: int = 1,
        episodic: bool = False,
        **settings: Any,
    ) -> None:
        if optimiser not in OPTIMISERS:
            raise unknown("optimiser of TENT", optimiser, OPTIMISERS)
        if steps < 1:
            raise UserError(f"TENT: {steps=}", "give at least 1")
        self.model = model.eval()
        self.scores = scores or model
        self.steps = steps
        self.episodic = episodic
        norms = [norm for norm in batch_norms(model, "TENT") if norm.affine]
        if not norms:
            raise UserError("TENT: no batch norm has scale and shift", "use another method")
        self._parameters = [tensor for norm in norms for tensor in (norm.weight, norm.bias)]
        self._replaced = replace_norms(model, "TENT")
        self._needed = [(p, p.requires_grad) for p in model.parameters()]
        model.requires_grad_(False)
        for parameter in self._parameters:
            parameter.requires_grad_(True)
        self._optimiser = OPTIMISERS[optimiser](self._parameters, lr=lr, **settings)
        self._start = [parameter.detach().clone() for parameter in self._parameters]
        self._fresh = copy.deepcopy(self._optimiser.state_dict())

    def __call__(self, batch: Any) -> torch.Tensor:
        """Return the scores of a batch, detached, and adapt to it."""
        if self.episodic:
            self.reset()
        with torch.enable_grad():
            for _ in range(self.steps):
                scores = self.scores(batch)
                self._optimiser.zero_grad()
                mean_entropy(scores).backward()
                self._optimiser.step()
        return scores.detach()

    @torch.no_grad()
    def reset(self) -> None:
        """Return scales, shifts and optimiser to where they started."""
        for parameter, start in zip(self._parameters, self._start, strict=True):
            parameter.copy_(start)
        self._optimiser.load_state_dict(copy.deepcopy(self._fresh))

    def close(self) -> None:
        """Give the model its weights, norms and gradients back."""
        self.reset()
        restore_norms(self._replaced)
        for parameter, needed in self._needed:
            parameter.requires_grad_(needed)
            parameter.grad = None
