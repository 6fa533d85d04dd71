"""Reads zip and tar archives that may be damaged or malicious, and checks members before use."""

import contextlib
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from ibn_seg.errors import UserError

# Pictures hardly compress, and JSON compresses to a tenth. Deflate's limit is a thousandth.
MAX_RATIO = 100
# A small archive may hold one text that compresses well.
_SMALL = 2**20
_CHUNK = 2**20
# Errors on reading damaged archives.
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, ValueError,
           NotImplementedError, RuntimeError)  # fmt: skip


@dataclass(frozen=True)
class Member:
    """A file in an archive.

    Attributes:
        name: Its checked path: relative, without '..'.
        size: Its declared size in bytes.
        crc: The CRC-32 of its content in a zip; None in a tar.
    """

    name: str
    size: int
    crc: int | None = None


def members_of(path: Path, progress: Callable[[int, int], None] | None = None) -> list[Member]:
    """Return the files in an archive; refuse members that no data set's archive has.

    A compressed tar is read to its end, because it has no table of contents.

    Args:
        path: The archive.
        progress: Called with (bytes read, bytes in all).

    Raises:
        UserError: The file is not a zip or tar, or it is damaged or truncated. Or a member is a
            link, a device or encrypted, or its path leads out. Or it would unpack to far more than
            the archive.
    """
    with _one_line(path):
        if not path.is_file():
            raise UserError(f"{path}: no such archive", "give the file that was downloaded")
        if zipfile.is_zipfile(path):
            return _zip_members(path)
        if _is_tar(path):
            return _tar_members(path, progress)
    raise UserError(
        f"{path}: truncated, or neither zip nor tar",
        "download it again; other formats have to be unpacked and packed as zip or tar",
    )


def open_members(path: Path, wanted: set[str]) -> "Iterator[tuple[str, IO[bytes]]]":
    """Yield name and content of the wanted members, in the archive's order.

    Raises:
        UserError: The archive is damaged or truncated.
    """
    with _one_line(path):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for info in archive.infolist():
                    if _clean(info.filename) in wanted and not info.is_dir():
                        with archive.open(info) as content:
                            yield _clean(info.filename), content
            return
        with tarfile.open(path, "r:*") as archive:
            for info in archive:
                if info.isreg() and _clean(info.name) in wanted:
                    yield _clean(info.name), archive.extractfile(info)
                # tarfile remembers every member, which takes memory.
                archive.members = []


def copy(content: IO[bytes], target: Path, member: Member, source: Path) -> None:
    """Write a member's content, up to its declared size.

    Raises:
        UserError: The content is longer or shorter than declared, or its checksum is wrong.
    """
    left, crc = member.size, 0
    with target.open("wb") as file, _one_line(source):
        while data := content.read(min(_CHUNK, left + 1)):
            left -= len(data)
            if left < 0:
                raise UserError(f"{source}: {member.name} holds more than it declares", "refused")
            crc = zlib.crc32(data, crc)
            file.write(data)
    if left:
        raise UserError(f"{source}: {member.name} is truncated", "download the archive again")
    if member.crc is not None and crc != member.crc:
        raise UserError(f"{source}: {member.name} is damaged", "download the archive again")


def same_content(content: IO[bytes], file: Path, source: Path) -> bool:
    """Return whether a file and a member have the same content."""
    with file.open("rb") as there, _one_line(source):
        while True:
            new, old = content.read(_CHUNK), there.read(_CHUNK)
            if new != old:
                return False
            if not new:
                return True


def file_crc(path: Path) -> int:
    """Return the CRC-32 of a file."""
    crc = 0
    with path.open("rb") as file:
        while data := file.read(_CHUNK):
            crc = zlib.crc32(data, crc)
    return crc


@contextlib.contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """Say in one line that an archive is damaged."""
    try:
        yield
    except UserError:
        raise
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{path}: truncated or damaged archive ({reason})", "download it again"
        ) from error


def _zip_members(path: Path) -> list[Member]:
    found = []
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refused(path, info.filename, "is a link or a device")
            if info.flag_bits & 1:
                raise UserError(f"{path}: {info.filename} is encrypted", "unpack it yourself")
            # zipfile turns backslashes into slashes on Windows only.
            name = _checked(path, info.orig_filename)
            if info.is_dir():
                continue
            _check_ratio(path, info.file_size, info.compress_size, info.filename)
            found.append(Member(name, info.file_size, info.CRC))
    total = sum(member.size for member in found)
    _check_ratio(path, total, path.stat().st_size, "it")
    return found


def _tar_members(path: Path, progress: Callable[[int, int], None] | None) -> list[Member]:
    found, total, end = [], 0, 0
    packed = path.stat().st_size
    with path.open("rb") as raw, tarfile.open(fileobj=raw, mode="r:*") as archive:
        for info in archive:
            if not (info.isreg() or info.isdir()):
                raise _refused(path, info.name, "is a link or a device")
            if info.issparse():
                raise _refused(path, info.name, "is a file with holes")
            name = _checked(path, info.name)
            # The header comes before the content, so this stops before anything is unpacked.
            total += info.size
            _check_ratio(path, total, packed, info.name)
            end = info.offset_data + -(-info.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
            if info.isreg():
                found.append(Member(name, info.size))
            archive.members = []
            if progress:
                progress(raw.tell(), packed)
        # A tar ends with empty blocks, and one was read. tarfile accepts any end of file.
        if archive.fileobj.tell() < end + tarfile.BLOCKSIZE:
            raise UserError(f"{path}: truncated archive", "download it again")
    return found


def _is_tar(path: Path) -> bool:
    """Return whether a tar begins here, even one truncated in its first member."""
    try:
        with tarfile.open(path, "r:*"):
            return True
    except tarfile.ReadError:
        return False


def _checked(path: Path, name: str) -> str:
    """Return a member's path, or raise if it could lead out of the folder."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise _refused(path, name, "leads out of the folder")
    if len(parts[0]) > 1 and parts[0][1] == ":":
        raise _refused(path, name, "leads out of the folder")
    return _clean(name)


def _clean(name: str) -> str:
    """Return a path without './' in front."""
    return PurePosixPath(name).as_posix()


def _check_ratio(path: Path, size: int, packed: int, what: str) -> None:
    if size > _SMALL and size > MAX_RATIO * max(packed, 1):
        raise UserError(
            f"{path}: refused, {what} would unpack to {size:,} bytes, {size // max(packed, 1)} "
            "times its packed size",
            "this is no archive of pictures",
        )


def _refused(path: Path, name: str, why: str) -> UserError:
    return UserError(
        f"{path}: refused, {os.fsencode(name).decode('utf-8', 'replace')!r} {why}",
        "nothing was unpacked; download the archive from its owner",
    )
