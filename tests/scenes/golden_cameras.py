"""Hashes of pictures of the camera networks, so that no change of them goes unnoticed.

`python -m tests.scenes.golden_cameras` (from the repository root) writes `golden_cameras.json`
anew. Do that only when they are meant to change: published numbers belong to those of their time.
"""

import hashlib
from pathlib import Path

from ibn_seg.io import read_json, write_json
from ibn_seg.scenes.camera_networks.cast import NETWORKS, CastPlan, cast
from ibn_seg.scenes.camera_networks.write_networks import crops
from tests.scenes.golden import digest

FILE = Path(__file__).with_name("golden_cameras.json")
# Each part of the set, all cameras, occluders among them.
EVERY = 331


def current() -> dict[str, dict[str, str]]:
    """Return the hash of all names, and of every 331st picture as drawn now."""
    found = {}
    for network in NETWORKS:
        listed = list(cast(network, 0, CastPlan()))
        chosen = listed[::EVERY]
        names = "\n".join(name for name, _ in listed)
        found[network] = {"names": hashlib.sha256(names.encode()).hexdigest()}
        pictures = crops(network, [sighting for _, sighting in chosen])
        found[network] |= {
            name: digest(picture) for (name, _), picture in zip(chosen, pictures, strict=True)
        }
    return found


def stored() -> dict[str, dict[str, str]]:
    """Return the stored hashes."""
    return read_json(FILE)


if __name__ == "__main__":
    write_json(FILE, current())
