"""Measures how far apart two sets of pictures are in a network's features.

The analysis follows the IBN-Net paper (Pan et al., ECCV 2018, arXiv:1807.09441, section 3.1). Two
definitions are recalled from the paper and were not read again. The feature F is the mean of a
channel's activation over the positions of a picture. The divergence is the symmetric
Kullback-Leibler divergence of two normal distributions, with F's mean and variance over the
pictures.

Everything here is NumPy in float64 and knows nothing of networks or files.
"""

from dataclasses import asdict, dataclass

import numpy as np

from ibn_seg.errors import UserError

# Lower variances are raised to it, so that a constant channel does not divide by zero.
VARIANCE_FLOOR = 1e-12
# With fewer pictures per side, the divergence is mostly estimation noise.
MIN_IMAGES = 200


class ChannelStatistics:
    """Mean and variance of each channel, over pictures that arrive in batches.

    Batches are merged by the formula of Chan, Golub and LeVeque (1979), in float64. Memory does not
    grow with the number of pictures. Order and batch sizes change the result only by rounding.

    Attributes:
        count: Number of pictures so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean = np.zeros(0)
        self._squares = np.zeros(0)

    def add(self, values: np.ndarray) -> None:
        """Add the values of more pictures.

        Args:
            values: (pictures, channels); the number of channels is the same at every call.

        Raises:
            UserError: A value is not finite.
        """
        values = np.asarray(values, np.float64)
        if not len(values):
            return
        if not np.isfinite(values).all():
            raise UserError(
                "a feature of the network is not finite", "give a checkpoint of sound weights"
            )
        mean = values.mean(axis=0)
        squares = np.square(values - mean).sum(axis=0)
        if not self.count:
            self.count, self._mean, self._squares = len(values), mean, squares
            return
        total = self.count + len(values)
        step = mean - self._mean
        self._squares = self._squares + squares + step**2 * (self.count * len(values) / total)
        self._mean = self._mean + step * (len(values) / total)
        self.count = total

    @property
    def mean(self) -> np.ndarray:
        """The mean of each channel, (channels,) float64."""
        return self._mean

    @property
    def variance(self) -> np.ndarray:
        """The variance of each channel, divided by the number of pictures, (channels,) float64."""
        return self._squares / max(self.count, 1)


@dataclass(frozen=True)
class LayerDivergence:
    """The divergence of one layer.

    Attributes:
        divergence: Mean over the channels.
        median: Median over the channels, robust to a few dead channels.
        channels: Number of channels.
        floored: Channels whose variance was below `VARIANCE_FLOOR` on at least one side.
    """

    divergence: float
    median: float
    channels: int
    floored: int

    def to_dict(self) -> dict:
        """Return the attributes, for a result file."""
        return asdict(self)


def symmetric_kl(
    mean_a: np.ndarray, variance_a: np.ndarray, mean_b: np.ndarray, variance_b: np.ndarray
) -> np.ndarray:
    """Return KL(A||B) + KL(B||A) of normal distributions, element by element.

    D = (sA^2 + (mA - mB)^2) / (2 sB^2) + (sB^2 + (mA - mB)^2) / (2 sA^2) - 1. In the sum of both
    directions, the logarithms of the closed form cancel. D is never negative, and 0 for equal
    distributions.

    Args:
        mean_a: Means of A.
        variance_a: Variances of A, greater than 0.
        mean_b: Means of B.
        variance_b: Variances of B, greater than 0.
    """
    apart = np.square(mean_a - mean_b)
    there = (variance_a + apart) / (2.0 * variance_b)
    back = (variance_b + apart) / (2.0 * variance_a)
    # Rounding may leave a slightly negative value.
    return np.maximum(there + back - 1.0, 0.0)


def layer_divergence(a: ChannelStatistics, b: ChannelStatistics) -> LayerDivergence:
    """Return the divergence of a layer between two sets of pictures.

    Args:
        a: The layer's statistics over one set.
        b: The layer's statistics over the other set.
    """
    low = (a.variance < VARIANCE_FLOOR) | (b.variance < VARIANCE_FLOOR)
    values = symmetric_kl(
        a.mean,
        np.maximum(a.variance, VARIANCE_FLOOR),
        b.mean,
        np.maximum(b.variance, VARIANCE_FLOOR),
    )
    return LayerDivergence(
        float(values.mean()), float(np.median(values)), len(values), int(low.sum())
    )
