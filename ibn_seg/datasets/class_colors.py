"""Names and colours of classes by index, for pictures and their legends.

They may come from anyone's checkpoint or data set. So nothing is refused, other than in
`ibn_seg.datasets.class_space`. Needs numpy only.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ibn_seg.datasets.class_space import Color, made_palette
from ibn_seg.datasets.known_classes import CITYSCAPES, SPACES
from ibn_seg.io import write_text

# Lies beside predictions and says what their values mean.
CLASSES_FILE = "classes.yaml"


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
        text = f"name: {_quoted(name)}\nclasses:\n"
        for at, (title, color) in enumerate(zip(self.names, self.palette, strict=True)):
            shown, remark = f"color: {list(color)}, ", ""
            if (owner := self.palette.index(color)) < at:
                # Two classes of one colour could not be read again.
                shown, remark = "", f"  # {list(color)} in pictures, as class {owner}"
            text += f"  - {{name: {_quoted(title)}, {shown}values: [{at}]}}{remark}\n"
        return text

    def write(self, folder: str | os.PathLike) -> None:
        """Write `FOLDER/classes.yaml`, unless it is there and says the same.

        Raises:
            EnvError: It cannot be written.
        """
        file, text = Path(folder) / CLASSES_FILE, self.yaml_text("predicted")
        if not file.is_file() or file.read_bytes() != text.encode():
            write_text(file, text)


def _quoted(text: str) -> str:
    """Return a text as YAML; JSON is YAML, and quotes whatever a name may hold."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


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
