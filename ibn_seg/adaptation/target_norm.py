"""Batch norm with statistics of the test batch, mixed with those of the source or not."""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ibn_seg.errors import UserError
from ibn_seg.layers.wide import full_precision, wide


class TargetBatchNorm(nn.Module):
    """A batch norm that uses the batch at hand, in evaluation mode too.

    Mean and variance are prior * source + (1 - prior) * batch. Sources: the code of TENT (biased
    variance) and of Schneider et al., NeurIPS 2020, arXiv:2006.16971 (unbiased variance).

    Args:
        norm: The batch norm; its parameters and buffers are shared.
        prior: The share of the source's statistics. Schneider et al. use n / (n + batch size).
        unbiased: Normalise by the unbiased variance of the batch.
        adapt_mean: Else the source's mean.
        adapt_var: Else the source's variance.
        momentum: Share of the batch in the running statistics, which are only moved along. None
            leaves them alone, which a prior above 0 needs.

    Raises:
        UserError: `prior` is not in 0..1, or the source's statistics would move.
    """

    def __init__(
        self,
        norm: _BatchNorm,
        prior: float = 0.0,
        unbiased: bool = False,
        adapt_mean: bool = True,
        adapt_var: bool = True,
        momentum: float | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= prior <= 1:
            raise UserError(f"prior={prior!r}", "allowed: 0 (the batch alone) to 1 (the source)")
        if momentum is not None and (prior or not adapt_mean or not adapt_var):
            raise UserError(f"{prior=} with {momentum=}", "moved statistics are not the source's")
        self.norm = norm
        self.prior = prior
        self.unbiased = unbiased
        self.adapt_mean = adapt_mean
        self.adapt_var = adapt_var
        self.momentum = momentum
        self.num_features = norm.num_features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise `x`, shape (N, num_features, ...)."""
        with full_precision(x):
            maps = wide(x)
            dims = [0, *range(2, x.dim())]
            correction = 1 if self.unbiased else 0
            var, mean = torch.var_mean(maps, dims, correction=correction)
            if self.momentum is not None:
                self._move(maps, mean)
            mean = self._mixed(mean, self.norm.running_mean, self.adapt_mean)
            var = self._mixed(var, self.norm.running_var, self.adapt_var)
            shape = (1, -1, *(1,) * (x.dim() - 2))
            y = (maps - mean.view(shape)) / (var + self.norm.eps).sqrt().view(shape)
            if self.norm.affine:
                y = y * self.norm.weight.view(shape) + self.norm.bias.view(shape)
            return y.to(x.dtype)

    def _mixed(
        self, batch: torch.Tensor, source: torch.Tensor | None, adapts: bool
    ) -> torch.Tensor:
        share = self.prior if adapts else 1.0
        if not share or source is None:
            return batch
        return share * source + (1 - share) * batch

    @torch.no_grad()
    def _move(self, maps: torch.Tensor, mean: torch.Tensor) -> None:
        """Move the running statistics, as PyTorch does in training."""
        dims = [0, *range(2, maps.dim())]
        running = ((self.norm.running_mean, mean), (self.norm.running_var, maps.var(dims)))
        for old, new in running:
            if old is not None:
                old.lerp_(new.to(old.dtype), self.momentum)


def batch_norms(model: nn.Module, purpose: str) -> list[_BatchNorm]:
    """Return the batch norms of a model, also synchronised ones and those inside `IBN`.

    Raises:
        UserError: There is none, so the purpose cannot be served.
    """
    found = [
        module
        for module in model.modules()
        if isinstance(module, _BatchNorm) and not isinstance(module, nn.BatchNorm1d)
    ]
    if not found:
        raise UserError(f"{purpose}: the network has no batch norm", "use one with batch norms")
    return found


Replaced = list[tuple[nn.Module, str, nn.Module]]


def replace_norms(model: nn.Module, purpose: str, **settings: object) -> Replaced:
    """Put a `TargetBatchNorm` in the place of each batch norm of a model.

    Args:
        model: The model, which is changed in place.
        purpose: The method, for messages.
        settings: See `TargetBatchNorm`.

    Returns:
        What was where, for `restore_norms`.

    Raises:
        UserError: The model has no batch norm, or a setting is wrong.
    """
    made = {norm: TargetBatchNorm(norm, **settings) for norm in batch_norms(model, purpose)}
    replaced = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if child in made
    ]
    for parent, name, child in replaced:
        setattr(parent, name, made[child])
    return replaced


def restore_norms(replaced: Replaced) -> None:
    """Put back what `replace_norms` replaced."""
    for parent, name, child in replaced:
        setattr(parent, name, child)


@contextlib.contextmanager
def target_statistics(model: nn.Module, purpose: str, **settings: object) -> Iterator[nn.Module]:
    """Let the batch norms of a model use the batch at hand; restore them after the block.

    Args:
        model: The model, which is changed in place.
        purpose: The method, for messages.
        settings: See `TargetBatchNorm`.

    Raises:
        UserError: The model has no batch norm, or a setting is wrong.
    """
    replaced = replace_norms(model, purpose, **settings)
    try:
        yield model
    finally:
        restore_norms(replaced)
