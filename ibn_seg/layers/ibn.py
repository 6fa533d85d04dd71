"""IBN: instance normalisation on a part of the channels, batch normalisation on the rest."""

from collections.abc import Callable

import torch
from torch import nn

from ibn_seg.errors import UserError
from ibn_seg.layers import plain_instance, single_pass


class IBN(nn.Module):
    """Instance-batch normalisation (Pan et al., ECCV 2018, section 3.2).

    The first `int(channels * ratio)` channels go through an affine instance norm without running
    statistics (eps 1e-5). The others go through a batch norm. The state dict holds `IN.weight`,
    `IN.bias` and the batch norm's tensors under `BN.`, in the order of the channels.

    Args:
        channels: Number of input and output channels.
        ratio: Share of the channels that are instance-normalised, strictly between 0 and 1.
        norm_layer: Builds the batch norm from its number of channels.
        instance_first: Whether the instance norm has the first channels. If not, the batch norm has
            the first `int(channels * (1 - ratio))`. The instance norm then has the rest, as in the
            reference's DenseNet.

    Shape:
        Input and output are (N, channels, H, W); channels-last memory is kept. In training mode
        H * W > 1.

    `torch.fx` and TorchScript trace it as its separate norms. In eager mode it may run as a single
    C pass.

    Raises:
        UserError: `ratio` is not between 0 and 1, or leaves one of the norms without channels.
    """

    # TorchScript would compile them, and does not support a tuple of modules.
    __jit_unused_properties__ = ("norms",)

    def __init__(
        self,
        channels: int,
        ratio: float = 0.5,
        norm_layer: Callable[[int], nn.Module] = nn.BatchNorm2d,
        instance_first: bool = True,
    ) -> None:
        super().__init__()
        first = _first_channels(channels, ratio, instance_first)
        self.channels = channels
        self.ratio = ratio
        self.instance_first = instance_first
        self.split = (first, channels - first)
        if instance_first:
            self.IN = plain_instance.PlainInstanceNorm(first)
            self.BN = norm_layer(channels - first)
        else:
            self.BN = norm_layer(first)
            self.IN = plain_instance.PlainInstanceNorm(channels - first)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise `x`, shape (N, channels, H, W); the result has the same shape."""
        return self.normalise(x)

    def normalise(self, x: torch.Tensor) -> torch.Tensor:
        """Return the same as `forward`; TorchScript does not support `super()`."""
        if not torch.jit.is_scripting():
            y = self._in_one_pass(x)
            if y is not None:
                return y
        head, tail = x.split(self.split, dim=1)
        if self.instance_first:
            parts = self.IN(head.contiguous()), self.BN(tail.contiguous())
        else:
            parts = self.BN(head.contiguous()), self.IN(tail.contiguous())
        return plain_instance.kept(torch.cat(parts, dim=1), x)

    def _in_one_pass(self, x: torch.Tensor) -> torch.Tensor | None:
        """Return the result if a single pass can compute it, or None."""
        if not single_pass.usable(x, self.IN, self.BN):
            return None
        first = 0 if self.instance_first else self.BN.num_features
        return single_pass.normalise(x, self.IN, self.BN, first)

    @property
    def norms(self) -> tuple[nn.Module, nn.Module]:
        """The two norms in the order of their channels; `split` has the numbers of these."""
        return (self.IN, self.BN) if self.instance_first else (self.BN, self.IN)

    def extra_repr(self) -> str:
        """Describe the split when printed."""
        order = "" if self.instance_first else ", instance_first=False"
        return f"{self.channels}, ratio={self.ratio}{order}"


def _first_channels(channels: int, ratio: float, instance_first: bool) -> int:
    """Return how many channels the first of the two norms has."""
    if not 0 < ratio < 1:
        raise UserError(
            f"IBN ratio {ratio!r} is out of range",
            "allowed: above 0 and below 1, for example 0.5",
        )
    first = int(channels * (ratio if instance_first else 1 - ratio))
    if not 1 <= first < channels:
        raise UserError(
            f"IBN ratio {ratio!r} leaves no channel to one of the norms of {channels!r} channels",
            "use more channels or a ratio nearer to 0.5",
        )
    return first
