"""Count which classes the labels of a data set show, and where; keep the counts in JSON.

An entry belongs to one state of a label file and one label table, as in `cache`.
"""

import concurrent.futures
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from ibn_seg.datasets.cache import Identity, label_kind
from ibn_seg.datasets.formats import read_values
from ibn_seg.errors import UserError
from ibn_seg.io import read_json, write_json

VERSION = 1
TILE = 1024
_SAVE_EVERY = 2000


class LabelStatistics(NamedTuple):
    """The classes in one label.

    Args:
        counts: Pixels of each of the C classes.
        centroids: (class, row, column) of the centre of mass of each class in each tile.
    """

    counts: list[int]
    centroids: list[list[int]]


def label_statistics(train_ids: np.ndarray, classes: int, tile: int = TILE) -> LabelStatistics:
    """Return the classes in a label.

    Args:
        train_ids: (H, W) uint8.
        classes: The number C of classes; larger values are ignored pixels.
        tile: Side of the tiles in pixels; tiles at the right and lower edge are smaller.
    """
    counts = np.bincount(train_ids.ravel(), minlength=256)[:classes]
    centroids = []
    for top in range(0, train_ids.shape[0], tile):
        for left in range(0, train_ids.shape[1], tile):
            part = np.ascontiguousarray(train_ids[top : top + tile, left : left + tile])
            for label in np.unique(part[part < classes]).tolist():
                moments = cv2.moments(cv2.compare(part, label, cv2.CMP_EQ), binaryImage=True)
                row, column = (int(moments[key] / moments["m00"]) for key in ("m01", "m10"))
                centroids.append([label, top + row, left + column])
    return LabelStatistics(counts.tolist(), centroids)


def collect(
    infos: Sequence[Mapping[str, Any]],
    path: str | os.PathLike,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[LabelStatistics]:
    """Return the statistics of every sample; count the samples that the file lacks.

    The file is written after every 2,000 labels, so an interrupted call loses little work.

    Args:
        infos: Samples of `UrbanSceneDataset`.
        path: The JSON file. It is made if missing, and may serve several data sets.
        workers: Processes.
        progress: Called with (labels done, number of labels) after each.

    Raises:
        UserError: A label file is missing, damaged or holds unknown values, or `path` is another
            kind of file.
        EnvError: `path` cannot be written.
    """
    known = _read(Path(path))
    keys = [_key(info) for info in infos]
    states = [list(Identity.of(info["seg_map_path"])) for info in infos]
    missing = [
        i for i, key in enumerate(keys) if key not in known or known[key]["state"] != states[i]
    ]
    done = len(infos) - len(missing)
    counted = _counted([infos[i] for i in missing], min(workers, len(missing)))
    for number, (i, found) in enumerate(zip(missing, counted, strict=True), start=1):
        known[keys[i]] = {"state": states[i], **found._asdict()}
        if number % _SAVE_EVERY == 0:
            _write(Path(path), known)
        if progress:
            progress(done + number, len(infos))
    if missing:
        _write(Path(path), known)
    return [LabelStatistics(known[key]["counts"], known[key]["centroids"]) for key in keys]


def _key(info: Mapping[str, Any]) -> str:
    return f"{os.path.abspath(info['seg_map_path'])} {label_kind(info)}"


def _counted(infos: Sequence[Mapping], workers: int) -> Iterator[LabelStatistics]:
    """Yield the statistics of samples in order, from this process or several."""
    if workers <= 1:
        yield from map(_count, infos)
        return
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, context) as pool:
        try:
            yield from pool.map(_count, infos, chunksize=8)
        finally:
            pool.shutdown(cancel_futures=True)


def _count(info: Mapping[str, Any]) -> LabelStatistics:
    table = info["label_table"]
    ids = read_values(info["seg_map_path"], table, info.get("segments"))
    return label_statistics(cv2.LUT(ids, table.train_ids), table.classes)


def _read(path: Path) -> dict[str, dict]:
    if not path.exists():
        return {}
    content = read_json(path)
    if not isinstance(content, dict) or "labels" not in content:
        raise UserError(f"{path}: not a file of class statistics", "name another file")
    return content["labels"] if content.get("version") == VERSION else {}


def _write(path: Path, known: Mapping[str, dict]) -> None:
    write_json(path, {"version": VERSION, "tile": TILE, "labels": known})
