"""Map the values in each data set's label files to the 19 trainIds; needs numpy only.

Cityscapes' and GTA5's own ids are in `labels`. Every table here is written as *trainId: ids*;
unlisted ids are ignored. Files that already hold trainIds (BDD100K, ACDC, Dark Zurich) are read
with `labels.TRAIN_IDS`.
"""

from collections.abc import Iterable, Mapping

from ibn_seg.datasets.labels import IGNORE_INDEX, NUM_CLASSES, LabelTable, label_table


def _table(
    kind: str, classes: Mapping[int, Iterable[int]], count: int, encoding: str = "index"
) -> LabelTable:
    """Return the table of a data set whose files hold 0..count-1."""
    train_ids = dict.fromkeys(range(count), IGNORE_INDEX)
    for train_id, ids in classes.items():
        train_ids |= dict.fromkeys(ids, train_id)
    return label_table(kind, f"0..{count - 1}", train_ids, encoding=encoding)


# SYNTHIA-RAND-CITYSCAPES (Ros et al., CVPR 2016), as in the code of RobustNet and of DAFormer,
# which agree. Terrain (16), truck (18) and train (20) do not occur. Lane marking (22) is ignored.
SYNTHIA_IDS = _table(
    "SYNTHIA id",
    {
        0: [3], 1: [4], 2: [2], 3: [21], 4: [5], 5: [7], 6: [15], 7: [9], 8: [6], 9: [16], 10: [1],
        11: [10], 12: [17], 13: [8], 14: [18], 15: [19], 16: [20], 17: [12], 18: [11],
    },
    23,
    encoding="first channel of 16 bits",
)  # fmt: skip

# UrbanSyn (Gomez et al., arXiv:2312.12176): trainIds, and 19 for unlabelled, as in a public loader.
# The data card's table was not seen, so larger values are ignored too.
URBANSYN_IDS = label_table(
    "UrbanSyn id", "0..255", {i: i for i in range(NUM_CLASSES)}, others_ignored=True
)

# Mapillary Vistas v1.2 (Neuhold et al., ICCV 2017), 66 ids. Two maps are in use and differ in 11
# ids, so a result has to name its map.
_MAPILLARY_12 = {
    0: [13, 24],  # road, lane marking - general
    1: [2, 15],  # curb, sidewalk
    2: [17],  # building
    3: [6],  # wall
    4: [3],  # fence
    5: [45, 47],  # pole, utility pole
    6: [48],  # traffic light
    7: [50],  # traffic sign (front)
    8: [30],  # vegetation
    9: [29],  # terrain
    10: [27],  # sky
    11: [19],  # person
    12: [20, 21, 22],  # bicyclist, motorcyclist, other rider
    13: [55],  # car
    14: [61],  # truck
    15: [54],  # bus
    16: [58],  # on rails
    17: [57],  # motorcycle
    18: [52],  # bicycle
}


def _extended(
    classes: Mapping[int, Iterable[int]], more: Mapping[int, Iterable[int]]
) -> dict[int, list[int]]:
    return {train_id: [*ids, *more.get(train_id, ())] for train_id, ids in classes.items()}


# RobustNet's and HRDA's map: with manhole (41) as road.
MAPILLARY_12_ROBUSTNET = _table("Mapillary v1.2 id", _extended(_MAPILLARY_12, {0: [41]}), 66)
# Rein's map, by the names of openseg.pytorch. Road includes bike lane (7), plain crosswalk (8),
# parking (10), service lane (14) and crosswalk marking (23). Sidewalk includes curb cut (9) and
# pedestrian area (11). Pole includes street light (44). Traffic sign includes sign frame (46) and
# sign back (49).
MAPILLARY_12_REIN = _table(
    "Mapillary v1.2 id",
    _extended(_MAPILLARY_12, {0: [7, 8, 10, 14, 23], 1: [9, 11], 5: [44], 7: [46, 49]}),
    66,
)

# Mapillary Vistas v2.0, 124 ids. We know of no published map to the 19 classes, so this one is
# ours. Classes that kept their names follow RobustNet's map. Where v2.0 divides a class of v1.2,
# the parts get that class. Roadside strips, medians, driveways and groups of vehicles are ignored.
MAPILLARY_20 = _table(
    "Mapillary v2.0 id",
    {
        0: [21, *range(35, 45), *range(46, 56), 57, 58, 74],  # road, markings, manhole
        1: [4, 24],  # curb, sidewalk
        2: [27, 28],  # building, garage
        3: [12],  # wall
        4: [5],  # fence
        5: [85, 88],  # pole, utility pole
        6: [*range(90, 96)],  # traffic lights
        7: [99, 100, 101, 103],  # traffic signs that show their front
        8: [64],  # vegetation
        9: [63],  # terrain
        10: [61],  # sky
        11: [30, 31],  # person, person group
        12: [32, 33, 34],  # bicyclist, motorcyclist, other rider
        13: [108],  # car
        14: [114],  # truck
        15: [107],  # bus
        16: [111],  # on rails
        17: [110],  # motorcycle
        18: [105],  # bicycle
    },
    124,
)

# IDD (Varma et al., WACV 2019): trainIds as its toolkit makes them (`createLabels.py --id-type
# csTrainId`). IDD has no terrain; the toolkit gives its trainId to "non-drivable fallback". Some
# papers ignore that class instead.
IDD_TRAIN_IDS = label_table(
    "IDD csTrainId", "0..18 and 255", {**{i: i for i in range(NUM_CLASSES)}, 255: IGNORE_INDEX}
)
IDD_WITHOUT_FALLBACK = label_table(
    "IDD csTrainId",
    "0..18 and 255",
    {**{i: i for i in range(NUM_CLASSES)}, 9: IGNORE_INDEX, 255: IGNORE_INDEX},
)

# WildDash 2 (Zendel et al., CVPR 2022), ids 0..80, through the Cityscapes names of the authors'
# unified label policy (wilddash_scripts, wd2_unified_label_policy.json). Cityscapes' own table
# would ignore vans, pickups, motorcyclists and road markings.
_WILDDASH = {
    0: [7, 38, 41, 43, 61, 64, 70, 74, 75, 76, 79],  # road, its markings, manholes, crosswalks, ...
    1: [8, 52, 65, 77, 80],  # sidewalk, curb, bike lane and manhole on it, curb cut
    2: [11],
    3: [12, 56],  # wall, other barrier
    4: [13],
    5: [17, 45, 46],  # pole, traffic sign frame, utility pole
    6: [19],
    7: [20],
    8: [21],
    9: [22, 78],  # terrain, curb terrain
    10: [23],
    11: [24],
    12: [25, 47, 48, 49],  # rider, motorcyclist, bicyclist, other rider
    13: [26, 35],  # car, van
    14: [27, 34],  # truck, pickup
    15: [28],
    16: [31],
    17: [32, 58],  # motorcycle, autorickshaw
    18: [33],
}
WILDDASH_IDS = _table("WildDash id", _WILDDASH, 81)
# The current package holds segment numbers, which `panoptic.json` maps to the same ids.
WILDDASH_SEGMENTS = _table("WildDash id", _WILDDASH, 81, encoding="panoptic")
