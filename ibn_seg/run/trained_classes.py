"""Reads the names and colours of the classes that a checkpoint was trained on."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ibn_seg.datasets.class_colors import CITYSCAPES_COLORS, ClassColors, class_colors
from ibn_seg.datasets.known_classes import known_outputs
from ibn_seg.evaluation.network_classes import outputs_of


def trained_classes(checkpoint: Any) -> tuple[list[str] | None, list[list[int]] | None]:
    """Return the names and the colours of a checkpoint's classes.

    Args:
        checkpoint: The content of a checkpoint. mmengine stores the classes under `meta`; other
            `meta` may hold anything.

    Returns:
        Names, and red, green and blue (0 to 255) of each class. None for whichever is missing.
    """
    meta = checkpoint.get("meta") if isinstance(checkpoint, Mapping) else None
    known = meta.get("dataset_meta") if isinstance(meta, Mapping) else None
    if not isinstance(known, Mapping):
        return None, None
    return _names(known.get("classes")), _colours(known.get("palette"))


def known_colors(network: Any, checkpoint: Any) -> ClassColors | None:
    """Return the names and colours of a network's classes, if they are known.

    Args:
        network: A segmentor.
        checkpoint: The content of its checkpoint.

    Returns:
        The classes that the checkpoint names, if their number fits the head; else those known for
        the head's number of outputs; else None. Colours that do not fit are replaced.
    """
    outputs = outputs_of(network)
    names, palette = trained_classes(checkpoint)
    if names and outputs in (None, len(names)):
        return class_colors(names, palette)
    known = known_outputs(outputs)
    return class_colors(known, palette) if known else None


def network_colors(network: Any, checkpoint: Any) -> ClassColors:
    """Return the names and colours of a network's classes; if unknown, numbers and made colours.

    Args:
        network: A segmentor.
        checkpoint: The content of its checkpoint.
    """
    known = known_colors(network, checkpoint)
    if known is not None:
        return known
    _, palette = trained_classes(checkpoint)
    count = outputs_of(network) or len(palette or CITYSCAPES_COLORS.palette)
    return class_colors([f"class {at}" for at in range(count)], palette)


def _names(given: Any) -> list[str] | None:
    known = isinstance(given, (list, tuple)) and all(isinstance(name, str) for name in given)
    return list(given) if known and given else None


def _colours(given: Any) -> list[list[int]] | None:
    try:
        colours = np.array(given if given is not None else [])
    except ValueError:  # rows of different lengths
        return None
    known = colours.ndim == 2 and colours.shape[1] == 3 and colours.dtype.kind in "iu"
    if not known or colours.min() < 0 or colours.max() > 255:
        return None
    return colours.tolist()
