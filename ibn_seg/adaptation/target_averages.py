"""AdaBN: running statistics of the target instead of the source's."""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

from ibn_seg.adaptation.target_norm import batch_norms


@contextlib.contextmanager
def averaging_statistics(model: nn.Module) -> Iterator[nn.Module]:
    """Let batch norms average over the batches of the block; then normal evaluation.

    The running statistics start anew. Each is the mean over batches of mean and unbiased variance.
    Only the batch norms are in training mode, so nothing is dropped at random. Source: Li et al.,
    arXiv:1603.04779 (AdaBN), as `EMABatchNorm` in the code of Schneider et al.

    Args:
        model: The model, whose running statistics change.

    Raises:
        UserError: The model has no batch norm.
    """
    norms = batch_norms(model, "AdaBN")
    model.eval()
    kept = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
    try:
        with counting(model):
            yield model
    finally:
        for norm, momentum in zip(norms, kept, strict=True):
            norm.momentum = momentum


@contextlib.contextmanager
def counting(model: nn.Module) -> Iterator[None]:
    """Let batch norms count the batches of the block in their running statistics."""
    norms = batch_norms(model, "AdaBN")
    for norm in norms:
        norm.momentum = None  # the plain average over batches
        norm.train()
    try:
        with torch.no_grad():
            yield
    finally:
        for norm in norms:
            norm.eval()
