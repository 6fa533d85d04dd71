"""Runs `ibn-seg data check`: finds all defects of a download in one pass over its files."""

import collections
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ibn_seg.datasets.all_datasets import dataset_class
from ibn_seg.datasets.card import DataCard
from ibn_seg.datasets.orientation import Turned
from ibn_seg.downloads.files import Batch, Job, look_at
from ibn_seg.downloads.findings import KINDS, Finding
from ibn_seg.downloads.hints import label_notes
from ibn_seg.downloads.parts import Listing, list_parts
from ibn_seg.errors import UserError
from ibn_seg.worker_pool import default_workers, run_batches

Progress = Callable[[int, int], None]


@dataclass
class Check:
    """The result of a check.

    Attributes:
        card: What is known of the data set.
        root: Its root.
        listings: Its parts.
        findings: The defects, in the order of discovery.
        forms: Number of files stored in each way, for 'image' and 'label'.
        sizes: Number of images of each size.
        pixels: Pixels of each trainId (256), by part.
        present: (256,) number of label files with each class, by part.
        upper: (256,) pixels of each trainId in the upper half of the labels, by part.
        partners: The partners of each file, by path.
        files: Number of inspected files.
        labels_only: Whether images were not decoded.
        workers: Number of processes.
        seconds: Wall time of 'list' and 'look', and time in decoders ('decode'), summed over
            workers.
    """

    card: DataCard
    root: Path
    listings: list[Listing]
    findings: list[Finding] = field(default_factory=list)
    forms: dict[str, collections.Counter] = field(
        default_factory=lambda: {"image": collections.Counter(), "label": collections.Counter()}
    )
    sizes: collections.Counter = field(default_factory=collections.Counter)
    pixels: dict[int, np.ndarray] = field(default_factory=dict)
    present: dict[int, np.ndarray] = field(default_factory=dict)
    upper: dict[int, np.ndarray] = field(default_factory=dict)
    partners: dict[Path, list[Path]] = field(default_factory=dict)
    files: int = 0
    labels_only: bool = False
    workers: int = 1
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes that the labels show."""
        return tuple(self.listings[0].dataset.metainfo["classes"])

    @property
    def notes(self) -> list[str]:
        """What suggests that the labels are by another table; it counts as no finding."""
        pixels, upper = (
            sum(part.values(), np.zeros(256, np.int64)) for part in (self.pixels, self.upper)
        )
        return label_notes(self.classes, pixels, upper, sum(self.forms["label"].values()))

    def relative(self, path: Path) -> str:
        """Return a file's path below the root."""
        return path.relative_to(self.root).as_posix()

    def found(self, kind: str, text: str, *paths: Path) -> None:
        """Add a finding."""
        self.findings.append(Finding(kind, tuple(map(self.relative, paths)), text))

    def counts(self) -> dict[str, int]:
        """Return the number of findings of each kind found, in the order of `KINDS`."""
        counted = collections.Counter(finding.kind for finding in self.findings)
        return {kind: counted[kind] for kind in KINDS if counted[kind]}


@dataclass
class _Files:
    """The files of all parts, each once, and which files belong together."""

    paths: list[Path] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    numbers: dict[Path, int] = field(default_factory=dict)
    pairs: list[tuple[int, int]] = field(default_factory=list)
    splits: dict[int, str] = field(default_factory=dict)

    def add(self, path: Path, **what: Any) -> int:
        """Return a file's number."""
        if path not in self.numbers:
            self.numbers[path] = len(self.paths)
            self.paths.append(path)
            self.jobs.append(Job(self.numbers[path], path, **what))
        return self.numbers[path]


@dataclass
class _Seen:
    """The facts kept about each inspected file.

    Attributes:
        sizes: Width and height by number; None for an unreadable file.
        turned: EXIF's rotation by number, for pictures that have one.
        digests: The images' hashes, by number.
    """

    sizes: list[tuple[int, int] | None]
    turned: dict[int, Turned] = field(default_factory=dict)
    digests: dict[int, bytes] = field(default_factory=dict)


def check(
    name: str,
    root: str | os.PathLike,
    *,
    options: Mapping[str, Any] | None = None,
    labels_only: bool = False,
    complete: bool = False,
    exclude: str | os.PathLike | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Check:
    """Inspect every file of a data set.

    Files that the data set leaves out, by itself or by its exclude list, are counted but not
    inspected. Memory does not grow with the size of pictures: each file costs a path, a size and a
    hash.

    Args:
        name: A name of `all_datasets.DATA_SETS`.
        root: The data set's root.
        options: Arguments of its class, such as split='val'; default: all parts.
        labels_only: Decode only the labels, and read only the headers of images. Truncated and
            duplicate images are then not found.
        complete: Report a number of files below the official one as a finding.
        exclude: The exclude list; default `ibn_seg_exclude.txt` in the root.
        workers: Number of processes; default the number of cores.
        progress: Called with (files done, files in all).

    Raises:
        UserError: There is no such data set, root, option or exclude list.
        EnvError: A worker died.
    """
    kind = dataset_class(name)
    start = time.perf_counter()
    root = Path(root).expanduser()
    listings = list_parts(kind, root, options, exclude)
    result = Check(kind.CARD, root, listings, labels_only=labels_only)
    result.workers = default_workers() if workers is None else workers
    files = _gather(result)
    listed = time.perf_counter()
    seen = _look(result, files, progress)
    _compare_sizes(result, files, seen)
    _find_duplicates(result, files, seen.digests)
    if complete:
        _compare_counts(result)
    ended = time.perf_counter()
    result.seconds |= {"list": listed - start, "look": ended - listed}
    return result


def _gather(result: Check) -> _Files:
    """Collect the files of all parts and report those without partner."""
    files = _Files()
    for number, listing in enumerate(result.listings):
        result.findings += listing.findings
        for key in [*listing.images, *(listing.labels.keys() - listing.images.keys())]:
            _gather_pair(result, files, number, key)
    return files


def _gather_pair(result: Check, files: _Files, number: int, key: str) -> None:
    listing = result.listings[number]
    image, label = listing.images.get(key), listing.labels.get(key)
    # A folder that is missing as a whole is a finding already.
    alone = not listing.findings
    if image is not None:
        first = files.add(image, decode=not result.labels_only)
        files.splits.setdefault(first, listing.split_of(key))
        if label is None and (listing.labels or alone):
            result.found("missing-label", "image without label", image)
    if label is None:
        return
    if image is None and (listing.images or alone):
        result.found("missing-image", "label without image", label)
    try:
        segments = listing.dataset.more_info(key).get("segments")
    except UserError as error:
        result.found("layout", error.line, label)
        return
    second = files.add(
        label,
        table=listing.dataset.label_table,
        group=number,
        segments=segments,
        highest=result.card.listed_ids,
    )
    if image is not None:
        files.pairs.append((first, second))
        result.partners.setdefault(image, []).append(label)
        result.partners.setdefault(label, []).append(image)


def _look(result: Check, files: _Files, progress: Progress | None) -> _Seen:
    """Inspect all files."""
    total = len(files.jobs)
    seen = _Seen([None] * total)
    shared: dict[tuple[int, int], tuple[int, int]] = {}
    decode_s = 0.0
    for batch in run_batches(look_at, files.jobs, workers=result.workers):
        _add(result, files, batch)
        decode_s += batch.decode_s
        for look in batch.looks:
            if look.size is not None:
                seen.sizes[look.index] = shared.setdefault(look.size, look.size)
            if look.turned is not None:
                seen.turned[look.index] = look.turned
            if look.digest:
                seen.digests[look.index] = look.digest
        result.files += len(batch.looks)
        if progress:
            progress(result.files, total)
    result.seconds["decode"] = decode_s
    return seen


def _add(result: Check, files: _Files, batch: Batch) -> None:
    """Add the results for some files."""
    for mine, theirs in (
        (result.pixels, batch.pixels),
        (result.present, batch.present),
        (result.upper, batch.upper),
    ):
        for group, counted in theirs.items():
            mine[group] = mine.get(group, 0) + counted
    for look in batch.looks:
        for kind, text in look.problems:
            result.found(kind, text, files.paths[look.index])
        if look.form is not None:
            is_image = files.jobs[look.index].table is None
            result.forms["image" if is_image else "label"][str(look.form)] += 1
            if is_image:
                result.sizes[look.size or look.form.size] += 1


def _compare_sizes(result: Check, files: _Files, seen: _Seen) -> None:
    """Report labels that differ in size from their images, or whose EXIF rotation sizes hide."""
    for image, label in files.pairs:
        a, b = seen.sizes[image], seen.sizes[label]
        if a is None or b is None:
            continue
        exif, paths = seen.turned.get(image), (files.paths[label], files.paths[image])
        if a != b:
            text = f"label of {b[0]}x{b[1]} for an image of {a[0]}x{a[1]}"
            why = ", which EXIF turns upright" if exif and exif.explains(b) else ""
            result.found("size-mismatch", text + why, *paths)
        elif exif and exif.size == exif.stored:
            text = (
                "EXIF turns the image upright, and the size does not show whether its label is; "
                "look at both, or save the image again without EXIF"
            )
            result.found("exif-orientation", text, *reversed(paths))
        elif label in seen.turned:
            text = "the label's EXIF orientation is ignored; look whether it is stored upright"
            result.found("exif-orientation", text, *paths)


def _find_duplicates(result: Check, files: _Files, digests: Mapping[int, bytes]) -> None:
    """Report images with equal bytes. Across two splits, the training image is to be left out."""
    first: dict[bytes, int] = {}
    for number, digest in digests.items():
        other = first.setdefault(digest, number)
        if other == number:
            continue
        splits = files.splits[other], files.splits[number]
        if splits[0] == splits[1]:
            text = f"same image as {result.relative(files.paths[other])} ({splits[0]})"
            result.found("duplicate", text, files.paths[number])
            continue
        out, kept = (other, number) if "train" in splits[0].split(",")[0] else (number, other)
        text = f"same image in two splits ({files.splits[out]}; {files.splits[kept]})"
        result.found("duplicate-across-splits", text, files.paths[out], files.paths[kept])


def _compare_counts(result: Check) -> None:
    for listing in result.listings:
        line = shortage(listing)
        if line:
            result.findings.append(Finding("incomplete", (), line))


def shortage(listing: Listing) -> str:
    """Return one line on how many files a part lacks of its official number, or ''."""
    count = listing.part.count
    if count is None or listing.pairs >= count:
        return ""
    about = "" if listing.part.sure else "about "
    why = f" ({listing.absent})" if listing.absent else ""
    return f"{listing.part.name}: {listing.pairs:,} pairs of {about}{count:,}{why}"
