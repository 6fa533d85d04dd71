"""Confidence, NLL and Brier score of a network's outputs, in float64.

Outputs are logits, or probabilities that sum to 1. Mask2Former's kind of heads gives neither: its
sums of products must be divided by their sum first.
"""

from dataclasses import dataclass

import numpy as np

from ibn_seg.errors import UserError

# How far a sum of float16 probabilities may be from 1.
_SUM_TOLERANCE = 5e-3


@dataclass(frozen=True, eq=False)
class PixelConfidence:
    """What a network says of P pixels.

    Attributes:
        prediction: (P,) the class of the largest output.
        log_odds: (P,) ln(c / (1 - c)) of the largest probability c, exact where c rounds to 1.
        log_probability: (P, K) ln of each class's probability.
    """

    prediction: np.ndarray
    log_odds: np.ndarray
    log_probability: np.ndarray

    @property
    def confidence(self) -> np.ndarray:
        """(P,) the largest probability."""
        return 1.0 / (1.0 + np.exp(-self.log_odds))

    @property
    def negative_entropy(self) -> np.ndarray:
        """(P,) sum of p ln p, another score of confidence; 0 is the most confident."""
        return (np.exp(self.log_probability) * self.log_probability).sum(axis=-1)

    @property
    def margin(self) -> np.ndarray:
        """(P,) difference of the two largest probabilities, another score of confidence."""
        two = np.partition(self.log_probability, -2, axis=-1)[..., -2:]
        return np.exp(two[..., 1]) - np.exp(two[..., 0])

    def nll(self, labels: np.ndarray) -> np.ndarray:
        """Return -ln of the label's probability; (P,) natural logarithm.

        Args:
            labels: (P,) classes; none is ignored.
        """
        return -np.take_along_axis(self.log_probability, labels[:, None].astype(np.int64), 1)[:, 0]

    def brier(self, labels: np.ndarray) -> np.ndarray:
        """Return the sum over classes of (p_k - [label = k])^2; (P,), 0..2.

        Args:
            labels: (P,) classes; none is ignored.
        """
        probability = np.exp(self.log_probability)
        of_label = np.take_along_axis(probability, labels[:, None].astype(np.int64), 1)[:, 0]
        return (probability**2).sum(axis=-1) - 2 * of_label + 1


def from_logits(logits: np.ndarray, temperature: float | np.ndarray = 1.0) -> PixelConfidence:
    """Return the confidence of softmax(logits / temperature).

    The log-odds of the largest probability are -ln of the sum over the other classes of
    exp(z_k - z_max). Nothing is subtracted from 1, so nothing is lost.

    Args:
        logits: (P, K), K >= 2.
        temperature: Above 0: one number, or (P, 1) one for each pixel.

    Raises:
        UserError: A logit is NaN or infinite.
    """
    if not np.isfinite(logits).all():
        raise UserError("an output of the network is NaN or infinite", "check the weights")
    scaled = np.asarray(logits, np.float64) / temperature
    prediction = scaled.argmax(axis=-1)
    shifted = scaled - np.take_along_axis(scaled, prediction[..., None], -1)
    powers = np.exp(shifted)
    np.put_along_axis(powers, prediction[..., None], 0.0, -1)
    others = powers.sum(axis=-1)
    with np.errstate(divide="ignore"):
        log_odds = -np.log(others)
    return PixelConfidence(prediction, log_odds, shifted - np.log1p(others)[..., None])


def from_probabilities(probabilities: np.ndarray) -> PixelConfidence:
    """Return the confidence of probabilities.

    Args:
        probabilities: (P, K), K >= 2, each row with sum 1.

    Raises:
        UserError: A value is NaN or negative, or a row does not sum to 1.
    """
    given = np.asarray(probabilities, np.float64)
    if np.isnan(given).any():
        raise UserError("a probability is NaN", "check the network's outputs")
    if given.size and given.min() < 0:
        raise UserError(f"probability {given.min():g}", "allowed: 0..1")
    total = given.sum(axis=-1)
    worst = np.abs(total - 1).max(initial=0.0)
    if worst > _SUM_TOLERANCE:
        wrong = total.flat[np.abs(total - 1).argmax()]
        raise UserError(
            f"probabilities of a pixel sum to {wrong:g}, not to 1",
            "give logits, or divide each pixel's values by their sum",
        )
    with np.errstate(divide="ignore"):
        # Only the logarithm of 0 is infinite; the smallest number stands for it.
        logs = np.log(np.maximum(given / total[..., None], np.finfo(np.float64).tiny))
    return from_logits(logs)
