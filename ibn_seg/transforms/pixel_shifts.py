"""The appearance changes with which the paper tests its ImageNet networks.

Recalled from the paper (Pan et al., arXiv:1807.09441, the table of its appearance transforms): the
names RGB+50, R+50 and std x1.5. They act on pixel values from 0 to 255. The fourth, a transfer to
Monet's style, needs another network and is not included.

Chosen by us, because the paper does not say it or because we do not recall it:

- They act on the network's input, after resizing and cropping and before normalisation.
- Values are clipped to 0..255 and not rounded: a camera saturates too.
- The standard deviation is scaled around the picture's own mean, channel by channel.
"""

from collections.abc import Callable, Iterable, Mapping

import torch

from ibn_seg.errors import UserError, unknown

BASELINE = "none"
_RED = 0


def _unchanged(pixels: torch.Tensor) -> torch.Tensor:
    return pixels


def brighter(pixels: torch.Tensor, amount: float = 50.0) -> torch.Tensor:
    """Add an amount to all channels of (N, 3, H, W)."""
    return (pixels + amount).clamp(0.0, 255.0)


def redder(pixels: torch.Tensor, amount: float = 50.0) -> torch.Tensor:
    """Add an amount to the red channel of (N, 3, H, W)."""
    changed = pixels.clone()
    changed[:, _RED] += amount
    return changed.clamp(0.0, 255.0)


def scaled_deviation(pixels: torch.Tensor, factor: float = 1.5) -> torch.Tensor:
    """Multiply the deviations from the mean of each picture's channel, of (N, 3, H, W)."""
    mean = pixels.mean(dim=(2, 3), keepdim=True)
    return (mean + factor * (pixels - mean)).clamp(0.0, 255.0)


# Name -> function of RGB pixels, (N, 3, H, W) float from 0 to 255, that returns the same format.
APPEARANCES: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    BASELINE: _unchanged,
    "rgb+50": brighter,
    "r+50": redder,
    "std1.5": scaled_deviation,
}


def appearance_names(given: Iterable[str]) -> tuple[str, ...]:
    """Return names of `APPEARANCES` as the table spells them.

    Args:
        given: The names, in any case; without any, the baseline.

    Raises:
        UserError: One is not in the table, or is given twice.
    """
    given = tuple(given) or (BASELINE,)
    names = tuple(str(name).lower() for name in given)
    for name, written in zip(names, given, strict=True):
        if name not in APPEARANCES:
            raise unknown("transform", written, APPEARANCES)
    if len(set(names)) < len(names):
        raise UserError(f"--transform: one of {', '.join(given)} is given twice", "name each once")
    return names
