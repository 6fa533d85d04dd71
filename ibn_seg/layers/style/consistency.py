"""The Jensen-Shannon divergence of predictions of several views."""

from collections.abc import Sequence

import torch

from ibn_seg.layers.wide import wide


def view_divergence(logits: Sequence[torch.Tensor], least: float = 1e-7) -> torch.Tensor:
    """Return the mean over pixels of the Jensen-Shannon divergence of views.

    It is the mean over views of KL(p, m), with m the mean of the views' probabilities. Source: the
    code of RandConv and, with pixels as the batch, of SHADE. PyTorch's 'batchmean' on maps would
    divide by images alone.

    Args:
        logits: The scores of each view, (N, K, H, W).
        least: The least mean probability whose logarithm is taken.

    Returns:
        A scalar, at least float32.
    """
    log_p = [wide(view).log_softmax(1) for view in logits]
    mean = torch.stack([view.exp() for view in log_p]).mean(0).clamp(least, 1).log()
    parts = [(view.exp() * (view - mean)).sum(1).mean() for view in log_p]
    return torch.stack(parts).mean()
