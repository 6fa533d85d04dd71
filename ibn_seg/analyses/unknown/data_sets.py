"""Reads which pictures with unknown things are measured, and where they lie."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ibn_seg.errors import UserError, unknown
from ibn_seg.run.setup import SCENES_VARIABLE

# The layout of the embedded scenes, and its folder among them.
EMBEDDED = "oddities"


@dataclass(frozen=True)
class NamedData:
    """A data set of unknown things.

    Attributes:
        name: What results call it.
        layout: A key of `ibn_seg.datasets.unknown_things.LAYOUTS`.
        root: Its folder; None for the embedded scenes of a plan.
    """

    name: str
    layout: str
    root: str | None


def read_data(given: Iterable[str]) -> list[NamedData]:
    """Return the data sets that texts name.

    Args:
        given: LAYOUT=ROOT or NAME:LAYOUT=ROOT, at least one. In plans that render them, 'oddities'
            alone names the embedded ones.

    Raises:
        UserError: A text has another form, or names an unknown layout. Or two have one name.
    """
    from ibn_seg.datasets.unknown_things import LAYOUTS

    found = []
    for text in given:
        place, equals, root = text.partition("=")
        name, _, layout = place.rpartition(":")
        if not layout or (not root and (equals or layout != EMBEDDED)):
            raise UserError(f"--data {text!r} has no root", "write LAYOUT=ROOT")
        if layout not in LAYOUTS:
            raise unknown("layout of unknown things", layout, LAYOUTS)
        found.append(NamedData(name or layout, layout, root or None))
    names = [one.name for one in found]
    if not names:
        raise UserError("no data set of unknown things", "give --data LAYOUT=ROOT")
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"--data: two are named {name!r}", "write NAME:LAYOUT=ROOT")
    return found


def dataset_configs(given: Iterable[str]) -> list[dict[str, Any]]:
    """Return the configs of data sets, which are registered; as `read_data`.

    Raises:
        UserError: As `read_data`. Or the embedded ones are asked for, and no variable says where.
    """
    # Registers what the configs name.
    import ibn_seg.datasets.unknown_things  # noqa: F401

    return [
        {
            "type": "UnknownThingsDataset",
            "layout": one.layout,
            "data_root": one.root or _embedded_root(),
            "target": one.name,
        }
        for one in read_data(given)
    ]


def _embedded_root() -> str:
    """Return the folder of the embedded unknown things."""
    scenes = os.environ.get(SCENES_VARIABLE)
    if not scenes:
        raise UserError(
            f"--data {EMBEDDED!r} has no root",
            f"write {EMBEDDED}=ROOT; in a plan with scenes.{EMBEDDED} the name is enough",
        )
    return os.path.join(scenes, EMBEDDED)
