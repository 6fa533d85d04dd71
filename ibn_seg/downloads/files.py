"""Inspects single files in worker processes: reads and decodes each once, reports defects.

Nothing here loads mmseg or PyTorch, so a worker starts in a fraction of a second.
"""

import hashlib
import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ibn_seg.datasets.formats import PICTURE_ERRORS, UnknownColorError, decode_values
from ibn_seg.datasets.labels import IGNORE_INDEX, LabelTable
from ibn_seg.datasets.orientation import Turned, may_be_turned, turned
from ibn_seg.errors import UserError

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_PNG_END, _JPEG_END = b"IEND\xaeB`\x82", b"\xff\xd9"
# Some writers add bytes after the picture's end.
_TAIL = 4096
# PNG's colour types, in IHDR.
_COLOURS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGBA"}
_SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
# Bits and colours of a label whose table has an encoding, and how to say that it has others.
_ENCODED = {
    "first channel of 16 bits": (16, ("RGB", "RGBA"), "not as 16-bit RGB PNG"),
    "panoptic": (8, ("RGB", "RGBA"), "not as 8-bit RGB PNG"),
    "colors": (8, ("RGB", "RGBA", "palette"), "not in colours"),
}


@dataclass(frozen=True)
class Job:
    """One file to inspect.

    Attributes:
        index: Its number, which the result carries.
        path: The file.
        table: The table of a label's values; None for an image.
        group: The number of the part whose class histogram includes the label.
        segments: The value of each segment number of a panoptic label.
        highest: The highest documented value of a label; None if the table covers all values.
        decode: Whether to decode an image and hash it, or only read its header.
    """

    index: int
    path: Path
    table: LabelTable | None = None
    group: int = 0
    segments: Mapping[int, int] | None = None
    highest: int | None = None
    decode: bool = True


@dataclass(frozen=True)
class Form:
    """A picture's storage format, from its header."""

    format: str
    bits: int
    colour: str
    size: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.bits}-bit {self.colour} {self.format}"


@dataclass(frozen=True)
class Look:
    """The result for one file.

    Attributes:
        index: The job's number.
        form: Its storage format; None if the file is not a picture.
        digest: The hash of an image's bytes; empty for a file that was not hashed.
        problems: Kind and text of each finding.
        size: Width and height as readers get them; None if the file cannot be read.
        turned: EXIF's rotation. It is applied on loading an image, but not a label.
    """

    index: int
    form: Form | None
    digest: bytes
    problems: tuple[tuple[str, str], ...]
    size: tuple[int, int] | None = None
    turned: Turned | None = None


@dataclass
class Batch:
    """The results for several files.

    Attributes:
        looks: One result per file.
        pixels: (256,) pixels of each trainId, by group.
        present: (256,) number of label files with each class, by group.
        upper: (256,) pixels of each trainId in the upper half of the labels, by group.
        decode_s: Seconds in the decoders alone.
    """

    looks: list[Look] = field(default_factory=list)
    pixels: dict[int, np.ndarray] = field(default_factory=dict)
    present: dict[int, np.ndarray] = field(default_factory=dict)
    upper: dict[int, np.ndarray] = field(default_factory=dict)
    decode_s: float = 0.0


class _FileError(Exception):
    """Stops the inspection of a file: kind and text of the finding."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.found = (kind, text)


def look_at(jobs: Sequence[Job]) -> Batch:
    """Inspect several files, with one picture in memory at a time."""
    batch = Batch()
    for job in jobs:
        batch.looks.append(_look_at(job, batch))
    return batch


def _look_at(job: Job, batch: Batch) -> Look:
    problems: list[tuple[str, str]] = []
    form, size, exif, decoded, digest = None, None, None, None, b""
    is_image = job.table is None
    try:
        if is_image and not job.decode:
            form, exif = _header(job.path)
        else:
            data = _read(job.path)
            form = form_of(io.BytesIO(data), data)
            # The size of a picture that does not decode, if it is certain.
            size = None if is_image and may_be_turned(data) else form.size
            digest, decoded = _content(job, data, form, problems, batch)
            # Pillow reads labels, and rotates TIFF by itself.
            exif = turned(data) if is_image or form.format != "TIFF" else None
        size = exif.size if is_image and exif is not None else decoded or form.size
        problems += _name_problems(job.path, form)
        if is_image:
            problems += _image_problems(form)
    except _FileError as problem:
        problems.append(problem.found)
    return Look(job.index, form, digest, tuple(problems), size, exif)


def form_of(source: "io.BytesIO | Path", start: bytes) -> Form:
    """Return the storage format of a picture.

    Args:
        source: The file or its bytes.
        start: The first 26 bytes or more.
    """
    try:
        with Image.open(source) as picture:
            kind, mode, size = picture.format or "", picture.mode, picture.size
    except PICTURE_ERRORS as error:
        raise _damage(start, error) from error
    if kind == "PNG":
        # Pillow reports "RGB" for 8 and 16 bits. It reports "L" for 4 bits, and scales their
        # values.
        return Form(kind, start[24], _COLOURS.get(start[25], mode), size)
    # A JPEG from a camera that appends a second view.
    kind = "JPEG" if kind == "MPO" else kind
    names = {"L": "grey", "P": "palette", "RGB": "RGB", "RGBA": "RGBA"}
    return Form(kind, 16 if mode.startswith("I;16") else 8, names.get(mode, mode), size)


def decode_image(data: bytes, form: Form) -> None:
    """Decode an image's bytes, by far the slowest step, and check that it is complete.

    For PNG, Pillow checks the checksum of every chunk, because not every OpenCV does. OpenCV then
    decodes it, a fifth faster than Pillow. For JPEG, Pillow raises on missing data, where OpenCV
    silently fills in grey. Of the other formats, OpenCV does not read all that Pillow reads.
    """
    with Image.open(io.BytesIO(data)) as picture:
        if form.format == "PNG":
            picture.verify()
        else:
            picture.load()
    if form.format == "JPEG":
        return
    if cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is None:
        raise ValueError("OpenCV cannot decode it")


def decode_label(job: Job, data: bytes) -> np.ndarray:
    """Check a label's chunks and return its values, (H, W) uint8."""
    with Image.open(io.BytesIO(data)) as picture:
        picture.verify()
    return decode_values(data, job.path, job.table, job.segments)


def _content(
    job: Job, data: bytes, form: Form, problems: list[tuple[str, str]], batch: Batch
) -> tuple[bytes, tuple[int, int] | None]:
    """Decode a file and add its problems and histogram; return image hash or label size."""
    if job.table is not None:
        _check_label_form(form, job.table.encoding)
    start = time.perf_counter()
    try:
        values = decode_image(data, form) if job.table is None else decode_label(job, data)
    except UserError as error:
        kind = "unknown-id" if isinstance(error, UnknownColorError) else "label-format"
        raise _FileError(kind, error.line.removeprefix(f"{job.path}: ")) from error
    except PICTURE_ERRORS as error:
        raise _damage(data, error) from error
    finally:
        batch.decode_s += time.perf_counter() - start
    if values is None:
        return hashlib.blake2b(data, digest_size=16).digest(), None
    problems += _count(job, values, batch)
    return b"", values.shape[::-1]


def _count(job: Job, values: np.ndarray, batch: Batch) -> list[tuple[str, str]]:
    """Add a label to the histograms and return defects of its values."""
    # OpenCV counts 2048x1024 pixels in 0.9 ms, numpy in 2.7 ms.
    histogram = _histogram(values)
    found = np.flatnonzero(histogram)
    table = job.table
    bad = found[~table.known[found]]
    if bad.size:
        more = f" and {bad.size - 1} more" if bad.size > 1 else ""
        text = f"value {bad[0]}{more} is not a {table.kind}; allowed: {table.allowed}"
        return [("unknown-id", text)]
    pixels = np.bincount(table.train_ids, histogram, 256).astype(np.int64)
    if not pixels[: table.classes].any():
        return [("all-ignored", "every pixel is ignored")]
    above = _histogram(values[: len(values) // 2])
    for sums, counted in (
        (batch.pixels, pixels),
        (batch.present, (pixels > 0).astype(np.int64)),
        (batch.upper, np.bincount(table.train_ids, above, 256).astype(np.int64)),
    ):
        sums[job.group] = sums.get(job.group, 0) + counted
    if job.highest is None:
        return []
    odd = found[(found > job.highest) & (found != IGNORE_INDEX)]
    if not odd.size:
        return []
    return [("unlisted-id", f"value {odd[0]} is not documented (0..{job.highest}), taken as 255")]


def _histogram(values: np.ndarray) -> np.ndarray:
    """Return the (256,) number of pixels of each value; none for a picture of no rows."""
    if not values.size:
        return np.zeros(256, np.int64)
    return cv2.calcHist([values], [0], None, [256], [0, 256]).ravel().astype(np.int64)


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _FileError("unreadable", f"cannot be read ({error.strerror})") from error
    if not data:
        raise _FileError("empty-file", "empty file")
    return data


def _header(path: Path) -> tuple[Form, Turned | None]:
    """Return an image's format and its EXIF rotation, both from its first bytes."""
    try:
        with path.open("rb") as file:
            start = file.read(26)
    except OSError as error:
        raise _FileError("unreadable", f"cannot be read ({error.strerror})") from error
    if not start:
        raise _FileError("empty-file", "empty file")
    form = form_of(path, start)
    with Image.open(path) as picture:
        has_exif = "exif" in picture.info or form.format == "TIFF"
    return form, turned(_read(path)) if has_exif else None


def _damage(data: bytes, error: BaseException) -> _FileError:
    """Return whether a picture that does not decode is truncated or corrupt."""
    for kind, start, end in (("PNG", _PNG, _PNG_END), ("JPEG", _JPEG, _JPEG_END)):
        if data.startswith(start) and end not in data[-_TAIL:]:
            return _FileError("truncated", f"truncated {kind}")
    if isinstance(error, Image.UnidentifiedImageError):
        return _FileError("damaged", "not a picture")
    return _FileError("damaged", f"damaged picture ({' '.join(str(error).split())})")


def _check_label_form(form: Form, encoding: str) -> None:
    """Raise if a label's storage format is wrong."""
    if form.format == "JPEG":
        raise _FileError("label-format", f"label saved as {form}, which changes the ids")
    if encoding in _ENCODED:
        bits, colours, otherwise = _ENCODED[encoding]
        if form.bits != bits or form.colour not in colours:
            raise _FileError("label-format", f"label saved as {form}, {otherwise}")
    elif form.colour not in ("grey", "palette"):
        raise _FileError("coloured-label", f"label saved as {form}: colours, not ids")
    elif form.bits == 16:
        raise _FileError("16-bit-label", f"label saved as {form}, not with 8 bits")
    elif form.bits < 8 and form.colour == "grey":
        raise _FileError("label-format", f"label saved as {form}, whose values readers scale")


def _image_problems(form: Form) -> list[tuple[str, str]]:
    """Return the unexpected properties of an image's storage format."""
    found = []
    if form.bits == 16:
        found.append(("16-bit-image", f"image saved as {form}"))
    if "alpha" in form.colour or form.colour == "RGBA":
        found.append(("rgba-image", f"image saved as {form}"))
    elif form.colour == "palette":
        found.append(("palette-image", f"image saved as {form}"))
    elif form.colour != "RGB":
        found.append(("grey-image", f"image saved as {form}"))
    return found


def _name_problems(path: Path, form: Form) -> list[tuple[str, str]]:
    expected = _SUFFIXES.get(path.suffix.lower())
    if expected in (None, form.format):
        return []
    return [("other-format", f"{path.suffix} file that holds a {form.format}")]
