"""IBN: instance normalisation on a part of the channels, batch normalisation on the rest."""

from collections.abc import Callable

import torch
from torch import nn

from ibn_seg.errors import UserError


class IBN(nn.Module):
    """Instance-batch normalisation (Pan et al., ECCV 2018, section 3.2).

    The first `int(channels * ratio)` channels go through an affine instance norm without running
    statistics (eps 1e-5), the others through a batch norm. The state dict holds `IN.weight`,
    `IN.bias` and the batch norm's tensors under `BN.`.

    Args:
        channels: Number of input and output channels.
        ratio: Share of the channels that are instance-normalised, strictly between 0 and 1.
        norm_layer: Builds the batch norm from its number of channels.

    Shape:
        Input and output are (N, channels, H, W) with H * W > 1; channels-last memory is kept.

    Raises:
        UserError: `ratio` is not between 0 and 1, or leaves one of the two without a channel.
    """

    def __init__(
        self,
        channels: int,
        ratio: float = 0.5,
        norm_layer: Callable[[int], nn.Module] = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        instance = _instance_channels(channels, ratio)
        self.channels = channels
        self.ratio = ratio
        self.split = (instance, channels - instance)
        self.IN = nn.InstanceNorm2d(instance, affine=True)
        self.BN = norm_layer(channels - instance)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise `x`, shape (N, channels, H, W); the result has the same shape."""
        instance, batch = x.split(self.split, dim=1)
        # The instance norm returns NCHW memory whatever it is given.
        channels_last = x.is_contiguous(memory_format=torch.channels_last)
        layout = (
            torch.channels_last
            if channels_last and not x.is_contiguous()
            else torch.contiguous_format
        )
        joined = torch.cat((self.IN(instance.contiguous()), self.BN(batch.contiguous())), dim=1)
        return joined.contiguous(memory_format=layout)

    def extra_repr(self) -> str:
        """Describe the split when printed."""
        return f"{self.channels}, ratio={self.ratio}"


def _instance_channels(channels: int, ratio: float) -> int:
    """Return how many channels are instance-normalised."""
    if not 0 < ratio < 1:
        raise UserError(
            f"IBN ratio {ratio!r} is out of range",
            "allowed: above 0 and below 1, for example 0.5",
        )
    instance = int(channels * ratio)
    if not 1 <= instance < channels:
        raise UserError(
            f"IBN ratio {ratio!r} leaves no channel to one of the norms of {channels!r} channels",
            "use more channels or a ratio nearer to 0.5",
        )
    return instance
