"""Writes camera networks as data sets on disk, in Market-1501's layout."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from ibn_seg.errors import UserError, unknown
from ibn_seg.io import write_bytes
from ibn_seg.scenes.camera_networks.cast import FOLDERS, NETWORKS, CastPlan, cast
from ibn_seg.scenes.camera_networks.fixed_camera import FixedCamera
from ibn_seg.scenes.camera_networks.sightings import Sighting, draw_sighting
from ibn_seg.scenes.write import RENDERER_VERSION, claim_folder

_QUALITY = 95
# Windows leaves these among pictures. Market-1501's folders have them, so ours do.
_THUMBS = "Thumbs.db"


def crops(network: str, pictures: Sequence[Sighting], seed: int = 0) -> list[np.ndarray]:
    """Return the pictures of sightings, each (128, 64, 3) uint8 RGB.

    Args:
        network: 'source' or 'target'.
        pictures: What to draw.
        seed: Chooses streets, people and all else.

    Raises:
        UserError: The network is unknown.
    """
    if network not in NETWORKS:
        raise unknown("camera network", network, NETWORKS)
    camera = cache(lambda number: FixedCamera(network, number, seed))
    return [draw_sighting(camera(one.camera), one, f"{network}/{seed}") for one in pictures]


def write_camera_networks(
    out_dir: str | os.PathLike,
    plan: CastPlan | None = None,
    *,
    networks: Sequence[str] = NETWORKS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Path]:
    """Write camera networks, each as a folder in Market-1501's layout.

    A repeated call resumes an interrupted one and leaves a complete folder alone.

    Args:
        out_dir: Where to write.
        plan: The size of each network; default 200 people for training and 150 for the search.
        networks: 'source', 'target' or both.
        seed: Chooses streets, people and all else.
        progress: Called with (pictures done, pictures in all).

    Returns:
        The folder of each network.

    Raises:
        UserError: A number out of range, or the folder holds people of other parameters.
        EnvError: The folder cannot be written, or the disk is full.
    """
    out, plan = Path(out_dir), plan or CastPlan()
    plan.check()
    if seed < 0:
        raise UserError(f"seed = {seed}", "give 0 or more")
    for network in networks:
        if network not in NETWORKS:
            raise unknown("camera network", network, NETWORKS)
    parameters = {"renderer": RENDERER_VERSION, "seed": seed, **asdict(plan)}
    claim_folder(out, out / "cameras.json", parameters)
    lists = {network: list(cast(network, seed, plan)) for network in networks}
    done, everything = 0, sum(map(len, lists.values()))
    for network, pictures in lists.items():
        root = out / network
        camera = cache(lambda number, network=network: FixedCamera(network, number, seed))
        for folder in FOLDERS:
            write_bytes(root / folder / _THUMBS, b"")
        for name, sighting in pictures:
            if not (root / name).is_file():
                crop = draw_sighting(camera(sighting.camera), sighting, f"{network}/{seed}")
                write_bytes(root / name, _encoded(crop))
            done += 1
            if progress:
                progress(done, everything)
    return {network: out / network for network in networks}


def _encoded(crop: np.ndarray) -> bytes:
    """Return a crop as a JPEG file."""
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), options)
    return encoded.tobytes()
