"""Runs `ibn-seg data prepare`: unpacks official archives into the layout of the data sets."""

import contextlib
import fcntl
import fnmatch
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from ibn_seg.datasets.all_datasets import dataset_class
from ibn_seg.datasets.card import DataCard
from ibn_seg.downloads.archives import (
    Member,
    copy,
    file_crc,
    members_of,
    open_members,
    same_content,
)
from ibn_seg.downloads.check import shortage
from ibn_seg.downloads.parts import Listing, list_parts
from ibn_seg.errors import EnvError, UserError
from ibn_seg.io import write_error

Progress = Callable[[str, int, int], None]

_STAGING = ".ibn_seg_unpack"
# Leftovers of archivers.
_JUNK = ("__MACOSX", ".DS_Store", "Thumbs.db")
# Space to leave free on the disk.
_RESERVE = 64 * 2**20


@dataclass
class Plan:
    """The plan for unpacking one archive.

    Attributes:
        archive: Its path.
        files: The data set's members, by their paths below the root.
        others: Number of other members.
    """

    archive: Path
    files: dict[str, Member] = field(default_factory=dict)
    others: int = 0


@dataclass
class Prepared:
    """The result of preparing a data set.

    Attributes:
        card: What is known of the data set.
        root: Its root.
        written: Number of unpacked files.
        kept: Number of files that existed already.
        others: Number of archive members that are not the data set's.
        listings: The data set's parts as they are now; empty if none can be read yet.
        missing: One line for each thing that is still missing.
    """

    card: DataCard
    root: Path
    written: int = 0
    kept: int = 0
    others: int = 0
    listings: list[Listing] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def prepare(
    name: str,
    archives: Sequence[str | os.PathLike],
    out: str | os.PathLike,
    *,
    progress: Progress | None = None,
) -> Prepared:
    """Unpack a data set's archives and verify the numbers of files.

    All archives are read and checked before the first file is written. Every file appears complete
    or not at all. After an interruption, the same call resumes and keeps existing files. They must
    have the same size and CRC as in a zip, or the same content as in a tar. Nothing is downloaded.

    Args:
        name: A name of `all_datasets.DATA_SETS`.
        archives: Paths of zip or tar files.
        out: The data root; it is created.
        progress: Called with (what, bytes done, bytes in all).

    Raises:
        UserError: There is no such data set, it has no archives, or an archive is damaged,
            malicious or of another data set.
        EnvError: The disk is too small or cannot be written.
    """
    card = dataset_class(name).CARD
    if not card.anchors:
        raise UserError(f"{name} has no archives", "put the files where you want them")
    if not archives:
        raise UserError(f"{name}: no archive given", instructions(card))
    root = Path(out).expanduser()
    plans = [_plan(name, card, Path(archive), progress) for archive in archives]
    _check_clashes(plans)
    result = Prepared(card, root, others=sum(plan.others for plan in plans))
    with _staging(root) as folder:
        _check_places(root, plans)
        _check_space(root, plans)
        total = sum(member.size for plan in plans for member in plan.files.values())
        done = 0
        for plan in plans:
            for member, written in _unpack(plan, root, folder):
                done += member.size
                result.written += written
                result.kept += not written
                if progress:
                    progress("unpack", done, total)
    _verify(name, result, [plan.archive.name for plan in plans])
    return result


def instructions(card: DataCard) -> str:
    """Return one line on a data set's archives and where to get them."""
    files = list(card.archives)
    if len(files) > 4:
        files = [files[0], "...", files[-1]]
    return f"get {', '.join(files)} from {card.source} ({card.licence})"


def _plan(name: str, card: DataCard, archive: Path, progress: Progress | None) -> Plan:
    """Decide where each member of an archive goes."""
    label = f"read {archive.name}"
    members = members_of(archive, progress and (lambda done, total: progress(label, done, total)))
    plan = Plan(archive)
    for member in members:
        target = place(card, member.name)
        if target is None:
            plan.others += 1
        elif target in plan.files and plan.files[target] != member:
            raise UserError(
                f"{archive}: two different members become {target!r}", "refused; unpack it yourself"
            )
        else:
            plan.files[target] = member
    if not plan.files:
        folders = ", ".join(f"{anchor}/" for anchor in card.anchors)
        raise UserError(
            f"{archive}: nothing of {name} in it (looked for {folders})", instructions(card)
        )
    return plan


def place(card: DataCard, name: str) -> str | None:
    """Return a member's path below the root, or None if it is not the data set's.

    Folders above the layout's first folder are dropped.
    """
    parts = PurePosixPath(name).parts
    if any(part in _JUNK for part in parts) or parts[-1].startswith("._"):
        return None
    anchors = [PurePosixPath(anchor).parts for anchor in card.anchors]
    for index in range(len(parts) - 1):
        if any(parts[index : index + len(anchor)] == anchor for anchor in anchors):
            return PurePosixPath(*parts[index:]).as_posix()
    file = parts[-1]
    if any(fnmatch.fnmatchcase(file, pattern) for pattern in card.keep):
        return file
    for pattern, folder in card.flat:
        if fnmatch.fnmatchcase(file, pattern):
            return f"{folder}/{file}"
    return None


def _check_clashes(plans: Sequence[Plan]) -> None:
    """Raise if two archives have different files for one path."""
    seen: dict[str, tuple[Path, Member]] = {}
    for plan in plans:
        for target, member in plan.files.items():
            archive, other = seen.setdefault(target, (plan.archive, member))
            if (other.size, other.crc) != (member.size, member.crc):
                raise UserError(
                    f"{archive} and {plan.archive} have different files for {target!r}",
                    "give the archives of one release only",
                )


def _check_places(root: Path, plans: Sequence[Plan]) -> None:
    """Raise if a link in the root would lead a file out of it."""
    inside = root.resolve()
    folders = {PurePosixPath(target).parent for plan in plans for target in plan.files}
    for folder in sorted(folders):
        real = (root / folder).resolve()
        if not real.is_relative_to(inside):
            raise UserError(
                f"{root / folder}: leads out of {str(root)!r} through a link",
                "link the whole root, or unpack there yourself",
            )


def _check_space(root: Path, plans: Sequence[Plan]) -> None:
    """Raise if the disk is too small, before the first byte is written."""
    needed = 0
    for plan in plans:
        for target, member in plan.files.items():
            there = root / target
            old = there.stat().st_size if there.is_file() else 0
            needed += 0 if old == member.size else member.size
    free = shutil.disk_usage(root).free
    if needed + _RESERVE > free:
        raise EnvError(
            f"{root}: {needed / 2**30:.1f} GiB are needed and {free / 2**30:.1f} GiB are free",
            "free space or choose another --out",
        )


@contextlib.contextmanager
def _staging(root: Path) -> Iterator[Path]:
    """Yield a folder on the root's disk for unfinished files; one process at a time.

    Files that a killed process left in it are removed.
    """
    folder = root / _STAGING
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise write_error(root, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(
                f"{root}: another `ibn-seg data prepare` is at work there", "wait for it"
            ) from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _unpack(plan: Plan, root: Path, staging: Path) -> Iterator[tuple[Member, bool]]:
    """Unpack one archive; yield each member and whether it was written."""
    targets: dict[str, list[str]] = {}
    for target, member in plan.files.items():
        if _is_there(root / target, member):
            yield member, False
        else:
            targets.setdefault(member.name, []).append(target)
    for name, content in open_members(plan.archive, set(targets)):
        for target in targets.pop(name, ()):
            member = plan.files[target]
            yield member, _write(content, root / target, member, plan.archive, staging)
    if targets:
        raise UserError(f"{plan.archive}: {next(iter(targets))} is gone", "was it replaced?")


def _is_there(path: Path, member: Member) -> bool:
    """Return whether a zip member can be skipped; a tar's content is compared later."""
    if member.crc is None or not path.is_file() or path.stat().st_size != member.size:
        return False
    return file_crc(path) == member.crc


def _write(content: IO[bytes], target: Path, member: Member, source: Path, staging: Path) -> bool:
    """Write one complete file unless it exists; return whether it was written."""
    same_size = target.is_file() and target.stat().st_size == member.size
    if member.crc is None and same_size:
        if same_content(content, target, source):
            return False
        content.seek(0)
    part = staging / "part"
    try:
        copy(content, part, member, source)
        target.parent.mkdir(parents=True, exist_ok=True)
        part.replace(target)
    except OSError as error:
        raise write_error(target, error) from error
    return True


def _verify(name: str, result: Prepared, given: Sequence[str]) -> None:
    """Count the existing files and report what is missing."""
    try:
        result.listings = list_parts(dataset_class(name), result.root)
    except UserError as error:
        result.missing.append(error.line)
    for listing in result.listings:
        result.missing += [finding.line for finding in listing.findings]
        lonely = len(listing.images.keys() ^ listing.labels.keys())
        if lonely and not listing.findings:
            result.missing.append(f"{listing.part.name}: {lonely:,} files without partner")
        result.missing += filter(None, [shortage(listing)])
    if result.missing:
        others = [archive for archive in result.card.archives if archive not in given]
        if others:
            result.missing.append(instructions(result.card))
