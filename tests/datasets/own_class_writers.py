"""Tiny copies of data sets with classes of their own, as `tests.datasets.writers` makes them."""

from pathlib import Path

import numpy as np

from tests.datasets.samples import IGNORED, Expected, samples, write_jpeg
from tests.helpers import image_for, write_image, write_palette

# CamVid's 32 classes in their files' order: name, colour, and place among SegNet's 11.
CAMVID_32 = (
    ("Animal", (64, 128, 64), 9), ("Archway", (192, 0, 128), 1), ("Bicyclist", (0, 128, 192), 10),
    ("Bridge", (0, 128, 64), 1), ("Building", (128, 0, 0), 1), ("Car", (64, 0, 128), 8),
    ("CartLuggagePram", (64, 0, 192), 9), ("Child", (192, 128, 64), 9),
    ("Column_Pole", (192, 192, 128), 2), ("Fence", (64, 64, 128), 7),
    ("LaneMkgsDriv", (128, 0, 192), 3), ("LaneMkgsNonDriv", (192, 0, 64), 3),
    ("Misc_Text", (128, 128, 64), 6), ("MotorcycleScooter", (192, 0, 192), 10),
    ("OtherMoving", (128, 64, 64), 8), ("ParkingBlock", (64, 192, 128), 4),
    ("Pedestrian", (64, 64, 0), 9), ("Road", (128, 64, 128), 3),
    ("RoadShoulder", (128, 128, 192), 4), ("Sidewalk", (0, 0, 192), 4),
    ("SignSymbol", (192, 128, 128), 6), ("Sky", (128, 128, 128), 0),
    ("SUVPickupTruck", (64, 128, 192), 8), ("TrafficCone", (0, 0, 64), 2),
    ("TrafficLight", (0, 64, 64), 6), ("Train", (192, 64, 128), 8), ("Tree", (128, 128, 0), 5),
    ("Truck_Bus", (192, 128, 192), 8), ("Tunnel", (64, 0, 64), 1),
    ("VegetationMisc", (192, 192, 0), 5), ("Void", (0, 0, 0), IGNORED), ("Wall", (64, 192, 0), 1),
)  # fmt: skip
# Frames of SegNet's train, val and test; dusk, day and day.
CAMVID_FRAMES = {"train": "0001TP_006690", "val": "0016E5_08039", "test": "Seq05VD_f00000"}
# A space of one's own: name, colour and values of each class. 250 and black are void.
YARD = (
    ("grass", (20, 200, 40), (3,)),
    ("path", (120, 90, 60), (7, 8)),
    ("wall", (9, 9, 200), (0,)),
)

# The classes of a yard as a config gives them.
YARD_CLASSES = {
    "name": "yard",
    "classes": [
        {"name": name, "color": list(color), "values": list(values)} for name, color, values in YARD
    ],
    "void": [250],
    "void_colors": [[0, 0, 0]],
}


def camvid_segnet(root: Path) -> Expected:
    """SegNet's copy: grey labels of 11 classes beside each split, void is 11."""
    expected = {}
    for (split, name), (rng, classes) in zip(CAMVID_FRAMES.items(), samples(11, 11), strict=True):
        write_image(root / split / f"{name}.png", image_for(classes, rng))
        label = np.where(classes == IGNORED, 11, classes).astype(np.uint8)
        write_image(root / f"{split}annot" / f"{name}.png", label)
        # The list of the original holds paths of its authors' machine.
        (root / f"{split}.txt").write_text(f"/SegNet/{split}/{name}.png /SegNet/x/{name}.png\n")
        expected[f"{split}/{name}.png"] = classes
    return expected


def _members(classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return places in `CAMVID_32` for classes, any member of each."""
    members = np.zeros(classes.shape, np.uint8)
    for one in np.unique(classes):
        places = [at for at, (_, _, group) in enumerate(CAMVID_32) if group == one]
        members[classes == one] = rng.choice(places, int((classes == one).sum()))
    return members


def camvid_original(root: Path) -> Expected:
    """The original: labels of 32 colours, and frames without a label."""
    expected, colors = {}, np.array([color for _, color, _ in CAMVID_32], np.uint8)
    for name, (rng, classes) in zip(CAMVID_FRAMES.values(), samples(12, 11), strict=True):
        image = f"701_StillsRaw_full/{name}.png"
        write_image(root / image, image_for(classes, rng))
        label = colors[_members(classes, rng)]
        write_image(root / "LabeledApproved_full" / f"{name}_L.png", label)
        expected[image] = classes
    write_image(root / "701_StillsRaw_full" / "0001TP_000001.png", image_for(classes, rng))
    rows = (f"{r} {g} {b}\t{'' if at % 2 else chr(9)}{name}"
            for at, (name, (r, g, b), _) in enumerate(CAMVID_32))  # fmt: skip
    (root / "label_colors.txt").write_text("\r\n".join(rows) + "\r\n")
    return expected


def camvid_fastai(root: Path) -> Expected:
    """The copy of fast.ai: labels of 32 indices, and `codes.txt`."""
    expected = {}
    for name, (rng, classes) in zip(CAMVID_FRAMES.values(), samples(13, 11), strict=True):
        write_image(root / "images" / f"{name}.png", image_for(classes, rng))
        write_palette(root / "labels" / f"{name}_P.png", _members(classes, rng))
        expected[f"images/{name}.png"] = classes
    (root / "codes.txt").write_text("\n".join(name for name, *_ in CAMVID_32) + "\n")
    return expected


def idd_lite(root: Path) -> Expected:
    """`DRIVE/ID_image.jpg`, with labels of instances beside; one name in two drives."""
    expected = {}
    for index, (rng, classes) in enumerate(samples(14, 7)):
        drive, name = ((120, "024541"), (121, "024541"), (121, "frame7"))[index]
        image = f"leftImg8bit/val/{drive}/{name}_image.jpg"
        write_jpeg(root / image, image_for(classes, rng))
        stem = root / "gtFine" / "val" / str(drive) / name
        write_image(Path(f"{stem}_label.png"), classes)
        write_image(Path(f"{stem}_inst_label.png"), classes // 2)
        expected[image] = classes
    return expected


def folder_of_values(root: Path) -> Expected:
    """A folder of one's own: values of classes, suffixes that differ."""
    expected = {}
    for index, (rng, classes) in enumerate(samples(16, len(YARD))):
        image = f"photos/day{index % 2}/{index}.{('jpg', 'png')[index % 2]}"
        write = (write_jpeg, write_image)[index % 2]
        write(root / image, image_for(classes, rng))
        label = np.full(classes.shape, 250, np.uint8)
        for at, (_, _, values) in enumerate(YARD):
            label[classes == at] = rng.choice(values, int((classes == at).sum()))
        write_image(root / "masks" / f"day{index % 2}" / f"{index}_mask.png", label)
        expected[image] = classes
    return expected


def folder_of_colors(root: Path) -> Expected:
    """A folder of one's own: labels in colours, black is void."""
    expected, colors = {}, np.zeros((256, 3), np.uint8)
    colors[: len(YARD)] = [color for _, color, _ in YARD]
    for index, (rng, classes) in enumerate(samples(17, len(YARD))):
        write_image(root / "images" / f"{index}.png", image_for(classes, rng))
        write_image(root / "labels" / f"{index}.png", colors[classes])
        expected[f"images/{index}.png"] = classes
    return expected
