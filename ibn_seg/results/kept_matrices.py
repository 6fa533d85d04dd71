"""Confusion matrices of many runs in few compressed files that NumPy alone can read.

Each file `matrices-N.npz` is a NumPy archive without pickled objects, its members packed by LZMA.
`header` is JSON in UTF-8 bytes. Its list `sets` says which runs, images, rows (labels) and columns
(predictions) a set of matrices has. Rows and columns may be different classes: then `map` gives the
group of each column, and the last row is of void labels. The set K is

- `counts_K`: (B, rows, columns, images, runs) uint8, the B bytes of each count, low bytes first;
- `labels_K`: (rows, images) int64, the pixels of each label, which are the same for all runs;
- `column_K`: (rows,) int64, for each row the column that `counts_K` leaves at 0. Its counts are the
  label's pixels minus the counts of the other columns.

Three lines of Python read the set 0 as (rows, columns, images, runs):

    z = np.load("matrices-1.npz")
    c = sum(part.astype(int) << 8 * k for k, part in enumerate(z["counts_0"]))
    c[np.arange(len(c)), z["column_0"]] = z["labels_0"][..., None] - c.sum(1)

Runs of one plan make mistakes at the same places, so they are stored side by side. A run of 400
images then takes 31 kB, against 65 kB in a file of its own. Equal content gives equal bytes.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ibn_seg.datasets.class_map import ClassMap
from ibn_seg.errors import UserError
from ibn_seg.evaluation.stored import DAMAGE, ImageConfusions, stored_map
from ibn_seg.io import write_bytes

FORMAT = "ibn_seg.kept_matrices"
VERSION = 1
# The name of the last row of matrices with a map.
VOID = "void"
# The size of a file, as zlib packs it. LZMA packs to about 0.9 of it.
FILE_SIZE = 2**20
READ = (
    'z = np.load("matrices-1.npz")',
    'c = sum(part.astype(int) << 8 * k for k, part in enumerate(z["counts_0"]))',
    'c[np.arange(len(c)), z["column_0"]] = z["labels_0"][..., None] - c.sum(1)',
)
_ABOUT = (
    "Confusion matrices per image. The lines of `read` give those of the first of `sets` as "
    "(rows, columns, images, runs): rows are labels, columns are predictions. `configs`, where it "
    "is a member, is JSON: the config of each run."
)
_AGAIN = "get the file again, or write it again with tools/keep_results.py"


@dataclass(frozen=True, eq=False)
class RunMatrices:
    """The matrices of one run on one domain.

    Args:
        run: Name of the run, such as 'embedded/067facfe6a42'.
        domain: The evaluated domain.
        images: Names of the N images.
        rows: Names of the R labels.
        columns: Names of the C predictions.
        counts: (N, R, C) pixel counts, int64.
        scored: The classes in the means of this domain; None: all.
        mapping: The map from the predictions to the groups of the labels, if these differ; the last
            row is then of void labels.
    """

    run: str
    domain: str
    images: tuple[str, ...]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: np.ndarray
    scored: tuple[str, ...] | None = None
    mapping: ClassMap | None = None

    def check(self) -> None:
        """Raise `ValueError` unless names and counts belong together."""
        shape = (len(self.images), len(self.rows), len(self.columns))
        if self.counts.shape != shape or not all(shape):
            raise ValueError(
                f"{self.run}, {self.domain}: counts of {self.counts.shape}, not {shape}"
            )
        if self.counts.dtype.kind not in "iu" or self.counts.min() < 0:
            raise ValueError(f"{self.run}, {self.domain}: counts must be whole numbers from 0 on")


def run_matrices(
    run: str, domain: str, images: ImageConfusions, classes: tuple[str, ...]
) -> RunMatrices:
    """Return the matrices of one run on one domain, given the network's classes."""
    mapping = images.mapping
    rows = classes if mapping is None else (*mapping.groups, VOID)
    return RunMatrices(
        run, domain, images.images, rows, classes, images.counts, images.scored, mapping
    )


def write_matrices(
    folder: Path, found: Iterable[RunMatrices], configs: Mapping[str, str]
) -> tuple[str, ...]:
    """Write matrices of runs, and their configs beside them; return the names of the files.

    Args:
        folder: The folder to write to. Other `matrices-N.npz` in it are removed.
        found: The matrices. Their order is kept.
        configs: The text of a config by run.

    Raises:
        EnvError: A file cannot be written.
        ValueError: Names and matrices do not belong together.
    """
    packed = [_packed(members) for members in _alike(found)]
    parts = _parts(packed) or [[]]
    names = tuple(f"matrices-{number}.npz" for number in range(1, len(parts) + 1))
    for name, sets in zip(names, parts, strict=True):
        write_bytes(folder / name, _archive(sets, configs if name == names[0] else {}))
    for old in folder.glob("matrices-*.npz"):
        if old.name not in names:
            old.unlink()
    return names


def read_matrices(
    paths: Iterable[Path], wanted: Collection[str] | None = None
) -> dict[str, dict[str, RunMatrices]]:
    """Return matrices by run and domain.

    Args:
        paths: The files.
        wanted: Names of the runs; None: all.

    Raises:
        UserError: A file is missing or damaged, or has another kind or version.
    """
    found: dict[str, dict[str, RunMatrices]] = {}
    for path in paths:
        with _Opened(path) as (header, arrays):
            for index, entry in enumerate(header["sets"]):
                for one in _runs(entry, arrays, index, wanted):
                    found.setdefault(one.run, {})[one.domain] = one
    return found


def read_configs(paths: Iterable[Path]) -> dict[str, str]:
    """Return the configs in some files by run.

    Raises:
        UserError: As in `read_matrices`.
    """
    found: dict[str, str] = {}
    for path in paths:
        with _Opened(path) as (_, arrays):
            if "configs" in arrays:
                found |= json.loads(arrays["configs"].tobytes())
    return found


class _Opened:
    """Header and arrays of a file; damage that shows in between is one `UserError`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> tuple[dict[str, Any], Mapping[str, np.ndarray]]:
        if not self._path.is_file():
            raise UserError(f"{self._path}: no such file", _AGAIN)
        if not zipfile.is_zipfile(self._path):
            raise UserError(f"{self._path}: not a file of kept matrices, or cut short", _AGAIN)
        try:
            self._arrays = np.load(self._path, allow_pickle=False)
            header = json.loads(self._arrays["header"].tobytes())
            if header["format"] != FORMAT:
                raise LookupError(header["format"])
        except DAMAGE as error:
            raise self._damaged() from error
        if header.get("version") != VERSION:
            given = header.get("version")
            raise UserError(
                f"{self._path}: version {given!r} cannot be read, allowed: {VERSION}", _AGAIN
            )
        return header, self._arrays

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._arrays.close()
        if isinstance(error, DAMAGE) and not isinstance(error, UserError):
            raise self._damaged() from error

    def _damaged(self) -> UserError:
        return UserError(f"{self._path}: not a file of kept matrices, or damaged", _AGAIN)


@dataclass(frozen=True, eq=False)
class _Packed:
    """A set in the form that is written, and its approximate size in bytes."""

    entry: dict[str, Any]
    arrays: dict[str, np.ndarray]
    size: int


def _alike(found: Iterable[RunMatrices]) -> list[list[RunMatrices]]:
    """Return matrices in sets with the same images, classes and labels."""
    sets: dict[tuple, list[RunMatrices]] = {}
    for one in found:
        one.check()
        labels = one.counts.sum(axis=2, dtype=np.int64).tobytes()
        key = (one.domain, one.images, one.rows, one.columns, one.scored, one.mapping, labels)
        sets.setdefault(key, []).append(one)
    return list(sets.values())


def _packed(members: Sequence[RunMatrices]) -> _Packed:
    """Return the arrays of one set."""
    first = members[0]
    counts = np.stack([one.counts for one in members], axis=-1).astype(np.int64)
    counts = counts.transpose(1, 2, 0, 3)  # rows, columns, images, runs
    labels = counts[..., 0].sum(axis=1)
    # The column with the most pixels has the largest numbers, which cost the most bytes.
    column = counts.sum(axis=(2, 3)).argmax(axis=1)
    others = counts.copy()
    others[np.arange(len(others)), column] = 0
    planes = range(max(1, -(-int(others.max()).bit_length() // 8)))
    parts = np.stack([(others >> 8 * at & 255).astype(np.uint8) for at in planes])
    entry = {
        "domain": first.domain, "runs": [one.run for one in members],
        "images": list(first.images), "rows": list(first.rows), "columns": list(first.columns),
        "scored": None if first.scored is None else list(first.scored),
        **({} if first.mapping is None else {"map": first.mapping.to_dict()}),
    }  # fmt: skip
    arrays = {"counts": parts, "labels": labels, "column": column.astype(np.int64)}
    return _Packed(entry, arrays, len(zlib.compress(parts.tobytes())))


def _parts(packed: Sequence[_Packed]) -> list[list[_Packed]]:
    """Return sets by file, in their order; a file takes what fits into its size."""
    parts: list[list[_Packed]] = []
    for one in packed:
        if not parts or sum(other.size for other in parts[-1]) + one.size > FILE_SIZE:
            parts.append([])
        parts[-1].append(one)
    return parts


def _archive(sets: Sequence[_Packed], configs: Mapping[str, str]) -> bytes:
    """Return the bytes of one file."""
    header = {
        "format": FORMAT, "version": VERSION, "about": _ABOUT, "read": list(READ),
        "sets": [one.entry for one in sets],
    }  # fmt: skip
    members = {"header": _json_array(header)}
    if configs:
        members["configs"] = _json_array(dict(configs))
    for index, one in enumerate(sets):
        members |= {f"{name}_{index}": array for name, array in one.arrays.items()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_LZMA) as archive:
        for name, array in members.items():
            # A fixed time and system: equal content gives equal bytes.
            info = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            info.compress_type, info.create_system = zipfile.ZIP_LZMA, 3
            data = io.BytesIO()
            np.lib.format.write_array(data, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(info, data.getvalue())
    return out.getvalue()


def _json_array(content: Mapping[str, Any]) -> np.ndarray:
    # Escaped to ASCII, because names of files need not be valid Unicode.
    return np.frombuffer(json.dumps(content).encode("ascii"), np.uint8)


def _runs(
    entry: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    index: int,
    wanted: Collection[str] | None,
) -> Iterator[RunMatrices]:
    """Yield the matrices of the wanted runs of a set."""
    runs, names = entry["runs"], [tuple(entry[key]) for key in ("images", "rows", "columns")]
    chosen = [at for at, run in enumerate(runs) if wanted is None or run in wanted]
    if not chosen:
        return
    images, rows, columns = names
    counts = _counts(arrays, index, (len(rows), len(columns), len(images), len(runs)), chosen)
    scored = None if entry["scored"] is None else tuple(entry["scored"])
    mapping = stored_map(entry["map"], columns) if "map" in entry else None
    if mapping is not None and (*mapping.groups, VOID) != rows:
        raise ValueError("a map to other groups than the rows are")
    for at, one in zip(chosen, counts, strict=True):
        yield RunMatrices(runs[at], entry["domain"], images, rows, columns, one, scored, mapping)


def _counts(
    arrays: Mapping[str, np.ndarray], index: int, shape: tuple[int, ...], chosen: Sequence[int]
) -> np.ndarray:
    """Return the (runs, images, rows, columns) counts of some runs of a set."""
    parts, labels, column = (arrays[f"{name}_{index}"] for name in ("counts", "labels", "column"))
    rows, columns, images, _ = shape
    fits = (
        parts.dtype == np.uint8 and parts.shape[1:] == shape and 1 <= len(parts) <= 8
        and labels.dtype == column.dtype == np.int64 and labels.shape == (rows, images)
        and column.shape == (rows,) and ((column >= 0) & (column < columns)).all()
    )  # fmt: skip
    if not fits:
        raise ValueError("arrays of another shape than the header says")
    # In order and narrow before the numbers become wide: less memory traffic.
    parts = np.ascontiguousarray(parts[..., list(chosen)].transpose(0, 4, 3, 1, 2))
    narrow = parts[0].astype(f"u{next(width for width in (1, 2, 4, 8) if width >= len(parts))}")
    for at, part in enumerate(parts[1:], start=1):
        narrow |= part.astype(narrow.dtype) << 8 * at
    counts = narrow.astype(np.int64)
    left_out = labels.T - counts.sum(axis=3)
    if counts.min() < 0 or left_out.min() < 0:
        raise ValueError("counts below 0, or above those of the labels")
    counts[:, :, np.arange(rows), column] = left_out
    return counts
