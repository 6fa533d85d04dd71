"""Lists the frames of a data set: which scene in which domain, and into which files."""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ibn_seg.errors import UserError, unknown
from ibn_seg.scenes.oddities import ODDITIES
from ibn_seg.scenes.styles import STYLES
from ibn_seg.scenes.variation import KINDS, VARIED, without

# Scenes of the target begin here, so no scene is in two domains. Scenes of its validation split
# begin here, so the number of training frames does not change them.
TARGET_TRAIN_START = 1_000_000
TARGET_VAL_START = 2_000_000
# Scenes rendered in several styles, to compare the styles. No training sees them.
COMPARED_START = 7_000_000
# Scenes of the source `varied`, and the folder that it gets.
VARIED_START = 8_000_000
# Scenes with unknown things on the road.
ODDITIES_START = 9_000_000
CITIES = {"train": "ibnstadt", "val": "normheim"}
# The other targets, in the ACDC layout under its conditions of the same names.
CONDITION_STARTS = {
    "night": {"train": 3_000_000, "val": 4_000_000},
    "fog": {"train": 5_000_000, "val": 6_000_000},
}


@dataclass(frozen=True)
class Frame:
    """One frame to write: what to render, and into which files.

    Attributes:
        domain: A domain of `render.render`.
        index: The scene's index.
        image: Path of the RGB image.
        labels: Paths of the labels by format: 'palette' and 'labelIds' hold raw ids,
            'labelTrainIds' holds trainIds. 'unknown' is the mask of unknown things: 1 on them, 0 on
            the classes, and 255 on other void.
    """

    domain: str
    index: int
    image: Path
    labels: dict[str, Path]

    def complete(self) -> bool:
        """Return whether all of the frame's files are there."""
        return self.image.is_file() and all(path.is_file() for path in self.labels.values())


def gta5_frames(root: str | os.PathLike, count: int, start: int = 1) -> list[Frame]:
    """Return the source frames of a data set in the GTA5 layout.

    Args:
        root: Folder that gets `images/` and `labels/`.
        count: Number of frames.
        start: Number of the first frame; also its scene index.
    """
    root = Path(root)
    _check_count("source_frames", count)
    return [
        Frame(
            "source",
            number,
            root / "images" / f"{number:05}.png",
            {"palette": root / "labels" / f"{number:05}.png"},
        )
        for number in range(start, start + count)
    ]


def varied_frames(root: str | os.PathLike, count: int, domain: str = VARIED) -> list[Frame]:
    """Return the frames of the source `varied`, in the GTA5 layout.

    Args:
        root: Folder that gets `images/` and `labels/`.
        count: Number of frames; a larger number adds frames and keeps the first ones.
        domain: Of `variation.VARIED_DOMAINS`.
    """
    _check_count("varied", count)
    frames = gta5_frames(root, count, start=VARIED_START)
    return [dataclasses.replace(frame, domain=domain) for frame in frames]


def cityscapes_frames(root: str | os.PathLike, split: str, count: int) -> list[Frame]:
    """Return the target frames of one split of a data set in the Cityscapes layout.

    Args:
        root: Folder that gets `leftImg8bit/` and `gtFine/`.
        split: 'train' or 'val'.
        count: Number of frames.
    """
    root = Path(root)
    _check_count(f"target_{split}", count)
    city = CITIES[split]
    start = TARGET_TRAIN_START if split == "train" else TARGET_VAL_START
    frames = []
    for number in range(count):
        stem = f"{city}_{number:06}_000019"
        truth = root / "gtFine" / split / city / f"{stem}_gtFine"
        frames.append(
            Frame(
                "target",
                start + number,
                root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png",
                {
                    "labelIds": Path(f"{truth}_labelIds.png"),
                    "labelTrainIds": Path(f"{truth}_labelTrainIds.png"),
                },
            )
        )
    return frames


def acdc_frames(root: str | os.PathLike, condition: str, split: str, count: int) -> list[Frame]:
    """Return the frames of one split of a condition in the ACDC layout.

    Args:
        root: Folder that gets `rgb_anon/` and `gt/`.
        condition: 'night' or 'fog'.
        split: 'train' or 'val'.
        count: Number of frames.
    """
    root = Path(root)
    _check_count(f"adverse_{split}", count)
    start = CONDITION_STARTS[condition][split]
    frames = []
    for number in range(count):
        name = f"{condition}/{split}/IBN0001/IBN0001_frame_{number:06}"
        label = root / "gt" / f"{name}_gt_labelTrainIds.png"
        image = root / "rgb_anon" / f"{name}_rgb_anon.png"
        frames.append(Frame(condition, start + number, image, {"labelTrainIds": label}))
    return frames


def oddity_frames(root: str | os.PathLike, count: int) -> list[Frame]:
    """Return the frames with unknown things.

    Args:
        root: Folder that gets `images/`, `labels/` and `masks/`.
        count: Number of frames.
    """
    root = Path(root)
    _check_count(ODDITIES, count)
    return [
        Frame(
            ODDITIES,
            ODDITIES_START + number,
            root / "images" / f"{number:06}.png",
            {
                "labelTrainIds": root / "labels" / f"{number:06}.png",
                "unknown": root / "masks" / f"{number:06}.png",
            },
        )
        for number in range(count)
    ]


def pair_frames(
    out_dir: str | os.PathLike,
    source_frames: int,
    target_train: int,
    target_val: int,
    adverse_train: int = 0,
    adverse_val: int = 0,
    varied: int = 0,
    varied_without: Sequence[str] = (),
    oddities: int = 0,
) -> list[Frame]:
    """Return the frames that `write_pair` writes for these numbers.

    Raises:
        UserError: There is no such kind of variation, or no frames of the second source.
    """
    for kind in varied_without:
        if kind not in KINDS:
            raise unknown("kind of variation", kind, KINDS)
    if varied_without and not varied:
        raise UserError("varied_without is given, and varied is 0", "give its number of frames")
    out = Path(out_dir)
    frames = [
        *gta5_frames(out / "gta5", source_frames),
        *cityscapes_frames(out / "cityscapes", "train", target_train),
        *cityscapes_frames(out / "cityscapes", "val", target_val),
    ]
    if adverse_train or adverse_val:
        for condition in CONDITION_STARTS:
            frames += acdc_frames(out / "acdc", condition, "train", adverse_train)
            frames += acdc_frames(out / "acdc", condition, "val", adverse_val)
    for domain in (VARIED, *map(without, varied_without)):
        frames += varied_frames(out / domain, varied, domain)
    return frames + oddity_frames(out / ODDITIES, oddities)


def styled_frames(root: str | os.PathLike, style: str, count: int) -> list[Frame]:
    """Return frames of one style, in the GTA5 layout; every style shows the same scenes.

    Args:
        root: Folder that gets a folder of the style's name.
        style: A key of `ibn_seg.scenes.styles.STYLES`.
        count: Number of frames; a larger number adds frames and keeps the first ones.

    Raises:
        UserError: There is no such style.
    """
    if style not in STYLES:
        raise unknown("style", style, STYLES)
    frames = gta5_frames(Path(root) / style, count, start=COMPARED_START)
    return [dataclasses.replace(frame, domain=style) for frame in frames]


def _check_count(name: str, count: int) -> None:
    """Raise UserError for a negative number of frames."""
    if count < 0:
        raise UserError(f"{name} = {count}", "give 0 or more")
