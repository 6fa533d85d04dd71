"""One compared figure of re-identification, and how two arrays are compared."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Figure:
    """The comparison of one figure or group of figures.

    Attributes:
        name: Where it is in the file.
        error: How far ours is from it.
        allowed: How far it may be.
        problem: Why nothing could be compared; empty if it was.
        without_inputs: Whether the file lacks what is needed to compute it.
    """

    name: str
    error: float
    allowed: float
    problem: str = ""
    without_inputs: bool = False

    @property
    def right(self) -> bool:
        """Whether the figure agrees; one without inputs is not wrong."""
        return self.without_inputs or (not self.problem and self.error <= self.allowed)


def unknown(name: str, what: str) -> Figure:
    """Return the outcome of something in the file that no runner knows."""
    return Figure(name, np.inf, 0.0, f"{what} is not known")


def distance(found: Any, expected: Any) -> float:
    """Return the largest difference, over the largest expected value if that is above 1."""
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    if found.shape != expected.shape or np.isnan(found).any() != np.isnan(expected).any():
        return np.inf
    if not found.size:
        return 0.0
    scale = max(1.0, float(np.nanmax(np.abs(expected), initial=0.0)))
    both = np.isnan(found) & np.isnan(expected)
    return float(np.where(both, 0.0, np.abs(found - expected)).max() / scale)


def deviations(difference: float, *standard_errors: float) -> float:
    """Return a difference in standard errors, whose squares are added."""
    error = float(np.sqrt(np.sum(np.square(standard_errors))))
    if error == 0:
        return 0.0 if abs(difference) < 1e-3 else np.inf
    return abs(difference) / error


def checksum(values: Any) -> float:
    """Return the checksum of an array that stands beside each case."""
    flat = np.asarray(values, np.float64).ravel()
    return round(float((flat * np.arange(1, flat.size + 1)).sum() / flat.size), 6)


def wrong_inputs(given: dict[str, float], arrays: dict[str, Any]) -> str:
    """Return which arrays have another checksum than the file says, or ''."""
    wrong = [name for name, value in given.items() if checksum(arrays[name]) != value]
    return f"inputs differ: {', '.join(wrong)}" if wrong else ""
