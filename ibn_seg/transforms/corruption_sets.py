"""Which corruptions belong together: sets by name, and the protocols of published tables.

"Cityscapes-C" is no single thing. Four published tables use four protocols, so a table names its
own. All are of networks trained on Cityscapes, on pictures of 2048x1024. Another network's numbers
do not belong beside them.
"""

import os
from collections.abc import Iterable, Mapping

import numpy as np

from ibn_seg.errors import UserError, unknown
from ibn_seg.transforms.corruptions import (
    CORRUPTIONS,
    SEVERITIES,
    check_severities,
    corrupt,
    each_once,
    generator,
    picture_seed,
)
from ibn_seg.transforms.imagenet_c.draws_and_filters import Draws
from ibn_seg.transforms.imagenet_c.strengths import (
    COMMON,
    EXTRA,
    NOISES,
    PUBLISHED,
    corrupt_as_published,
)
from ibn_seg.transforms.imagenet_c.weathers import frost_folder

# ImageNet-C's corruptions have this before their name: ours of the same name are others.
PREFIX = "imagenet_c."
FROST = f"{PREFIX}frost"
NAMES = (*CORRUPTIONS, *(PREFIX + name for name in PUBLISHED))
# Sets of names; the severities are free.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "ours": tuple(CORRUPTIONS),
    "imagenet_c": tuple(PREFIX + name for name in COMMON),
    "imagenet_c_extra": tuple(PREFIX + name for name in EXTRA),
}
Conditions = tuple[tuple[str, int], ...]
# SegFormer counts 16: the 19 without those that move content or repeat its neighbours.
_SIXTEEN = tuple(
    name for name in PUBLISHED if name not in ("zoom_blur", "elastic_transform", "pixelate")
)


def _conditions(names: Iterable[str], severities: Iterable[int] = SEVERITIES) -> Conditions:
    return tuple((PREFIX + name, severity) for name in names for severity in severities)


# Sets of names with their severities, in the words of the tables that use them.
PROTOCOLS: Mapping[str, Conditions] = {
    # Michaelis et al., 1907.07484: 15 corruptions in 5 severities.
    "michaelis": _conditions(COMMON),
    # SegFormer, NVlabs/SegFormer issues 31 and 71: 16, the noises in 3 severities only.
    "segformer": tuple(
        pair
        for name in _SIXTEEN
        for pair in _conditions([name], SEVERITIES[:3] if name in NOISES else SEVERITIES)
    ),
    # HGFormer's model zoo: the same 16 at severity 5.
    "hgformer": _conditions(_SIXTEEN, [5]),
    # SemSegBench publishes severity 3. Its own pictures are resized before and in BGR; not here.
    "semsegbench": _conditions(COMMON, [3]),
}


def planned_conditions(
    names: Iterable[str], severities: Iterable[int] = (), frost: str | os.PathLike | None = None
) -> Conditions:
    """Return the pairs of corruption and severity that names and severities stand for.

    Args:
        names: Corruptions (`NAMES`) and sets of them (`GROUPS`), or one protocol (`PROTOCOLS`).
            Default: the set `ours`.
        severities: From 1 to 5; default all. A protocol has its own.
        frost: The folder of the pictures of frost; default that of the environment.

    Raises:
        UserError: A name or severity is wrong or given twice. Or a protocol is not alone. Or frost
            is among them, and its pictures are nowhere.
    """
    names, severities = tuple(names) or ("ours",), tuple(severities)
    found = _of_protocol(names, severities)
    if found is None:
        grades = check_severities(severities)
        found = tuple((name, grade) for name in _flat(names) for grade in grades)
    if any(name == FROST for name, _ in found):
        frost_folder(frost)
    return found


def _of_protocol(names: tuple[str, ...], severities: tuple[int, ...]) -> Conditions | None:
    """Return the conditions of a protocol, or None if no name is one."""
    protocol = next((name for name in names if name in PROTOCOLS), None)
    if protocol is None:
        return None
    if len(names) > 1:
        raise UserError(f"corruptions {', '.join(names)}", f"the protocol {protocol} stands alone")
    if severities:
        raise UserError(f"the protocol {protocol} has its own severities", "give none")
    return PROTOCOLS[protocol]


def _flat(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names with those of each group in its place."""
    for name in names:
        if name in PUBLISHED and name not in CORRUPTIONS:
            raise UserError(f"unknown corruption {name!r}", f"write {PREFIX}{name}")
        if name not in NAMES and name not in GROUPS:
            raise unknown("corruption", name, (*GROUPS, *PROTOCOLS, *NAMES))
    return each_once("corruptions", tuple(n for name in names for n in GROUPS.get(name, (name,))))


def corrupted(
    image: np.ndarray,
    name: str,
    severity: int,
    *,
    seed: int,
    picture: str,
    frost: str | None = None,
) -> np.ndarray:
    """Return a picture under one corruption; random parts depend on seed, name and picture alone.

    Args:
        image: (H, W, 3) uint8 RGB, not changed.
        name: One of `NAMES`.
        severity: 1 to 5.
        seed: Chooses the whole series.
        picture: The picture's name, see `ibn_seg.transforms.corruptions.generator`.
        frost: The folder of the pictures of frost.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    if not name.startswith(PREFIX):
        return corrupt(image, name, severity, generator(seed, name, picture))
    # A legacy generator takes 32 bits.
    draws = Draws.of_seed(picture_seed(seed, name, picture) % 2**32)
    return corrupt_as_published(image, name.removeprefix(PREFIX), severity, draws, frost)
