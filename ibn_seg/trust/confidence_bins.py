"""Bins of confidence: 16-bit levels as in BRAVO's files, and log-odds for our own tables.

A trained network is very sure: nearly half of its pixels have a confidence above 1 - 1/131072.
Equal levels put all of them into one bin. Bins of the log-odds keep them apart.
"""

from dataclasses import dataclass

import numpy as np

from ibn_seg.errors import UserError

LEVEL_KIND = "levels"
LOG_ODDS_KIND = "log-odds"
# The log-odds of the first and the last border. -3 is below 1/19, the least confidence with 19
# classes; 20 is beyond float32's last step below 1. Values outside go to the first or last bin.
LOWEST, HIGHEST = -3.0, 20.0


@dataclass(frozen=True)
class ConfidenceBins:
    """A division of the confidences from 0 to 1 into bins.

    Attributes:
        kind: `LEVEL_KIND`: bins of equal width in confidence. `LOG_ODDS_KIND`: of equal width in
            ln(c / (1 - c)), from `LOWEST` to `HIGHEST`.
        count: The number of bins.
    """

    kind: str
    count: int

    def values(self) -> np.ndarray:
        """Return the confidence that each bin stands for, its middle; (count,) float64, rising.

        Level L stands for (L + 0.5) / count, as in BRAVO (valeoai/bravo_challenge).
        """
        middle = np.arange(self.count) + 0.5
        if self.kind == LEVEL_KIND:
            return middle / self.count
        return 1.0 / (1.0 + np.exp(-(LOWEST + middle * (HIGHEST - LOWEST) / self.count)))

    def of_confidence(self, confidence: np.ndarray) -> np.ndarray:
        """Return the bin of each confidence.

        Args:
            confidence: Shares from 0 to 1, any shape.

        Returns:
            int32 of the same shape.

        Raises:
            UserError: A confidence is NaN, or not from 0 to 1.
        """
        given = np.asarray(confidence, np.float64)
        check_confidence(given)
        if self.kind == LEVEL_KIND:
            return np.minimum(given * self.count, self.count - 1).astype(np.int32)
        with np.errstate(divide="ignore"):
            return self.of_log_odds(np.log(given) - np.log1p(-given))

    def of_log_odds(self, log_odds: np.ndarray) -> np.ndarray:
        """Return the bin of each ln(c / (1 - c)), in bins of the log-odds.

        Raises:
            UserError: A value is NaN.
        """
        if np.isnan(log_odds).any():
            raise UserError("a confidence is NaN", "check the network's outputs")
        place = (log_odds - LOWEST) * (self.count / (HIGHEST - LOWEST))
        return np.clip(place, 0, self.count - 1).astype(np.int32)


# The default: AUROC differs from that of the unbinned confidences by about 1e-8.
LOG_ODDS = ConfidenceBins(LOG_ODDS_KIND, 2048)
# Exact for 16-bit pictures of confidence, and for them alone.
LEVELS = ConfidenceBins(LEVEL_KIND, 65536)


def check_confidence(confidence: np.ndarray) -> None:
    """Raise for values that are no confidence.

    Raises:
        UserError: A value is NaN, or not from 0 to 1.
    """
    if np.isnan(confidence).any():
        raise UserError("a confidence is NaN", "check the network's outputs")
    if confidence.size and not 0 <= confidence.min() <= confidence.max() <= 1:
        low, high = confidence.min(), confidence.max()
        raise UserError(f"confidence {low if low < 0 else high:g}", "allowed: 0..1")
