"""Tables of label values, and the classes of Cityscapes; needs numpy only.

Names, ids and colours are from Cityscapes (Cordts et al., CVPR 2016), as in `cityscapesScripts`,
`helpers/labels.py`. GTA5 (Richter et al., ECCV 2016) uses the same raw ids, stored as the indices
of palette PNGs.

*raw id*: the value in the official label files, 0..33. *trainId*: the class that networks are
trained on and scored by, 0..18, with 255 for ignored pixels.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ibn_seg.datasets.class_space import IGNORE_INDEX, ClassSpace


@dataclass(frozen=True)
class Label:
    """One row of the table.

    Args:
        name: The class's name.
        train_id: 0..18, or 255 if training and scoring ignore it.
        raw_id: 0..33, the value in `*_labelIds.png` and in GTA5's palette PNGs.
        color: RGB, 0..255 each.
    """

    name: str
    train_id: int
    raw_id: int
    color: tuple[int, int, int]


# The table's raw id -1 (license plate) is left out. The official rasteriser skips negative ids, so
# no 8-bit label file holds it.
LABELS: tuple[Label, ...] = (
    Label("unlabeled", 255, 0, (0, 0, 0)),
    Label("ego vehicle", 255, 1, (0, 0, 0)),
    Label("rectification border", 255, 2, (0, 0, 0)),
    Label("out of roi", 255, 3, (0, 0, 0)),
    Label("static", 255, 4, (0, 0, 0)),
    Label("dynamic", 255, 5, (111, 74, 0)),
    Label("ground", 255, 6, (81, 0, 81)),
    Label("road", 0, 7, (128, 64, 128)),
    Label("sidewalk", 1, 8, (244, 35, 232)),
    Label("parking", 255, 9, (250, 170, 160)),
    Label("rail track", 255, 10, (230, 150, 140)),
    Label("building", 2, 11, (70, 70, 70)),
    Label("wall", 3, 12, (102, 102, 156)),
    Label("fence", 4, 13, (190, 153, 153)),
    Label("guard rail", 255, 14, (180, 165, 180)),
    Label("bridge", 255, 15, (150, 100, 100)),
    Label("tunnel", 255, 16, (150, 120, 90)),
    Label("pole", 5, 17, (153, 153, 153)),
    Label("polegroup", 255, 18, (153, 153, 153)),
    Label("traffic light", 6, 19, (250, 170, 30)),
    Label("traffic sign", 7, 20, (220, 220, 0)),
    Label("vegetation", 8, 21, (107, 142, 35)),
    Label("terrain", 9, 22, (152, 251, 152)),
    Label("sky", 10, 23, (70, 130, 180)),
    Label("person", 11, 24, (220, 20, 60)),
    Label("rider", 12, 25, (255, 0, 0)),
    Label("car", 13, 26, (0, 0, 142)),
    Label("truck", 14, 27, (0, 0, 70)),
    Label("bus", 15, 28, (0, 60, 100)),
    Label("caravan", 255, 29, (0, 0, 90)),
    Label("trailer", 255, 30, (0, 0, 110)),
    Label("train", 16, 31, (0, 80, 100)),
    Label("motorcycle", 17, 32, (0, 0, 230)),
    Label("bicycle", 18, 33, (119, 11, 32)),
)

_CLASS_LABELS = tuple(
    sorted((label for label in LABELS if label.train_id != IGNORE_INDEX), key=lambda x: x.train_id)
)
CLASSES: tuple[str, ...] = tuple(label.name for label in _CLASS_LABELS)
PALETTE: tuple[tuple[int, int, int], ...] = tuple(label.color for label in _CLASS_LABELS)
NUM_CLASSES = len(CLASSES)


@dataclass(frozen=True, eq=False)
class LabelTable:
    """How the values of an 8-bit label file become trainIds.

    Args:
        kind: The kind of values, for messages ("raw id").
        allowed: The allowed values in words, for messages ("0..33").
        train_ids: (256,) uint8, the trainId of each value, read-only.
        known: (256,) bool, which values may occur, read-only.
        encoding: How the file holds the values; a key of `formats.READERS`.
        classes: The number of classes, C: the trainIds are 0..C-1 and 255.
        colors: For the encoding 'colors': (V, 3) uint8 RGB of the values 0..V-1.
    """

    kind: str
    allowed: str
    train_ids: np.ndarray
    known: np.ndarray
    encoding: str = "index"
    classes: int = NUM_CLASSES
    colors: np.ndarray | None = None


def label_table(
    kind: str,
    allowed: str,
    train_id_of: Mapping[int, int],
    *,
    others_ignored: bool = False,
    encoding: str = "index",
) -> LabelTable:
    """Build the lookup table of one kind of label files.

    Args:
        kind: The kind of values, for messages.
        allowed: The allowed values in words, for messages.
        train_id_of: The trainId of each known value; both 0..255.
        others_ignored: Whether values outside `train_id_of` are ignored. If not, they are an error
            in the file.
        encoding: How the file holds the values; a key of `formats.READERS`.
    """
    train_ids = np.full(256, IGNORE_INDEX, np.uint8)
    known = np.full(256, others_ignored)
    for value, train_id in train_id_of.items():
        train_ids[value] = train_id
        known[value] = True
    train_ids.setflags(write=False)
    known.setflags(write=False)
    return LabelTable(kind, allowed, train_ids, known, encoding)


def grouped_table(
    kind: str, classes: Mapping[int, Iterable[int]], count: int, encoding: str = "index"
) -> LabelTable:
    """Build the lookup table of label files that hold more kinds of things than there are classes.

    Args:
        kind: The kind of values, for messages.
        classes: The values of each trainId. Other values are ignored.
        count: The files hold 0..count-1; further values are an error in the file.
        encoding: How the file holds the values; a key of `formats.READERS`.
    """
    train_ids = dict.fromkeys(range(count), IGNORE_INDEX)
    for train_id, ids in classes.items():
        train_ids |= dict.fromkeys(ids, train_id)
    return label_table(kind, f"0..{count - 1}", train_ids, encoding=encoding)


def space_table(space: ClassSpace) -> LabelTable:
    """Return the table of label files that hold the values of a class space.

    A value of a class becomes the class's index, a void value 255, and any other is an error.
    """
    index_of = {value: at for at, values in enumerate(space.values) for value in values}
    allowed = _ranges(sorted({*index_of, *space.void}))
    table = label_table(
        f"label value of {space.name}", allowed, {**index_of, **dict.fromkeys(space.void, 255)}
    )
    return dataclasses.replace(table, classes=len(space))


def color_table(space: ClassSpace) -> LabelTable:
    """Return the table of label files that show each class in its colour.

    A colour of a class becomes the class's index, a void colour 255, and any other is an error.
    """
    count = len(space) + len(space.void_colors)
    voids = dict.fromkeys(range(len(space), count), IGNORE_INDEX)
    table = label_table(
        f"colour of {space.name}",
        "the colours of the classes and of void",
        {**{at: at for at in range(len(space))}, **voids},
        encoding="colors",
    )
    colors = np.array([*space.palette, *space.void_colors], np.uint8)
    colors.setflags(write=False)
    return dataclasses.replace(table, classes=len(space), colors=colors)


def _ranges(values: Sequence[int]) -> str:
    """Return numbers in words, such as '0..10 and 255'."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    parts = [str(low) if low == high else f"{low}..{high}" for low, high in runs]
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


_RAW_TO_TRAIN = {label.raw_id: label.train_id for label in LABELS}

CITYSCAPES_RAW_IDS = label_table("Cityscapes raw id", "0..33", _RAW_TO_TRAIN)
# GTA5's files hold at least one more id (34, license plate), and nobody has published them all.
GTA5_RAW_IDS = label_table("GTA5 raw id", "0..255", _RAW_TO_TRAIN, others_ignored=True)
TRAIN_IDS = label_table(
    "trainId", "0..18 and 255", {**{i: i for i in range(NUM_CLASSES)}, IGNORE_INDEX: IGNORE_INDEX}
)


def train_to_raw_ids(train_ids: np.ndarray) -> np.ndarray:
    """Return the raw ids of trainIds, as the Cityscapes test server wants them.

    Args:
        train_ids: uint8 array of any shape; 255 and any value above 18 become 0 (unlabeled).

    Returns:
        A uint8 array of the same shape.
    """
    raw_ids = np.zeros(256, np.uint8)
    raw_ids[:NUM_CLASSES] = [label.raw_id for label in _CLASS_LABELS]
    return raw_ids[train_ids]


def raw_id_palette() -> np.ndarray:
    """Return the (256, 3) uint8 RGB palette for label PNGs with raw ids."""
    colors = np.zeros((256, 3), np.uint8)
    colors[: len(LABELS)] = [label.color for label in LABELS]
    return colors
