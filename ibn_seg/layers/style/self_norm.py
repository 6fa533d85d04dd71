"""SelfNorm: gates that recalibrate the statistics of feature maps."""

import torch
from torch import nn

from ibn_seg.layers.wide import full_precision, moments, restored, wide


class SelfNorm(nn.Module):
    """Recalibrates each channel by a gate of its own mean and standard deviation.

    g = sigmoid(BN(w0 mean + w1 std)); y = x g. With the second gate f, y = x g + mean (f - g).
    Source: Tang et al., ICCV 2021 (CrossNorm and SelfNorm), arXiv:2102.02811, and its code, whose
    keys it has.

    Args:
        chan_num: Number of channels.
        is_two: Whether there is a gate of the mean too.
        eps: Added to the unbiased variance.

    Shape:
        Input and output are (N, chan_num, H, W). In training N > 1, as for any batch norm of
        vectors.
    """

    def __init__(self, chan_num: int, is_two: bool = False, eps: float = 1e-12) -> None:
        super().__init__()
        self.is_two = is_two
        self.eps = eps
        self.g_fc = nn.Conv1d(chan_num, chan_num, kernel_size=2, bias=False, groups=chan_num)
        self.g_bn = nn.BatchNorm1d(chan_num)
        if is_two:
            self.f_fc = nn.Conv1d(chan_num, chan_num, kernel_size=2, bias=False, groups=chan_num)
            self.f_bn = nn.BatchNorm1d(chan_num)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Recalibrate `x`, shape (N, chan_num, H, W)."""
        with full_precision(x):
            maps = wide(x)
            mean, std = moments(maps, self.eps)
            both = torch.stack((mean.flatten(1), std.flatten(1)), dim=2)
            gate = self.g_bn(self.g_fc(both).flatten(1)).sigmoid()[..., None, None]
            y = maps * gate
            if self.is_two:
                of_mean = self.f_bn(self.f_fc(both).flatten(1)).sigmoid()[..., None, None]
                y = y + mean * (of_mean - gate)
            return restored(y, x)
