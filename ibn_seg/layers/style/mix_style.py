"""MixStyle and EFDMix: mix an image's feature statistics, or whole histograms, with another's."""

from collections.abc import Sequence

import torch

from ibn_seg.errors import UserError
from ibn_seg.layers.style.draws import on_device, partners
from ibn_seg.layers.style.randomiser import Randomiser
from ibn_seg.layers.wide import full_precision, moments, wide

MIXES = ("random", "crossdomain")


def mix_style(
    x: torch.Tensor, shares: torch.Tensor, partner: Sequence[int], eps: float = 1e-6
) -> torch.Tensor:
    """Return maps with statistics between an image's own and its partner's.

    The statistics are constants for the gradient. Source: Zhou et al., ICLR 2021 (MixStyle),
    arXiv:2104.02008, and its code.

    Args:
        x: Feature maps, (N, C, H, W).
        shares: The share of each image's own statistics, (N,).
        partner: The partner of each image.
        eps: Added to the unbiased variance.

    Returns:
        (N, C, H, W), at least float32.
    """
    with full_precision(x):
        x = wide(x)
        mean, std = (value.detach() for value in moments(x, eps))
        own = shares.view(-1, 1, 1, 1)
        mixed_mean = own * mean + (1 - own) * mean[list(partner)]
        mixed_std = own * std + (1 - own) * std[list(partner)]
        return (x - mean) / std * mixed_std + mixed_mean


def mix_histograms(x: torch.Tensor, shares: torch.Tensor, partner: Sequence[int]) -> torch.Tensor:
    """Return maps between an image's own values and its partner's in the order of its own.

    The partner's sorted values stand at the ranks of the image's own values, channel by channel.
    Which of equal values gets which depends on the sort. The gradient reaches both images. Source:
    Zhang et al., CVPR 2022 (EFDMix), arXiv:2203.07740, and its code.

    Args:
        x: Feature maps, (N, C, H, W).
        shares: The share of each image's own values, (N,).
        partner: The partner of each image.

    Returns:
        (N, C, H, W), at least float32.
    """
    rows = wide(x).flatten(2)
    values, order = rows.sort(dim=-1)
    matched = values[list(partner)].gather(-1, order.argsort(-1))
    mixed = rows + (1 - shares.view(-1, 1, 1)) * (matched - rows.detach())
    return mixed.view(x.shape)


class MixStyle(Randomiser):
    """Mixes feature statistics of two images; see `mix_style`.

    Args:
        p: Probability of a change, once per batch and layer.
        alpha: Both parameters of the Beta distribution of an image's own share.
        eps: Added to the variance.
        mix: 'random' partners, or 'crossdomain': the halves of the batch are two domains.

    Raises:
        UserError: A value is out of its range.
    """

    def __init__(
        self, p: float = 0.5, alpha: float = 0.1, eps: float = 1e-6, mix: str = "random"
    ) -> None:
        super().__init__(p)
        if mix not in MIXES or alpha <= 0:
            raise UserError(
                f"{type(self).__name__}: {mix=}, {alpha=}",
                f"allowed: {' or '.join(MIXES)}, and alpha above 0",
            )
        self.alpha = alpha
        self.eps = eps
        self.mix = mix

    def draw(self, x: torch.Tensor) -> tuple[torch.Tensor, list[int]]:
        """Draw each image's own share and partner."""
        batch = self.draws.of_batch(self.number)
        batch.random()  # the gate's number
        partner = partners(batch, len(x), self.mix == "crossdomain")
        images = self.draws.of_images(self.number, len(x))
        return on_device([image.beta(self.alpha, self.alpha) for image in images], x), partner

    def change(self, x: torch.Tensor, drawn: tuple[torch.Tensor, list[int]]) -> torch.Tensor:
        """Return the mixed maps."""
        return mix_style(x, *drawn, self.eps)


class EFDMix(MixStyle):
    """Mixes histograms of two images; see `mix_histograms`. The draws are MixStyle's."""

    def change(self, x: torch.Tensor, drawn: tuple[torch.Tensor, list[int]]) -> torch.Tensor:
        """Return the mixed maps."""
        return mix_histograms(x, *drawn)
