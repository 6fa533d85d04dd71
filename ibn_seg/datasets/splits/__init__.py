"""Which frames belong to which split: lists of published splits, and our own rule."""

import functools
from collections.abc import Mapping
from pathlib import Path

_FOLDER = Path(__file__).parent
_BLOCK = 50
_PARTS = 5


def is_held_out(frame: int) -> bool:
    """Whether a frame (numbered from 1) is in our held-out fifth.

    Neighbouring frames are nearly the same picture. So whole blocks of 50 are held out, every fifth
    block: 201-250, 451-500, ...
    """
    return (frame - 1) // _BLOCK % _PARTS == _PARTS - 1


@functools.cache
def read_split(name: str) -> frozenset[int]:
    """Return the frame numbers of a split, from the runs FIRST-LAST in its text file.

    Args:
        name: 'gta5_train', 'gta5_val', 'gta5_test' (the official split of 24,966 frames) or
            'synthia_robustnet_val' (RobustNet's random split of 9,400 frames).
    """
    frames: set[int] = set()
    for line in (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            first, _, last = line.partition("-")
            frames.update(range(int(first), int(last or first) + 1))
    return frozenset(frames)


@functools.cache
def camvid_frames() -> Mapping[str, tuple[str, str]]:
    """Return SegNet's split and our part of each of CamVid's 701 labelled frames."""
    lines = (_FOLDER / "camvid_frames.txt").read_text(encoding="utf-8").splitlines()
    rows = (line.split() for line in lines if not line.startswith("#"))
    return {name: (split, part) for name, split, part in rows}
