"""Names and colours of classes by index, for pictures and their legends.

They may come from anyone's checkpoint or data set. So nothing is refused, other than in
`ibn_seg.datasets.class_space`. Needs numpy only.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ibn_seg.datasets.class_space import Color, made_palette
from ibn_seg.datasets.known_classes import CITYSCAPES, SPACES


@dataclass(frozen=True)
class ClassColors:
    """The names and colours of C classes.

    Args:
        names: The C names.
        palette: Red, green and blue (0..255) of each class.
    """

    names: tuple[str, ...]
    palette: tuple[Color, ...]

    @property
    def table(self) -> np.ndarray:
        """(256, 3) uint8 RGB by index; ignored and all further indices are black."""
        colors = np.zeros((256, 3), np.uint8)
        colors[: len(self.palette)] = self.palette
        return colors

    def yaml_text(self, name: str) -> str:
        """Return the classes as a YAML file that `class_space.read_space` reads.

        Args:
            name: A name for them.
        """
        # JSON is YAML, and quotes whatever a name may hold.
        rows = [
            f"  - {{name: {json.dumps(title)}, color: {list(color)}, values: [{at}]}}\n"
            for at, (title, color) in enumerate(zip(self.names, self.palette, strict=True))
        ]
        return f"name: {json.dumps(name)}\nclasses:\n{''.join(rows)}"


CITYSCAPES_COLORS = ClassColors(CITYSCAPES.classes, CITYSCAPES.palette)


def class_colors(
    names: Sequence[str], palette: Sequence[Sequence[int]] | None = None
) -> ClassColors:
    """Return classes with their colours.

    Args:
        names: The C names.
        palette: Their colours, RGB. Without one per class, they are those of the known classes of
            these names, else made ones.
    """
    names = tuple(names)
    if palette is None or len(palette) != len(names):
        known = (space.palette for space in SPACES.values() if space.classes == names)
        palette = next(known, None) or made_palette(len(names))
    return ClassColors(names, tuple(tuple(int(part) for part in color) for color in palette))
