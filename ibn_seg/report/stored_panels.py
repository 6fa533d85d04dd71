"""Stores panels as files, so that a page can show predictions without the networks.

FOLDER/index.json   the panels: captions, domains, facts, and the files of each
FOLDER/HASH.png     an image (RGB), or classes as palette indices; named by its content

The entry of a panel has the names and colours of its classes, if they are not those of Cityscapes.

The index is written last and names every file. A reader therefore never sees an incomplete or mixed
set.
"""

import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ibn_seg.datasets.class_colors import CITYSCAPES_COLORS, ClassColors, class_colors
from ibn_seg.errors import UserError
from ibn_seg.io import read_json, write_bytes, write_json
from ibn_seg.report.panel_images import Panel, coloured
from ibn_seg.report.result_owner import DAMAGE

FOLDER = "panels"
INDEX = "index.json"
SCHEMA = 1


def write_panels(
    folder: str | os.PathLike, panels: Sequence[Panel], facts: Mapping[str, Any]
) -> Path:
    """Write panels, replacing existing ones; return the index.

    Args:
        folder: Where to write.
        panels: The panels.
        facts: Further entries of the index, such as how the images were chosen.

    Raises:
        EnvError: The folder cannot be written.
    """
    folder = Path(folder)
    entries = [
        {
            "caption": panel.caption,
            "domain": panel.domain,
            "image": _write(folder, Image.fromarray(panel.image)),
            "label": _write(folder, coloured(Image.fromarray(panel.label), panel.classes)),
            "predictions": {
                method: _write(folder, coloured(Image.fromarray(prediction), panel.classes))
                for method, prediction in panel.predictions.items()
            },
            **_classes_entry(panel.classes),
        }
        for panel in panels
    ]
    index = folder / INDEX
    write_json(index, {"schema": SCHEMA, **facts, "panels": entries})
    used = {name for one in entries for name in (one["image"], one["label"])}
    used |= {name for one in entries for name in one["predictions"].values()}
    for path in folder.glob("*.png"):
        if path.name not in used:
            path.unlink(missing_ok=True)
    return index


def read_panels(folder: str | os.PathLike) -> list[Panel]:
    """Return the panels of a folder; an empty result if it has no index.

    Raises:
        UserError: The index or a file is missing, damaged or of another version.
    """
    index = Path(folder) / INDEX
    if not index.is_file():
        return []
    content = read_json(index)
    again = "run `ibn-seg panels` again"
    schema = content.get("schema") if isinstance(content, Mapping) else None
    if schema != SCHEMA:
        raise UserError(f"{index}: schema {schema!r} cannot be read, allowed: {SCHEMA}", again)
    try:
        return [
            Panel(
                image=_read(index.parent / one["image"], "RGB"),
                label=_read(index.parent / one["label"], "P"),
                predictions={
                    str(method): _read(index.parent / name, "P")
                    for method, name in one["predictions"].items()
                },
                caption=str(one["caption"]),
                domain=str(one["domain"]),
                classes=_classes_of(one),
            )
            for one in content["panels"]
        ]
    except UserError:
        raise
    except (*DAMAGE, OSError) as error:
        raise UserError(f"{index}: incomplete or damaged ({error})", again) from error


def _classes_entry(classes: ClassColors) -> dict[str, Any]:
    """Return the entry that says what a panel's classes are."""
    if classes == CITYSCAPES_COLORS:
        return {}
    return {"classes": list(classes.names), "palette": [list(c) for c in classes.palette]}


def _classes_of(entry: Mapping[str, Any]) -> ClassColors:
    names = entry.get("classes")
    return CITYSCAPES_COLORS if names is None else class_colors(names, entry["palette"])


def _write(folder: Path, picture: Image.Image) -> str:
    """Write a picture, named by the hash of its content, and return the file's name."""
    buffer = io.BytesIO()
    picture.save(buffer, format="png", optimize=True)
    data = buffer.getvalue()
    name = f"{hashlib.sha256(data).hexdigest()[:16]}.png"
    if not (folder / name).is_file():
        write_bytes(folder / name, data)
    return name


def _read(path: Path, mode: str) -> np.ndarray:
    with Image.open(path) as picture:
        if picture.mode != mode:
            raise ValueError(f"{path.name}: mode {picture.mode}, expected {mode}")
        return np.array(picture)
