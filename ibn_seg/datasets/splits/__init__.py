"""Lists of frames that belong to published splits."""

from pathlib import Path

_FOLDER = Path(__file__).parent


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
