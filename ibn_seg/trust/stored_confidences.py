"""Keep the histograms of confidence per image in one small file, beside the confusion matrices.

The file is a NumPy archive (`.npz`, deflated) without pickled objects. Equal content gives equal
bytes.

- `header`: UTF-8 JSON as (bytes,) uint8, with format, version, classes, step of the weights, the
  bins, and per domain the name and the names of the images.
- `counts_I` of the I-th domain: (b, N, 3, B) uint8, the b little-endian bytes of the counts as
  separate planes, as in `ibn_seg.evaluation.stored`.
- `diagrams_I`: (b, N, K, 2, 15) uint8, pixels and right pixels in the same form.
- `confidence_I`: (N, K, 15) float64, the sums of confidence.
- `nll_I`, `brier_I`: (N,) float64, where probabilities were at hand.

Example: a picture of 2048x1024 takes about 4 KiB, of 19 classes and 2,048 bins of the log-odds.
"""

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ibn_seg.errors import UserError
from ibn_seg.evaluation.stored import DAMAGE, from_byte_planes, to_byte_planes
from ibn_seg.io import atomic_path
from ibn_seg.trust.calibration_error import ECE_BINS
from ibn_seg.trust.confidence_bins import LEVEL_KIND, LOG_ODDS_KIND, ConfidenceBins
from ibn_seg.trust.image_confidences import ImageConfidences

FORMAT = "ibn_seg.confidences"
VERSION = 1
_AGAIN = "test the checkpoint again with this version of ibn_seg"


@dataclass(frozen=True, eq=False)
class StoredConfidences:
    """The histograms of one test.

    Attributes:
        classes: The K class names of the network.
        domains: The histograms by domain, in the order of the evaluation.
        step: Training iterations of the weights; 0 for a test.
    """

    classes: tuple[str, ...]
    domains: Mapping[str, ImageConfidences]
    step: int = 0


def write_confidences(path: str | os.PathLike, stored: StoredConfidences) -> None:
    """Write histograms, whole or not at all.

    Raises:
        EnvError: The file cannot be written.
        ValueError: Names and histograms do not belong together.
    """
    header = {
        "format": FORMAT,
        "version": VERSION,
        "classes": list(stored.classes),
        "step": stored.step,
        "domains": [
            {
                "name": name,
                "images": list(domain.images),
                "bins": {"kind": domain.bins.kind, "count": domain.bins.count},
            }
            for name, domain in stored.domains.items()
        ],
    }
    # Escaped to ASCII, because names of files need not be valid Unicode.
    arrays = {"header": np.frombuffer(json.dumps(header).encode("ascii"), np.uint8)}
    for index, (name, domain) in enumerate(stored.domains.items()):
        _check_shapes(name, domain, len(stored.classes))
        arrays |= _members(index, domain)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_confidences(path: str | os.PathLike) -> StoredConfidences:
    """Return the histograms of a file that `write_confidences` wrote.

    Raises:
        UserError: The file is missing or damaged, or has another kind or version.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file", _AGAIN)
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path}: not a file of confidences, or cut short", _AGAIN)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            header = json.loads(arrays["header"].tobytes())
            if header["format"] != FORMAT:
                raise LookupError(header["format"])
            if header["version"] != VERSION:
                version = header["version"]
                raise UserError(f"{path}: version {version!r} cannot be read", _AGAIN)
            domains = {
                entry["name"]: _domain(entry, arrays, index, len(header["classes"]))
                for index, entry in enumerate(header["domains"])
            }
            return StoredConfidences(tuple(header["classes"]), domains, int(header["step"]))
    except UserError:
        raise
    except DAMAGE as error:
        raise UserError(f"{path}: not a file of confidences, or damaged", _AGAIN) from error


def _check_shapes(name: str, domain: ImageConfidences, classes: int) -> None:
    images = len(domain.images)
    for array, shape in (
        (domain.counts, (images, 3, domain.bins.count)),
        (domain.diagrams, (images, classes, 3, ECE_BINS)),
        (domain.nll, (images,)),
        (domain.brier, (images,)),
    ):
        if array is not None and array.shape != shape:
            raise ValueError(f"{name}: array of shape {array.shape}, expected {shape}")


def _members(index: int, domain: ImageConfidences) -> dict[str, np.ndarray]:
    """Return the arrays of the domain at a place in the header."""
    whole = domain.diagrams[:, :, :2].astype(np.int64)
    arrays = {
        f"counts_{index}": to_byte_planes(domain.counts),
        f"diagrams_{index}": to_byte_planes(whole),
        f"confidence_{index}": np.ascontiguousarray(domain.diagrams[:, :, 2]),
    }
    for name in ("nll", "brier"):
        sums = getattr(domain, name)
        if sums is not None:
            arrays[f"{name}_{index}"] = sums
    return arrays


def _domain(
    entry: Mapping, arrays: Mapping[str, np.ndarray], index: int, classes: int
) -> ImageConfidences:
    """Return the histograms of the domain at a place in the header."""
    bins = ConfidenceBins(str(entry["bins"]["kind"]), int(entry["bins"]["count"]))
    if bins.kind not in (LEVEL_KIND, LOG_ODDS_KIND):
        raise ValueError(f"bins of kind {bins.kind!r}")
    diagrams = np.concatenate(
        [
            from_byte_planes(arrays[f"diagrams_{index}"]).astype(np.float64),
            arrays[f"confidence_{index}"][:, :, None],
        ],
        axis=2,
    )
    sums = [arrays.get(f"{name}_{index}") for name in ("nll", "brier")]
    found = ImageConfidences(
        tuple(entry["images"]), bins, from_byte_planes(arrays[f"counts_{index}"]), diagrams, *sums
    )
    _check_shapes(str(entry["name"]), found, classes)
    return found
