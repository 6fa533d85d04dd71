"""The names and colours of a network's classes, for pictures and exports."""

from typing import Any

from ibn_seg.datasets.class_colors import CITYSCAPES_COLORS, ClassColors, class_colors
from ibn_seg.datasets.known_classes import known_outputs
from ibn_seg.evaluation.network_classes import outputs_of, trained_classes


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
