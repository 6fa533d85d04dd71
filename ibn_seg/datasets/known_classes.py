"""The class spaces and the maps between them that are known by name.

To add a space, add it to `SPACES`; to add a map, add it to `_GROUPS`. A map is part of a protocol:
it is fixed before any network is scored, and each row has a source. Needs numpy only.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ibn_seg.datasets.class_map import ClassMap, identity, parse_map, read_map
from ibn_seg.datasets.class_space import ClassSpace, parse_space, read_space
from ibn_seg.datasets.labels import CLASSES, PALETTE
from ibn_seg.errors import UserError, unknown

CITYSCAPES = ClassSpace("cityscapes", CLASSES, PALETTE)

# The last output of many networks of the field is a class of their own that is never labelled.
_BACKGROUND = ClassSpace("cityscapes_background", (*CLASSES, "background"), (*PALETTE, (0, 0, 0)))

# SegNet's classes, order and colours (Badrinarayanan et al., TPAMI 2017), as in its tutorial's
# `Scripts/test_segmentation_camvid.py`.
CAMVID = ClassSpace(
    "camvid",
    ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian",
     "bicyclist"),
    ((128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0),
     (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192)),
    void=(11,),
)  # fmt: skip

# `level1Id` of IDD's hierarchy (`helpers/anue_labels.py` of AutoNUE/public-code). The colours are
# those of a typical class of Cityscapes.
IDD_LITE = ClassSpace(
    "idd_lite",
    ("drivable", "non-drivable", "living things", "vehicles", "roadside objects", "far objects",
     "sky"),
    ((128, 64, 128), (244, 35, 232), (220, 20, 60), (0, 0, 142), (153, 153, 153), (70, 70, 70),
     (70, 130, 180)),
)  # fmt: skip

# The categories of `cityscapesScripts`, `helpers/labels.py`, without void. The colours are those of
# a typical class.
CATEGORIES = ClassSpace(
    "cityscapes_categories",
    ("flat", "construction", "object", "nature", "sky", "human", "vehicle"),
    ((128, 64, 128), (70, 70, 70), (153, 153, 153), (107, 142, 35), (70, 130, 180), (220, 20, 60),
     (0, 0, 142)),
)  # fmt: skip

SPACES: Mapping[str, ClassSpace] = {
    space.name: space for space in (CITYSCAPES, _BACKGROUND, CAMVID, IDD_LITE, CATEGORIES)
}

# Network's space and target's space: the classes of each group.
_GROUPS: Mapping[tuple[str, str], Mapping[str, Sequence[str]]] = {
    # SegNet's groups of CamVid's 32 classes, as MathWorks' `camvidPixelLabelIDs` lists them: walls
    # are buildings, traffic lights are signs, trucks, buses and trains are cars, motorcycles count
    # as bicyclists and grass as trees.
    ("cityscapes", "camvid"): {
        "sky": ["sky"], "building": ["building", "wall"], "pole": ["pole"], "road": ["road"],
        "pavement": ["sidewalk"], "tree": ["vegetation", "terrain"],
        "sign": ["traffic light", "traffic sign"], "fence": ["fence"],
        "car": ["car", "truck", "bus", "train"], "pedestrian": ["person"],
        "bicyclist": ["rider", "motorcycle", "bicycle"],
    },
    # csTrainId and level1Id of each class, from one table of IDD's toolkit (`anue_labels.py`).
    ("cityscapes", "idd_lite"): {
        "drivable": ["road"], "non-drivable": ["sidewalk", "terrain"],
        "living things": ["person", "rider"],
        "vehicles": ["car", "truck", "bus", "train", "motorcycle", "bicycle"],
        "roadside objects": ["wall", "fence", "pole", "traffic light", "traffic sign"],
        "far objects": ["building", "vegetation"], "sky": ["sky"],
    },
    # `cityscapesScripts`, `helpers/labels.py`.
    ("cityscapes", "cityscapes_categories"): {
        "flat": ["road", "sidewalk"], "construction": ["building", "wall", "fence"],
        "object": ["pole", "traffic light", "traffic sign"], "nature": ["vegetation", "terrain"],
        "sky": ["sky"], "human": ["person", "rider"],
        "vehicle": ["car", "truck", "bus", "train", "motorcycle", "bicycle"],
    },
    # CamVid's classes through those of Cityscapes, by the two maps above. A class that would belong
    # to several groups is in that of its largest part: trees with grass are far objects, buildings
    # with walls too. Bicyclists, of rider and bicycle, are living things.
    ("camvid", "idd_lite"): {
        "drivable": ["road"], "non-drivable": ["pavement"],
        "living things": ["pedestrian", "bicyclist"], "vehicles": ["car"],
        "roadside objects": ["pole", "sign", "fence"], "far objects": ["building", "tree"],
        "sky": ["sky"],
    },
}  # fmt: skip


def known_outputs(count: int | None) -> tuple[str, ...] | None:
    """Return the classes of a network with a number of outputs that names none; None if unknown.

    Cityscapes for 19 outputs, and with a last "background" for 20.
    """
    found = (one.classes for one in (CITYSCAPES, _BACKGROUND) if len(one) == count)
    return next(found, None)


def space_of(given: Any, where: str = "classes") -> ClassSpace:
    """Return a class space from what a user gives.

    Args:
        given: A space, a name of `SPACES`, a path of a YAML file, or what `parse_space` takes.
        where: The key or option, for messages.

    Raises:
        UserError: It is no space.
    """
    if isinstance(given, ClassSpace):
        return given
    if not isinstance(given, str | os.PathLike):
        return parse_space(given, where)
    if str(given) in SPACES:
        return SPACES[str(given)]
    if str(given).lower().endswith((".yaml", ".yml")):
        return read_space(given)
    raise unknown(f"class space in {where}", str(given), [*SPACES, "FILE.yaml"])


def map_of(given: Any, classes: Sequence[str], target: ClassSpace, where: str = "map") -> ClassMap:
    """Return a map from a network's classes to a target's groups from what a user gives.

    Args:
        given: A map, a path of a YAML file, what `parse_map` takes, or None for the map known by
            name.
        classes: The network's classes.
        target: The target's space.
        where: The key or option, for messages.

    Raises:
        UserError: It is no map, or None is given and no map is known.
    """
    if given is None:
        return known_map(classes, target, where)
    if isinstance(given, ClassMap):
        if given.classes != tuple(classes) or given.groups != target.classes:
            raise UserError(f"{where}: a map of other classes or groups", "give one of these")
        return given
    if isinstance(given, str | os.PathLike):
        return read_map(given, classes, target.classes)
    return parse_map(given, classes, target.classes, where)


def known_map(classes: Sequence[str], target: ClassSpace, where: str = "map") -> ClassMap:
    """Return the map from classes to a target's groups that is known by name.

    Args:
        classes: The network's classes, or those of labels that are read as others.
        target: The target's space. Its own classes are mapped to themselves.
        where: The key or option that gives another map, for messages.

    Raises:
        UserError: None is known; the message names classes that differ.
    """
    names, none = tuple(classes), ()
    if names == target.classes:
        return identity(names)
    if names == _BACKGROUND.classes:
        names, none = CITYSCAPES.classes, ("background",)
    if none and names == target.classes:
        groups = {name: [name] for name in names}
    else:
        source = next((space for space in SPACES.values() if space.classes == names), None)
        groups = _GROUPS.get((source.name, target.name)) if source else None
        if groups is None or SPACES[target.name].classes != target.classes:
            raise _no_map(classes, target, where)
    return parse_map({"groups": groups, "none": none}, classes, target.classes, "map")


def _no_map(classes: Sequence[str], target: ClassSpace, where: str) -> UserError:
    """Return the error that says which classes differ, and what to do."""
    theirs = [name for name in classes if name not in target.classes]
    lacking = [name for name in target.classes if name not in classes]
    parts = [
        f"{word} {', '.join(map(repr, names[:3]))}{', ...' if len(names) > 3 else ''}"
        for word, names in (("has", theirs), ("lacks", lacking))
        if names
    ]
    odd = f"it {' and '.join(parts)}" if parts else "their order differs"
    ours, theirs = f"{len(classes)} classes", f"{target.name} ({len(target)} classes)"
    if where != "map":
        return UserError(f"labels of {ours} read as {theirs}: {odd}", f"give a map by {where}=")
    return UserError(
        f"a network of {ours} for labels of {theirs}: {odd}",
        "give a map by --map FILE, in a config by maps= of its evaluator, or train a head of the "
        "labels' classes",
    )
