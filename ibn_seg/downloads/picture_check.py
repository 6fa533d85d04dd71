"""Runs `ibn-seg data check` on re-identification data sets."""

import collections
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ibn_seg.downloads.files import Job, look_at
from ibn_seg.downloads.findings import KINDS, Finding
from ibn_seg.errors import UserError
from ibn_seg.reid.set_numbers import (
    PartNumbers,
    check_search,
    part_numbers,
    repeated,
    unmatched,
)
from ibn_seg.reid.sets.all_sets import picture_set
from ibn_seg.reid.sets.picture_set import GALLERY, QUERY, TRAIN, Picture, PictureSet
from ibn_seg.worker_pool import default_workers, run_batches

Progress = Callable[[int, int], None]


@dataclass
class PictureCheck:
    """The result of a check.

    Attributes:
        name: The data set's name.
        pictures: The data set.
        parts: The pictures of each part that is there.
        numbers: Their counts.
        unmatched: Number of queries without a match; they are left out of scores.
        findings: The defects, in the order of discovery.
        sizes: Number of pictures of each width and height.
        files: Number of inspected files.
        seconds: Wall time.
        workers: Number of processes.
    """

    name: str
    pictures: PictureSet
    parts: dict[str, list[Picture]] = field(default_factory=dict)
    numbers: dict[str, PartNumbers] = field(default_factory=dict)
    unmatched: int = 0
    findings: list[Finding] = field(default_factory=list)
    sizes: collections.Counter = field(default_factory=collections.Counter)
    files: int = 0
    seconds: float = 0.0
    workers: int = 1

    def found(self, kind: str, text: str, *paths: Path) -> None:
        """Add a finding."""
        names = (path.relative_to(self.pictures.root).as_posix() for path in paths)
        self.findings.append(Finding(kind, tuple(names), text))

    def counts(self) -> dict[str, int]:
        """Return the number of findings of each kind found, in the order of `KINDS`."""
        counted = collections.Counter(finding.kind for finding in self.findings)
        return {kind: counted[kind] for kind in KINDS if counted[kind]}

    def report(self) -> dict[str, Any]:
        """Return all results, for a JSON file."""
        return {
            "data_set": self.name,
            "root": str(self.pictures.root),
            "options": self.pictures.options,
            "note": self.pictures.CARD.note,
            "parts": {part: asdict(numbers) for part, numbers in self.numbers.items()},
            "official": {part: asdict(one) for part, one in self.pictures.expected.items()},
            "queries_without_match": self.unmatched,
            "files": self.files,
            "summary": self.counts(),
            "findings": [
                {**asdict(finding), "harmful": KINDS[finding.kind].harmful}
                for finding in self.findings
            ],
            "sizes": {f"{w}x{h}": count for (w, h), count in self.sizes.most_common()},
            "seconds": self.seconds,
            "workers": self.workers,
        }


def check_pictures(
    name: str,
    root: str | os.PathLike,
    *,
    options: Mapping[str, Any] | None = None,
    decode: bool = True,
    complete: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> PictureCheck:
    """Inspect every picture of a re-identification data set.

    Args:
        name: A key of `PICTURE_SETS`.
        root: Its root.
        options: Its choices, such as boxes='labeled'.
        decode: Decode every picture. Without it only headers are read: no truncated pictures.
        complete: Report a number of pictures or identities below the official one.
        workers: Number of processes; default the number of cores.
        progress: Called with (files done, files in all).

    Raises:
        UserError: There is no such data set, root or option, or no part of it.
        EnvError: A worker died.
    """
    start = time.perf_counter()
    result = PictureCheck(name, picture_set(name, root, **(options or {})))
    result.workers = default_workers() if workers is None else workers
    _list_parts(result)
    _look(result, decode, progress)
    _compare_parts(result)
    if complete:
        for line in shortages(result):
            result.findings.append(Finding("incomplete", (), line))
    result.seconds = time.perf_counter() - start
    return result


def shortages(result: PictureCheck) -> list[str]:
    """Return one line for each number that is below the official one."""
    lines = []
    for part, official in result.pictures.expected.items():
        found = result.numbers.get(part)
        about = "" if official.sure else "about "
        for what in ("pictures", "identities", "junk"):
            there, wanted = getattr(found, what, 0), getattr(official, what)
            if there < wanted:
                lines.append(f"{part}: {there:,} {what} of {about}{wanted:,}")
    return lines


def _list_parts(result: PictureCheck) -> None:
    """List every part; names that do not parse, and official parts that lack, are findings."""
    absent: dict[str, UserError] = {}
    for part in result.pictures.parts:
        try:
            found, errors = result.pictures.listed(part)
        except UserError as error:
            absent[part] = error
            continue
        result.findings += [Finding("layout", (), error.line) for error in errors]
        result.parts[part] = found
        result.numbers[part] = part_numbers(found, result.pictures.CARD)
    if not any(result.parts.values()):
        lines = [finding.line for finding in result.findings]
        raise next(
            iter(absent.values()), UserError(f"{result.pictures.root}: no picture", *lines[:1])
        )
    official = [error for part, error in absent.items() if part in result.pictures.expected]
    result.findings += [Finding("layout", (), error.line) for error in official]


def _look(result: PictureCheck, decode: bool, progress: Progress | None) -> None:
    """Inspect every file, and compare the contents of the parts."""
    parts: dict[Path, str] = {}
    for part, pictures in result.parts.items():
        for picture in pictures:
            parts.setdefault(picture.path, part)
    there = [path for path in parts if path.is_file()]
    for path in parts.keys() - set(there):
        result.found("listed-missing", "listed, but not there", path)
    jobs = [Job(number, path, decode=decode) for number, path in enumerate(there)]
    digests: dict[bytes, Path] = {}
    for batch in run_batches(look_at, jobs, workers=result.workers, size=32):
        for look in batch.looks:
            path = there[look.index]
            for kind, text in look.problems:
                result.found(kind, text, path)
            if look.size is not None:
                result.sizes[look.size] += 1
            if look.digest:
                _compare_content(result, path, digests.setdefault(look.digest, path), parts)
        result.files += len(batch.looks)
        if progress:
            progress(result.files, len(jobs))


def _compare_content(
    result: PictureCheck, path: Path, first: Path, parts: Mapping[Path, str]
) -> None:
    """Report a picture whose content another one has; a query may be in the gallery again."""
    if path == first or {parts[path], parts[first]} == {QUERY, GALLERY}:
        return
    crossed = TRAIN in (parts[path], parts[first]) and parts[path] != parts[first]
    kind = "duplicate-across-splits" if crossed else "duplicate"
    same = first.relative_to(result.pictures.root).as_posix()
    result.found(kind, f"same picture as {same}", path)


def _compare_parts(result: PictureCheck) -> None:
    """Report identities in two splits, repeated queries, and searches that cannot be."""
    train, query, gallery = (result.parts.get(part, []) for part in (TRAIN, QUERY, GALLERY))
    if not result.pictures.CARD.shared_numbers:
        both = {p.identity for p in train} & {p.identity for p in (*query, *gallery)}
        both -= set(result.pictures.CARD.nobody)
        if both:
            text = f"{len(both)} identities are in training and test, such as {min(both)}"
            result.findings.append(Finding("shared-identity", (), text))
    for picture in repeated(query):
        result.found("repeated-query", "listed twice", picture.path)
    if not query and not gallery:
        return
    result.unmatched = len(unmatched(query, gallery))
    try:
        check_search(list({picture.path: picture for picture in query}.values()), gallery)
    except UserError as error:
        result.findings.append(Finding("no-search", (), error.line))
