"""Keep confusion matrices per image in one small file; any statistic needs no second run.

The file is a NumPy archive (`.npz`, deflated) without pickled objects:

- `header`: UTF-8 JSON as (bytes,) uint8. It has format, version, classes and the step of the
  weights. Per domain it has the name, the names of the images and the classes in the means.
- `counts_I` of the I-th domain: (B, N, R, C) uint8, the B little-endian bytes of the pixel counts
  as separate planes. B is as large as the largest count needs. Rows are labels, columns
  predictions. R is C, unless the labels have classes of their own: then the domain has a `map`
  from the network's C classes to G groups, and R is G + 1, with the void labels last. Files with a
  map are of version 2, others of version 1.

The high bytes are nearly all zero and compress well on their own. Example: 500 images of 2048x1024
whose matrices hold 187 counts on average. They take 390 bytes per image, against 470 for deflated
32-bit and 510 for deflated 64-bit numbers. Coordinates of the counts with byte planes take 345, but
other programs could not read them in two lines. Equal content gives equal bytes.
"""

import contextlib
import json
import lzma
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from ibn_seg.datasets.class_map import ClassMap, parse_map
from ibn_seg.errors import UserError
from ibn_seg.io import atomic_path

FORMAT = "ibn_seg.confusions"
VERSION = 1
_WITH_MAPS = 2
# Beside the result file of the same kind of run; its key `confusions` names this file.
CONFUSION_FILES = {"train": "confusions.npz", "test": "test_confusions.npz"}

_AGAIN = "test the checkpoint again with this version of ibn_seg"
# The errors that damaged bytes cause: in the archive, its deflated members, an array's head or the
# JSON.
DAMAGE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, LookupError,
    TypeError, AttributeError, NotImplementedError, RuntimeError,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class ImageConfusions:
    """The confusion matrices of one domain's images.

    Args:
        images: Names of the N images, the same on every machine: paths below the data root.
        counts: (N, C, C) pixel counts, int64, rows are labels and columns predictions. With a map
            to G groups it is (N, G + 1, C), and the last row is of void labels.
        scored: The classes in the means of this domain; None: all.
        mapping: The map from the network's classes to the groups of the labels; None if the labels
            have the network's classes.
    """

    images: tuple[str, ...]
    counts: np.ndarray
    scored: tuple[str, ...] | None = None
    mapping: ClassMap | None = None

    @property
    def scored_counts(self) -> np.ndarray:
        """(N, C, C) pixel counts as they are scored; with a map (N, G, G + 1).

        The last column of the latter is of predictions without a group.
        """
        if self.mapping is None:
            return self.counts
        return self.mapping.merge_columns(self.counts[:, :-1])

    def class_names(self, classes: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names of the rows that are scored, given the network's classes."""
        return classes if self.mapping is None else self.mapping.groups


@dataclass(frozen=True, eq=False)
class StoredConfusions:
    """The counts of one validation or test.

    Args:
        classes: The C class names.
        domains: The matrices by domain, in the order of the evaluation.
        step: Training iterations of the weights; 0 for a test.
    """

    classes: tuple[str, ...]
    domains: Mapping[str, ImageConfusions]
    step: int = 0

    def names(self, domain: str) -> tuple[str, ...]:
        """Return the names of the classes over which a domain is scored."""
        return self.domains[domain].class_names(self.classes)


def write_confusions(path: str | os.PathLike, stored: StoredConfusions) -> None:
    """Write confusion matrices, whole or not at all.

    Raises:
        EnvError: The file cannot be written.
        ValueError: Names and matrices do not belong together, or a count is not a whole number of
            0..2**63-1.
    """
    mapped = any(domain.mapping for domain in stored.domains.values())
    header = {
        "format": FORMAT,
        "version": _WITH_MAPS if mapped else VERSION,
        "classes": list(stored.classes),
        "step": stored.step,
        "domains": [
            {
                "name": name,
                "images": list(domain.images),
                "scored": None if domain.scored is None else list(domain.scored),
                **({"map": domain.mapping.to_dict()} if domain.mapping else {}),
            }
            for name, domain in stored.domains.items()
        ],
    }
    # Escaped to ASCII, because names of files need not be valid Unicode.
    arrays = {"header": np.frombuffer(json.dumps(header).encode("ascii"), np.uint8)}
    for index, (name, domain) in enumerate(stored.domains.items()):
        rows = len(domain.mapping.groups) + 1 if domain.mapping else len(stored.classes)
        shape = (len(domain.images), rows, len(stored.classes))
        if domain.counts.shape != shape:
            raise ValueError(f"{name}: counts of shape {domain.counts.shape}, expected {shape}")
        arrays[_member(index)] = to_byte_planes(domain.counts)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_confusions(
    path: str | os.PathLike, classes: Sequence[str] | None = None
) -> StoredConfusions:
    """Return the confusion matrices of a file.

    Args:
        path: A file that `write_confusions` wrote.
        classes: The class names that it must have. Default: any.

    Raises:
        UserError: The file is missing or damaged, or has another kind, version or other classes.
    """
    with _opened(path) as (header, arrays):
        stored = StoredConfusions(
            classes=tuple(header["classes"]),
            domains={
                entry["name"]: _domain(header, arrays, index)
                for index, entry in enumerate(header["domains"])
            },
            step=int(header["step"]),
        )
    if classes is not None and stored.classes != tuple(classes):
        raise UserError(
            f"{path}: has {len(stored.classes)} classes ({_shown(stored.classes)})",
            f"expected {len(classes)} ({_shown(classes)}); give results of the same classes",
        )
    return stored


def read_step(path: str | os.PathLike) -> int:
    """Return only the training iterations of a file's weights.

    Raises:
        UserError: As in `read_confusions`.
    """
    with _opened(path) as (header, _):
        return int(header["step"])


def confusions_of(
    result: Mapping[str, Any], folder: str | os.PathLike, classes: Sequence[str] | None = None
) -> StoredConfusions | None:
    """Return the confusion matrices that belong to a result.

    Args:
        result: The content of a result file.
        folder: The folder of the result file.
        classes: The class names that they must have. Default: any.

    Returns:
        None if the result names no file, as in earlier versions.

    Raises:
        UserError: The file is missing or wrong. Or it is from another evaluation: its matrices do
            not add up to the result's own.
    """
    name = result.get("confusions")
    if name is None:
        return None
    if not isinstance(name, str) or not name or PurePath(name).name != name:
        raise UserError(
            f"{folder}: the result's 'confusions' is {name!r}", "expected the name of a file in it"
        )
    path = Path(folder) / name
    stored = read_confusions(path, classes)
    domains = result.get("domains") or {}
    if list(domains) != list(stored.domains):
        raise UserError(
            f"{path}: has the domains {_shown(stored.domains)}, but the result {_shown(domains)}",
            _AGAIN,
        )
    for domain, images in stored.domains.items():
        if not np.array_equal(images.counts.sum(axis=0), domains[domain]["confusion"]):
            raise UserError(
                f"{path}: the counts of {domain!r} do not add up to those of the result beside it",
                _AGAIN,
            )
    return stored


def image_names(
    paths: Sequence[str | os.PathLike | None], roots: Sequence[str | os.PathLike] = ()
) -> tuple[str, ...]:
    """Return names of images that do not depend on where the data lie.

    Args:
        paths: Their files, or None for an unknown file.
        roots: Data roots. A name is the path below the deepest root that holds the file.

    Returns:
        Each path has one name, with '/'. Files outside every root are named by their path below the
        deepest folder that holds all of these. An unknown file is named by its position, as '#12'.
    """
    known = [PurePath(root) for root in roots]
    known.sort(key=lambda root: len(root.parts), reverse=True)
    files = [None if path is None else PurePath(path) for path in paths]
    strays = [file for file in files if file is not None and _home(file, known) is None]
    # No folder holds both absolute and relative paths.
    for absolute in (True, False):
        folders = [str(file.parent) for file in strays if file.is_absolute() == absolute]
        if folders:
            known.append(PurePath(os.path.commonpath(folders)))
    return tuple(
        f"#{at}" if file is None else file.relative_to(_home(file, known)).as_posix()
        for at, file in enumerate(files)
    )


@contextlib.contextmanager
def _opened(path: str | os.PathLike) -> Iterator[tuple[dict, Mapping[str, np.ndarray]]]:
    """Yield header and arrays of a file; damage that shows in between is one `UserError`."""
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file", _AGAIN)
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path}: not a file of confusion matrices, or cut short", _AGAIN)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            header = json.loads(arrays["header"].tobytes())
            if header["format"] != FORMAT:
                raise LookupError(header["format"])
            if header["version"] not in (VERSION, _WITH_MAPS):
                raise UserError(
                    f"{path}: version {header['version']!r} cannot be read, allowed: "
                    f"{VERSION}, {_WITH_MAPS}",
                    _AGAIN,
                )
            yield header, arrays
    except UserError:
        raise
    except DAMAGE as error:
        raise UserError(f"{path}: not a file of confusion matrices, or damaged", _AGAIN) from error


def _domain(header: dict, arrays: Mapping[str, np.ndarray], index: int) -> ImageConfusions:
    """Return the matrices of the domain at a place in the header."""
    entry, planes, size = header["domains"][index], arrays[_member(index)], len(header["classes"])
    mapping = stored_map(entry["map"], header["classes"]) if "map" in entry else None
    rows = len(mapping.groups) + 1 if mapping else size
    if planes.dtype != np.uint8 or planes.shape[1:] != (len(entry["images"]), rows, size):
        raise ValueError("counts of another shape than the header says")
    scored = entry["scored"]
    return ImageConfusions(
        images=tuple(entry["images"]),
        counts=from_byte_planes(planes),
        scored=None if scored is None else tuple(scored),
        mapping=mapping,
    )


def stored_map(given: Mapping[str, Any], classes: Sequence[str]) -> ClassMap:
    """Return the map that a header holds.

    Raises:
        ValueError: It is no map of the classes. Readers say then that the file is damaged.
    """
    try:
        return parse_map(given, classes, list(given["groups"]), "map")
    except UserError as error:
        raise ValueError(error.line) from error


def _member(index: int) -> str:
    return f"counts_{index}"


def to_byte_planes(counts: np.ndarray) -> np.ndarray:
    """Return the (B, N, R, C) uint8 byte planes of counts, low bytes first."""
    whole = counts.dtype.kind in "iu"
    # Python's numbers: NumPy 1 compares an int64 with a uint64 as floats.
    smallest, largest = (int(counts.min()), int(counts.max())) if whole and counts.size else (0, 0)
    if not whole or smallest < 0 or largest >= 2**63:
        raise ValueError("counts must be whole numbers of 0..2**63-1")
    wide = counts.astype(np.int64)
    planes = range(max(1, -(-largest.bit_length() // 8)))
    return np.stack([(wide >> 8 * at & 255).astype(np.uint8) for at in planes])


def from_byte_planes(planes: np.ndarray) -> np.ndarray:
    """Return the (N, R, C) int64 counts of byte planes."""
    if not 1 <= len(planes) <= 8:
        raise ValueError(f"{len(planes)} bytes per count")
    counts = np.zeros(planes.shape[1:], np.int64)
    for at, plane in enumerate(planes):
        counts |= plane.astype(np.int64) << 8 * at
    return counts


def _home(file: PurePath, roots: Sequence[PurePath]) -> PurePath | None:
    """Return the first of the roots that holds a file."""
    return next((root for root in roots if file.is_relative_to(root)), None)


def _shown(names: Sequence[str] | Mapping[str, Any]) -> str:
    """Return names for a message, the first few of many."""
    listed = list(names)
    return ", ".join([*listed[:3], "..."] if len(listed) > 3 else listed)
