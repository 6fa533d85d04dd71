"""Notes on labels that look like those of another table: no defects, but worth a look.

A table that is shifted by one class, or the order of another program, reads without an error. It
shows in the numbers: classes never occur, or a street lies above the horizon.
"""

from collections.abc import Sequence

import numpy as np

# Classes that cameras at street level see below the middle of a picture, and above it.
_BELOW = ("road", "drivable", "flat", "sidewalk", "pavement", "non-drivable")
_ABOVE = ("sky",)
# The largest class of nearly every street scene. The smallest share among the public sets whose
# numbers are known here is 26 % (CamVid's test set).
_LARGE = ("road", "drivable", "flat")
_SMALLEST_PERCENT = 5.0
# A class below this share of the pixels may lie anywhere.
_COUNTS_PERCENT = 0.1


def label_notes(
    classes: Sequence[str], pixels: np.ndarray, upper: np.ndarray, labels: int
) -> list[str]:
    """Return a line for each oddity of labels that may be read by a wrong table.

    Args:
        classes: The names of the C classes.
        pixels: (256,) pixels of each class in all labels.
        upper: (256,) those of them in the upper half of the pictures.
        labels: The number of labels.
    """
    counted = pixels[: len(classes)]
    if not counted.any():
        return []
    notes = []
    if missing := [name for name, count in zip(classes, counted, strict=True) if not count]:
        notes.append(
            f"{len(missing)} of {len(classes)} classes occur in none of the {labels:,} labels: "
            f"{', '.join(missing)}"
        )
    for name, count, above in zip(classes, counted, upper, strict=False):
        share = 100 * count / counted.sum()
        if share >= _COUNTS_PERCENT:
            notes += _place_notes(name, 100 * above / count)
        if name in _LARGE and 0 < share < _SMALLEST_PERCENT:
            notes.append(f"{name} is only {share:.1f} % of the labelled pixels")
    return notes


def _place_notes(name: str, above: float) -> list[str]:
    """Return a line if a class has more than half of its pixels where it is not expected."""
    if name in _BELOW and above > 50:
        return [f"{above:.0f} % of the pixels of {name} lie in the upper half of the pictures"]
    if name in _ABOVE and above < 50:
        return [f"{100 - above:.0f} % of the pixels of {name} lie in the lower half"]
    return []
