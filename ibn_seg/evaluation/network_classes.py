"""Which classes the outputs of a network stand for."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ibn_seg.datasets.known_classes import known_outputs
from ibn_seg.errors import UserError

# The heads of a segmentor; the first decides.
HEADS = ("decode_head", "auxiliary_head")


def network_classes(
    outputs: int | None,
    given: Sequence[str] | None,
    trained: Sequence[str] | None,
    evaluated: Sequence[str],
) -> tuple[str, ...]:
    """Return the names of a network's classes.

    Args:
        outputs: The number of classes of its head, or None if it does not say.
        given: The classes that the user names, or None.
        trained: The classes of its training data, as its checkpoint names them; None if unknown.
        evaluated: The classes of the evaluated labels.

    Returns:
        `given`; else `trained`, if the number fits the head; else `evaluated`, if that fits; else
        the classes of Cityscapes for 19 outputs, and those with a last "background" for 20.

    Raises:
        UserError: `given` does not fit the head, or no known classes fit it.
    """
    if given and outputs not in (None, len(given)):
        raise UserError(
            f"{len(given)} classes are named for a network of {outputs} outputs",
            "name one class per output, in their order",
        )
    if given:
        return tuple(given)
    for names in (trained, evaluated):
        if names and outputs in (None, len(names)):
            return tuple(names)
    if known := known_outputs(outputs):
        return known
    raise UserError(
        f"the network has {outputs} outputs, and the labels have {len(evaluated)} classes",
        "name the network's classes by --classes FILE.yaml or by classes= of MultiDomainIoU",
    )


def outputs_of(network: Any) -> int | None:
    """Return the number of classes of a segmentor's last decode head; None for other networks.

    Args:
        network: The network, maybe inside wrappers for replicas or test-time augmentation.
    """
    widths = [width for key, width in head_widths(network).items() if key.startswith(HEADS[0])]
    return widths[-1] if widths else None


def head_widths(network: Any) -> dict[str, int]:
    """Return the number of classes of each of a segmentor's heads, by its place in the config.

    Args:
        network: The network, maybe inside wrappers for replicas or test-time augmentation.
    """
    while hasattr(network, "module"):
        network = network.module
    found = {}
    for name in HEADS:
        head = getattr(network, name, None)
        # A cascade has a list of heads.
        several = hasattr(head, "__getitem__")
        keys = [f"{name}[{at}]" for at in range(len(head))] if several else [name]
        found |= zip(keys, head if several else [head], strict=True)
    widths = {key: getattr(head, "num_classes", None) for key, head in found.items()}
    return {key: width for key, width in widths.items() if width is not None}


def trained_classes(checkpoint: Any) -> tuple[list[str] | None, list[list[int]] | None]:
    """Return the names and the colours of a checkpoint's classes.

    Args:
        checkpoint: The content of a checkpoint. mmengine stores them in `meta['dataset_meta']`, and
            mmseg before 1.0 in `meta['CLASSES']`; other `meta` may hold anything.

    Returns:
        Names, and red, green and blue (0 to 255) of each class. None for whichever is missing.
    """
    meta = checkpoint.get("meta") if isinstance(checkpoint, Mapping) else None
    if not isinstance(meta, Mapping):
        return None, None
    known = meta["dataset_meta"] if isinstance(meta.get("dataset_meta"), Mapping) else meta
    names, colours = (known.get(key, known.get(key.upper())) for key in ("classes", "palette"))
    return _names(names), _colours(colours)


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
