"""Cityscapes raw ids of what the renderer draws."""

from ibn_seg.datasets.labels import LABELS

_RAW_IDS = {label.name: label.raw_id for label in LABELS}

DYNAMIC = _RAW_IDS["dynamic"]
STATIC = _RAW_IDS["static"]
EGO_VEHICLE = _RAW_IDS["ego vehicle"]
ROAD = _RAW_IDS["road"]
SIDEWALK = _RAW_IDS["sidewalk"]
BUILDING = _RAW_IDS["building"]
WALL = _RAW_IDS["wall"]
FENCE = _RAW_IDS["fence"]
POLE = _RAW_IDS["pole"]
TRAFFIC_LIGHT = _RAW_IDS["traffic light"]
TRAFFIC_SIGN = _RAW_IDS["traffic sign"]
VEGETATION = _RAW_IDS["vegetation"]
TERRAIN = _RAW_IDS["terrain"]
SKY = _RAW_IDS["sky"]
PERSON = _RAW_IDS["person"]
RIDER = _RAW_IDS["rider"]
CAR = _RAW_IDS["car"]
TRUCK = _RAW_IDS["truck"]
BUS = _RAW_IDS["bus"]
TRAIN = _RAW_IDS["train"]
MOTORCYCLE = _RAW_IDS["motorcycle"]
BICYCLE = _RAW_IDS["bicycle"]
