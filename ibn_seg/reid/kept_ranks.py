"""The ranks of all matches as a small file, from which every measure can be computed again.

Market-1501 has 3,368 queries with 49,500 matches: some 100 KB.
"""

import io
import os
import zipfile
from pathlib import Path

import numpy as np

from ibn_seg.errors import UserError
from ibn_seg.io import write_bytes
from ibn_seg.reid.ranking import Matches

_NAMES = ("query_ids", "query_cameras", "counts", "ranks", "gallery")


def write_ranks(path: str | os.PathLike, matches: Matches) -> None:
    """Write the ranks, whole or not at all.

    Args:
        path: The file, by custom `.npz`.
        matches: Ranks with ties in the order of the gallery.

    Raises:
        UserError: The ranks are of equal distances together; these are not kept.
        EnvError: The file cannot be written.
    """
    if not np.array_equal(matches.found, _counted(matches.counts)):
        raise UserError(f"{path}: ranks with ties='together' are not kept")
    arrays = {name: _smallest(np.asarray(getattr(matches, name))) for name in _NAMES}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_bytes(path, buffer.getvalue())


def read_ranks(path: str | os.PathLike) -> Matches:
    """Read what `write_ranks` wrote.

    Raises:
        UserError: There is no such file, or it holds something else.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except OSError as error:
        raise UserError(f"{path}: holds no ranks of a search") from error
    return ranks_of(content, os.fspath(path))


def ranks_of(content: bytes, name: str) -> Matches:
    """Return the ranks in the bytes of a file.

    Args:
        content: What `write_ranks` wrote.
        name: What errors call it.

    Raises:
        UserError: It is something else.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            found = {key: file[key].astype(np.int64) for key in _NAMES}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{name}: holds no ranks of a search") from error
    if found["counts"].sum() != len(found["ranks"]):
        raise UserError(f"{name}: holds no ranks of a search")
    gallery = int(found.pop("gallery"))
    return Matches(**found, found=_counted(found["counts"]), gallery=gallery)


def _counted(counts: np.ndarray) -> np.ndarray:
    """Return 1, 2, ... for the matches of each query."""
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    return np.arange(1, counts.sum() + 1) - starts


def _smallest(values: np.ndarray) -> np.ndarray:
    """Return whole numbers in the smallest type that holds them."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    return values.astype(np.promote_types(np.min_scalar_type(low), np.min_scalar_type(high)))
