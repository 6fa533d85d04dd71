"""Hashes of rendered frames, so that no change of the scenes goes unnoticed.

`python -m tests.scenes.golden` (from the repository root) writes `golden.json` anew. Do that only
when the scenes are meant to change: every published number belongs to the scenes of its time.
"""

import hashlib
from pathlib import Path

import numpy as np

from ibn_seg.io import read_json, write_json
from ibn_seg.scenes import render
from ibn_seg.scenes.variation import KINDS

FILE = Path(__file__).with_name("golden.json")
# All domains, other seeds, and sizes that are not the default.
FRAMES = (
    ("source", 1, 0, (256, 128)),
    ("source", 2, 0, (256, 128)),
    ("source", 77, 0, (256, 128)),
    ("source", 5, 1, (256, 128)),
    ("source", 9, 0, (479, 263)),
    ("target", 1_000_000, 0, (256, 128)),
    ("target", 2_000_000, 0, (256, 128)),
    ("target", 2_000_031, 0, (256, 128)),
    ("target", 2_000_005, 1, (256, 128)),
    ("target", 2_000_009, 0, (512, 256)),
    ("night", 3_000_000, 0, (256, 128)),
    ("night", 4_000_002, 1, (479, 263)),
    ("fog", 5_000_000, 0, (256, 128)),
    ("fog", 6_000_002, 1, (479, 263)),
    ("oddities", 9_000_000, 0, (256, 128)),
    ("oddities", 9_000_031, 1, (256, 128)),
    ("oddities", 9_000_099, 1, (479, 263)),
    # Frozen before any network trained on it was scored on CamVid's test split or on IDD-Lite.
    ("varied", 8_000_000, 1, (256, 128)),
    ("varied", 8_000_057, 1, (256, 128)),
    ("varied", 8_000_433, 1, (256, 128)),
    ("varied", 8_001_499, 1, (256, 128)),
    ("varied", 8_000_009, 0, (479, 263)),
    *((f"varied_without_{kind}", 8_000_057, 1, (256, 128)) for kind in KINDS),
)


def digest(array: np.ndarray) -> str:
    """Return the SHA-256 of an array's pixels (not of a file, which depends on the compressor)."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def current() -> dict[str, dict[str, str]]:
    """Return the hashes of image and label of each frame as rendered now."""
    found = {}
    for domain, index, seed, size in FRAMES:
        image, label = render(domain, index, seed=seed, size=size)
        name = f"{domain}/{index}/seed{seed}/{size[0]}x{size[1]}"
        found[name] = {"image": digest(image), "label": digest(label)}
    return found


def stored() -> dict[str, dict[str, str]]:
    """Return the stored hashes."""
    return read_json(FILE)


if __name__ == "__main__":
    write_json(FILE, current())
