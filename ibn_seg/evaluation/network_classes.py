"""Which classes the outputs of a network stand for."""

from collections.abc import Sequence

from ibn_seg.datasets.known_classes import SPACES
from ibn_seg.errors import UserError


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
    for known in ("cityscapes", "cityscapes_background"):
        if len(SPACES[known]) == outputs:
            return SPACES[known].classes
    raise UserError(
        f"the network has {outputs} outputs, and the labels have {len(evaluated)} classes",
        "name the network's classes by --classes FILE.yaml or by classes= of MultiDomainIoU",
    )
