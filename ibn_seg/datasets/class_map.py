"""Maps from a network's classes to the coarser groups of a target.

Labels may know fewer classes than a network predicts. Then a prediction is right if its class
belongs to the group of the label. The rule is that of Cityscapes' categories (`cityscapesScripts`,
`evalPixelLevelSemanticLabeling.py`, `getIouScoreForCategory`): predictions of a class without group
are wrong, and void labels are left out.

A map of one's own is a YAML file. It names each class once:

    groups:
      road: [road, parking]
      building: [building, wall]
    none: [sky]                # predictions of these are always wrong

Needs numpy only.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ibn_seg.datasets.class_space import IGNORE_INDEX
from ibn_seg.errors import UserError, unknown

_KEYS = ("groups", "none")
# Names that YAML reads as texts without quotes, and words that it reads as something else.
_PLAIN = re.compile(r"[^\W\d_][\w /.-]*")
_WORDS = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")


@dataclass(frozen=True)
class ClassMap:
    """The group of each of C classes among G groups.

    Args:
        classes: The C classes of the network.
        groups: The G groups of the labels.
        group_of: For each class the index of its group, or None if it has none.
    """

    classes: tuple[str, ...]
    groups: tuple[str, ...]
    group_of: tuple[int | None, ...]

    @property
    def without_group(self) -> tuple[str, ...]:
        """The classes that have no group; their predictions are wrong."""
        pairs = zip(self.classes, self.group_of, strict=True)
        return tuple(name for name, group in pairs if group is None)

    @property
    def merges(self) -> bool:
        """Whether a group has several classes, or a class none."""
        return None in self.group_of or len(set(self.group_of)) < len(self.group_of)

    @property
    def lookup(self) -> np.ndarray:
        """(256,) uint8, the group of each class index; 255 for none and for all further indices."""
        table = np.full(256, IGNORE_INDEX, np.uint8)
        for at, group in enumerate(self.group_of):
            table[at] = IGNORE_INDEX if group is None else group
        return table

    def merge_columns(self, counts: np.ndarray) -> np.ndarray:
        """Return counts of predicted groups from counts of predicted classes.

        Args:
            counts: (..., C) pixel counts.

        Returns:
            (..., G + 1) pixel counts; the last is of predictions without a group.
        """
        which = [len(self.groups) if group is None else group for group in self.group_of]
        merging = np.zeros((len(self.classes), len(self.groups) + 1), np.int64)
        merging[np.arange(len(self.classes)), which] = 1
        return counts @ merging

    def merge_labels(self, counts: np.ndarray) -> np.ndarray:
        """Return counts of labelled groups from labels in the network's classes.

        So a source that is labelled in the network's classes is scored over a target's groups.

        Args:
            counts: (..., C, C) pixel counts, rows are labels.

        Returns:
            (..., G + 1, C) pixel counts. Labels of a class without group are in the last row: void.
        """
        return np.swapaxes(self.merge_columns(np.swapaxes(counts, -1, -2)), -1, -2)

    def to_dict(self) -> dict[str, Any]:
        """Return the map as a YAML file of one's own holds it."""
        members = {
            group: [name for name, at in zip(self.classes, self.group_of, strict=True) if at == k]
            for k, group in enumerate(self.groups)
        }
        return {"groups": members, "none": list(self.without_group)}


def parse_map(given: Any, classes: Sequence[str], groups: Sequence[str], where: str) -> ClassMap:
    """Return the map that a mapping describes.

    Args:
        given: `groups`, which lists the classes of each group, and `none`, the classes without one.
        classes: The network's classes.
        groups: The target's groups.
        where: The file or key, for messages.

    Raises:
        UserError: A name is unknown, a class is named twice or not at all, or a key is unknown.
    """
    if not isinstance(given, Mapping) or not isinstance(given.get("groups"), Mapping):
        raise UserError(f"{where}: no map of classes", "write groups: {GROUP: [CLASS, ...]}")
    for key in given:
        if key not in _KEYS:
            raise unknown(f"key of {where}", key, _KEYS)
    group_of: dict[str, int | None] = {}
    for group, members in given["groups"].items():
        if group not in groups:
            raise unknown(f"group in {where}", group, groups)
        _give(members, groups.index(group), group, classes, group_of, where)
    none = given.get("none")
    _give([] if none is None else none, None, "none", classes, group_of, where)
    if missing := [name for name in classes if name not in group_of]:
        raise UserError(
            f"{where}: {', '.join(missing)} without a group",
            f"add each to a group, or write none: [{', '.join(map(_as_yaml, missing))}]",
        )
    return ClassMap(tuple(classes), tuple(groups), tuple(group_of[name] for name in classes))


def read_map(path: str | os.PathLike, classes: Sequence[str], groups: Sequence[str]) -> ClassMap:
    """Return the map of a YAML file.

    Raises:
        UserError: The file is missing, is not YAML, or is no map of these classes and groups.
        EnvError: PyYAML is not installed.
    """
    from ibn_seg.yaml_values import read_yaml

    return parse_map(read_yaml(Path(path), "map file"), classes, groups, str(path))


def identity(classes: Sequence[str]) -> ClassMap:
    """Return the map of classes to themselves."""
    return ClassMap(tuple(classes), tuple(classes), tuple(range(len(classes))))


def _as_yaml(name: str) -> str:
    """Return a name as YAML reads it again, in quotes where it has to be."""
    plain = _PLAIN.fullmatch(name) and name.lower() not in _WORDS
    return name if plain else json.dumps(name, ensure_ascii=False)


def _give(
    members: Any,
    group: int | None,
    title: str,
    classes: Sequence[str],
    group_of: dict[str, int | None],
    where: str,
) -> None:
    """Enter the group of some classes; `group_of` is changed."""
    if isinstance(members, str) or not isinstance(members, Sequence):
        raise UserError(f"{where}: {title} is {members!r}", "write a list of classes")
    for name in members:
        if name not in classes:
            raise unknown(f"class in {where}", name, classes)
        if name in group_of:
            raise UserError(f"{where}: {name} is mapped twice", "name it once")
        group_of[name] = group
