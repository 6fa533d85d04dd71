"""The classes that labels hold and networks predict: names, colours, values in files, void.

A space of one's own is a mapping in a config or a small YAML file:

    name: yard
    classes:
      - grass                                          # value 0 in label files, a made colour
      - {name: path, color: [128, 64, 128], values: [3, 4]}
    void: [255]                                        # ignored values; 255 is the default
    void_colors: [[0, 0, 0]]                           # the same for coloured labels

Needs numpy only.
"""

import colorsys
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ibn_seg.errors import UserError, unknown

Color = tuple[int, int, int]

IGNORE_INDEX = 255
MOST_CLASSES = 255
_KEYS = ("name", "classes", "void", "void_colors")
_CLASS_KEYS = ("name", "color", "values")
_HEX = re.compile(r"#[0-9a-fA-F]{6}")
# Line breaks and control characters; they would break the lines of tables and messages.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# The golden ratio spreads any number of hues; lightness and saturation take turns.
_HUE_STEP = 0.6180339887498949


@dataclass(frozen=True)
class ClassSpace:
    """The C classes of a data set or a network, in the order of their indices.

    Two spaces are the same if their class names are the same, in the same order.

    Args:
        name: A short name, such as 'camvid-11'.
        classes: The names of 2 to 255 classes.
        palette: Red, green and blue (0..255) of each class.
        values: The values of each class in label files. Default: the class's index.
        void: The values of ignored pixels. Default: 255 alone.
        void_colors: The colours of ignored pixels in labels that show classes in colours.

    Raises:
        UserError: There are fewer than 2 or more than 255 classes. Or two classes share a name, a
            colour or a value, or the palette has another length.
    """

    name: str
    classes: tuple[str, ...]
    palette: tuple[Color, ...] = field(compare=False)
    values: tuple[tuple[int, ...], ...] = field(default=(), compare=False)
    void: tuple[int, ...] = field(default=(IGNORE_INDEX,), compare=False)
    void_colors: tuple[Color, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "palette", tuple(tuple(color) for color in self.palette))
        if not self.values:
            object.__setattr__(self, "values", tuple((at,) for at in range(len(self.classes))))
        self._check_names()
        self._check_palette()
        self._check_values()

    def __len__(self) -> int:
        return len(self.classes)

    def index(self, name: str) -> int:
        """Return the index of a class.

        Raises:
            UserError: The space has no such class.
        """
        if name not in self.classes:
            raise unknown(f"class of {self.name}", name, self.classes)
        return self.classes.index(name)

    @property
    def colors(self) -> np.ndarray:
        """(256, 3) uint8 RGB by index; ignored and all further indices are black."""
        table = np.zeros((256, 3), np.uint8)
        table[: len(self)] = self.palette
        return table

    def metainfo(self) -> dict[str, Any]:
        """Return the classes as mmseg's `metainfo` holds them."""
        return {"classes": self.classes, "palette": [list(color) for color in self.palette]}

    def _check_names(self) -> None:
        if not 2 <= len(self.classes) <= MOST_CLASSES:
            raise UserError(
                f"class space {self.name!r}: {len(self.classes)} classes",
                f"name 2 to {MOST_CLASSES}",
            )
        for at, name in enumerate(self.classes):
            if fault := _fault_of_name(name):
                raise UserError(f"class space {self.name!r}: class {at} {fault[0]}", fault[1])
        if twice := _twice(map(_as_seen, self.classes)):
            raise UserError(
                f"class space {self.name!r}: two classes are named {twice!r}",
                "give each a name of its own",
            )

    def _check_palette(self) -> None:
        for what, given in (("colours", self.palette), ("lists of label values", self.values)):
            if len(given) != len(self.classes):
                raise UserError(
                    f"class space {self.name!r}: {len(given)} {what} for "
                    f"{len(self.classes)} classes",
                    "give one per class, or none at all",
                )
        owners = (*self.classes, *["void"] * len(self.void_colors))
        colors = (*self.palette, *self.void_colors)
        if (twice := _twice(colors)) is not None:
            names = [n for n, c in zip(owners, colors, strict=True) if c == twice]
            raise UserError(
                f"class space {self.name!r}: {names[0]!r} and {names[1]!r} have the same colour "
                f"{list(twice)}",
                "give each a colour of its own",
            )

    def _check_values(self) -> None:
        for values in (*self.values, self.void):
            for value in values:
                if not isinstance(value, int) or not 0 <= value <= 255:
                    raise UserError(
                        f"class space {self.name!r}: label value {value!r}", "allowed: 0..255"
                    )
        owners = (*self.classes, "void")
        groups = zip(owners, (*self.values, self.void), strict=True)
        held = [(value, owner) for owner, values in groups for value in values]
        if (twice := _twice([value for value, _ in held])) is not None:
            first, second = [owner for value, owner in held if value == twice][:2]
            # 255 is void by default, and the foreground in many masks of two classes.
            other = "; void: [] ignores nothing" if second == "void" != first else ""
            raise UserError(
                f"class space {self.name!r}: the label value {twice} is {first!r} and {second!r}",
                f"write it once{other}",
            )


def made_palette(count: int) -> tuple[Color, ...]:
    """Return distinct colours for classes that come without, as RGB of 0..255 each."""
    colors: dict[Color, None] = {}
    at = 0
    while len(colors) < count:
        light, full = ((0.5, 0.75), (0.65, 0.6), (0.35, 0.7))[at % 3]
        rgb = colorsys.hls_to_rgb(at * _HUE_STEP % 1, light, full)
        colors[tuple(round(255 * part) for part in rgb)] = None
        at += 1
    return tuple(colors)


def parse_space(given: Any, where: str) -> ClassSpace:
    """Return the space of a mapping or of a list of names, as a config or a YAML file holds it.

    Args:
        given: The keys `name`, `classes` and `void` of the module's example, or only the classes.
        where: The file or key, for messages and as the default name.

    Raises:
        UserError: A key is unknown or its value is wrong.
    """
    if not isinstance(given, Mapping):
        given = {"classes": given}
    _check_keys(given, _KEYS, where)
    entries = given.get("classes")
    if isinstance(entries, str) or not isinstance(entries, Sequence):
        raise UserError(f"{where}: classes is {entries!r}", "give a list of class names")
    parts = [_class_of(entry, at, where) for at, entry in enumerate(entries)]
    colors = [color for _, color, _ in parts]
    void = _numbers(given.get("void", [IGNORE_INDEX]), "void", where)
    void_colors = given.get("void_colors") or ()
    if isinstance(void_colors, str) or not isinstance(void_colors, Sequence):
        raise UserError(f"{where}: void_colors is {void_colors!r}", "give a list of colours")
    void_colors = tuple(_color(color, "void", where) for color in void_colors)
    if None in colors:
        taken = {*colors, *void_colors}
        made = iter([c for c in made_palette(len(parts) + len(taken)) if c not in taken])
        colors = [next(made) if color is None else color for color in colors]
    name = str(given.get("name") or Path(where).stem)
    try:
        return ClassSpace(
            name=name,
            classes=tuple(name for name, _, _ in parts),
            palette=tuple(colors),
            values=tuple(values for _, _, values in parts),
            void=void,
            void_colors=void_colors,
        )
    except UserError as error:
        raise UserError(error.line if name == where else f"{where}: {error.line}") from error


def read_space(path: str | os.PathLike) -> ClassSpace:
    """Return the space of a YAML file.

    Raises:
        UserError: The file is missing, is not YAML, or describes no space.
        EnvError: PyYAML is not installed.
    """
    from ibn_seg.yaml_values import read_yaml

    return parse_space(read_yaml(Path(path), "class file"), str(path))


def _class_of(entry: Any, at: int, where: str) -> tuple[str, Color | None, tuple[int, ...]]:
    """Return name, colour if given, and label values of an entry of `classes`."""
    if not isinstance(entry, Mapping):
        return entry, None, (at,)
    _check_keys(entry, _CLASS_KEYS, f"{where}: class {at}")
    key = f"class {at} ({entry.get('name')})"
    color = _color(entry["color"], key, where) if "color" in entry else None
    return entry.get("name"), color, _numbers(entry.get("values", [at]), key, where)


def _color(given: Any, key: str, where: str) -> Color:
    if isinstance(given, str) and _HEX.fullmatch(given):
        return tuple(bytes.fromhex(given[1:]))
    return rgb_of(given, f"{where}: {key}")


def rgb_of(given: Any, owner: str) -> Color:
    """Return a colour given as red, green and blue.

    Raises:
        UserError: It is none; `owner` has it, for the message.
    """
    parts = tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else ()
    if len(parts) != 3 or not all(type(v) is int and 0 <= v <= 255 for v in parts):
        raise UserError(
            f"{owner} has the color {given!r}",
            "write [red, green, blue] of 0..255 each, or '#rrggbb' in quotes",
        )
    return parts


def _numbers(given: Any, key: str, where: str) -> tuple[int, ...]:
    listed = [given] if isinstance(given, int) else given
    whole = isinstance(listed, Sequence) and not isinstance(listed, str)
    if not whole or not all(isinstance(v, int) and not isinstance(v, bool) for v in listed):
        raise UserError(f"{where}: {key} has the label values {given!r}", "write a list of numbers")
    return tuple(listed)


def _check_keys(given: Mapping[str, Any], allowed: Sequence[str], where: str) -> None:
    for key in given:
        if key not in allowed:
            raise unknown(f"key of {where}", key, allowed)


def _fault_of_name(name: Any) -> tuple[str, str] | None:
    """Return what is wrong with a class's name and what to do, or None."""
    if name is None or (isinstance(name, str) and not name.strip()):
        return "has no name", "name it"
    if not isinstance(name, str):
        # YAML reads yes, no and 12 as other things than texts.
        return f"is named {name!r}, which is no text", "write its name in quotes"
    if _UNPRINTABLE.search(name):
        return f"is named {name!r}, with a line break or a control character", "name it without"
    return None


def _as_seen(name: str) -> str:
    """Return a name as a table shows it: Unicode writes the same letters in several ways."""
    return unicodedata.normalize("NFC", name).strip()


def _twice(items: Iterable[Any]) -> Any:
    """Return the first item that occurs a second time, or None."""
    seen = set()
    for item in items:
        if item in seen:
            return item
        seen.add(item)
    return None
