"""IterNorm: whitening by the covariance of the batch."""

import torch
from torch import nn

from ibn_seg.errors import UserError
from ibn_seg.layers.whitening.newton import by_channel, covariance_of, group_size, inverse_root
from ibn_seg.layers.wide import full_precision, restored, wide


class IterNorm(nn.Module):
    """Iterative normalisation (Huang et al., CVPR 2019, arXiv:1904.03441).

    Groups of consecutive channels are whitened by mean and covariance over batch, height and width.
    The running state averages the whitening matrices, as in the released code. In evaluation mode
    they are used as they are. Processes do not share statistics, as in the release.

    Args:
        num_features: Number of channels.
        num_channels: Channels of a group, halved until it divides `num_features`. The authors
            advise 64.
        T: Newton steps.
        eps: Added to the diagonal of the covariance.
        momentum: Share of the new statistics in the running ones.

    Attributes:
        running_mean: (groups, k, 1), starts at 0.
        running_wm: The whitening matrices, (groups, k, k), start at the identity.
        weight: (1, num_features, 1, 1), starts at 1.
        bias: The same shape, starts at 0.

    Shape:
        Input and output are (N, num_features, H, W).

    Raises:
        UserError: A number is not above 0.
    """

    def __init__(
        self,
        num_features: int,
        num_channels: int = 64,
        T: int = 5,  # noqa: N803 - the papers' name
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__()
        if min(num_features, num_channels, T) < 1:
            raise UserError(
                f"IterNorm: {num_features=}, {num_channels=}, {T=}", "give numbers of at least 1"
            )
        self.num_features = num_features
        self.num_channels = group_size(num_features, num_channels)
        self.num_groups = num_features // self.num_channels
        self.T = T
        self.eps = eps
        self.momentum = momentum
        size = self.num_channels
        self.weight = nn.Parameter(torch.ones(1, num_features, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, num_features, 1, 1))
        self.register_buffer("running_mean", torch.zeros(self.num_groups, size, 1))
        self.register_buffer("running_wm", torch.eye(size).repeat(self.num_groups, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Whiten `x`, shape (N, num_features, H, W)."""
        with full_precision(x):
            rows = by_channel(wide(x), self.num_groups)
            if self.training:
                mean, matrix = self._of_batch(rows)
            else:
                mean, matrix = self.running_mean, self.running_wm
            whitened = matrix @ (rows - mean)
            whitened = whitened.reshape(x.size(1), x.size(0), *x.shape[2:]).transpose(0, 1)
            return restored(whitened * self.weight + self.bias, x)

    def _of_batch(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the batch's mean and whitening matrices, and count them in the state."""
        mean, covariance = covariance_of(rows)
        identity = torch.eye(rows.size(1), dtype=rows.dtype, device=rows.device)
        matrix = inverse_root(covariance + self.eps * identity, self.T)
        with torch.no_grad():
            for running, new in ((self.running_mean, mean), (self.running_wm, matrix)):
                running.lerp_(new.to(running.dtype), self.momentum)
        return mean, matrix

    def extra_repr(self) -> str:
        """Describe the settings when printed."""
        return f"{self.num_features}, num_channels={self.num_channels}, T={self.T}"
