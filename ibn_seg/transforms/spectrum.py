"""Changes of pictures in the frequency domain: PASTA, the amplitude mix of FACT, and FDA.

All are functions of what was drawn. Each computes in float64, channel by channel.
"""

import numpy as np

from ibn_seg.errors import UserError

ODD_SIZES = ("repaired", "released")


def pasta_strength(
    height: int,
    width: int,
    alpha: float = 3.0,
    k: float = 2.0,
    beta: float = 0.25,
    odd: str = "repaired",
) -> np.ndarray:
    """Return the deviation of the noise at each frequency: (alpha r / r_max)^k + beta.

    r is the distance from the zero frequency. With an even length the released grid holds zero
    twice, so frequency -1 counts as 0. With an odd length the released grid is shifted by one: the
    mean brightness gets the strength of frequency 1. 'repaired' puts that right.

    Args:
        height: Rows of the picture.
        width: Columns of the picture.
        alpha: Slope; 3 for ResNet-50 in the paper.
        k: Exponent.
        beta: Strength at the zero frequency.
        odd: What to do about odd lengths, 'repaired' or 'released'.

    Returns:
        (height, width), in the order of `np.fft.fft2`.

    Raises:
        UserError: `odd` is another word.
    """
    if odd not in ODD_SIZES:
        raise UserError(f"PASTA: {odd=}", f"allowed: {', '.join(ODD_SIZES)}")
    rows, columns = (_frequencies(length, odd == "released") for length in (height, width))
    distance = np.hypot(rows[:, None], columns[None, :])
    farthest = distance.max() or 1.0
    return (alpha * distance / farthest) ** k + beta


def _frequencies(length: int, released: bool) -> np.ndarray:
    """Return the frequencies of a length as PASTA counts them, zero first."""
    half = length // 2
    if length % 2:
        centred = np.arange(-half, half + 1)
        return np.fft.fftshift(centred) if released else np.fft.ifftshift(centred)
    return np.concatenate((np.arange(half), np.arange(-half + 1, 1)))


def pasta(picture: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return a picture whose amplitudes are multiplied by noise.

    The phase stays. The noise is not symmetric, so half of it is lost in the real part. Source:
    Chattopadhyay et al., ICCV 2023 (PASTA), arXiv:2212.00979, and its code.

    Args:
        picture: (..., H, W), levels 0..1.
        noise: Factors of the amplitudes, of the same shape; 1 + strength * normal.

    Returns:
        The same shape, clipped to 0..1, before it is rounded to 8 bits.
    """
    return np.clip(np.fft.ifft2(np.fft.fft2(picture) * noise).real, 0.0, 1.0)


def mix_amplitudes(
    picture: np.ndarray, other: np.ndarray, share: float, ratio: float = 1.0
) -> np.ndarray:
    """Return a picture with amplitudes between its own and another picture's.

    Source: Xu et al., CVPR 2021 (FACT), arXiv:2105.11120, and its code.

    Args:
        picture: (H, W, C), levels 0..255.
        other: The same shape.
        share: The share of the other picture's amplitudes, 0..1.
        ratio: The share of the spectrum that is mixed, a window around the zero frequency.

    Returns:
        (H, W, C), clipped to 0..255, before it is truncated to 8 bits.
    """
    own, others = (np.fft.fft2(image, axes=(0, 1)) for image in (picture, other))
    amplitudes, wanted = (np.fft.fftshift(np.abs(x), axes=(0, 1)) for x in (own, others))
    window = tuple(_centred(length, np.sqrt(ratio)) for length in picture.shape[:2])
    amplitudes[window] = share * wanted[window] + (1 - share) * amplitudes[window]
    amplitudes = np.fft.ifftshift(amplitudes, axes=(0, 1))
    mixed = np.fft.ifft2(amplitudes * np.exp(1j * np.angle(own)), axes=(0, 1)).real
    return np.clip(mixed, 0.0, 255.0)


def _centred(length: int, share: float) -> slice:
    """Return a centred part of a length."""
    inside = int(length * share)
    start = length // 2 - inside // 2
    return slice(start, start + inside)


def swap_low_frequencies(
    picture: np.ndarray, other: np.ndarray, share: float, closed: bool = True
) -> np.ndarray:
    """Return a picture with another's amplitudes at low frequencies; its phase stays.

    The window has b = floor(share * min(H, W)). The two released versions differ: the first swaps
    frequencies -b..b, the second -b..b-1 and so nothing for b = 0. Source: Yang and Soatto, CVPR
    2020 (FDA), arXiv:2004.05498, and its code.

    Args:
        picture: (..., H, W), levels 0..255.
        other: The same shape.
        share: L of the paper: 0.01, 0.05 or 0.09.
        closed: Whether frequency b is swapped too: the version in NumPy.

    Returns:
        The same shape, not clipped.
    """
    height, width = picture.shape[-2:]
    reach = int(np.floor(min(height, width) * share))
    own, others = np.fft.fft2(picture), np.fft.fft2(other)
    rows, columns = (
        np.arange(-reach, reach + closed) % length for length in (height, width)
    )  # fmt: skip
    amplitudes = np.abs(own)
    window = (..., rows[:, None], columns[None, :])
    amplitudes[window] = np.abs(others)[window]
    return np.fft.ifft2(amplitudes * np.exp(1j * np.angle(own))).real
