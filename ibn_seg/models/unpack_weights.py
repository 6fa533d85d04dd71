"""Unpack the one file of a downloaded archive, bounded and checked, or not at all."""

import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ibn_seg.errors import UserError
from ibn_seg.io import atomic_path

# The largest file of the kind that was published has 0.4 GB.
MOST_BYTES = 1 << 30
_BLOCK = 1 << 20
# What damaged, encrypted and unknown archives raise in Python's reader.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError)
_FIX = "the archive is not the published one; try again, or another source"


def unpack(archive: Path, path: Path, sha1: str, source: str) -> None:
    """Write the file that an archive holds under its own name.

    Args:
        archive: A ZIP archive of one file.
        path: Where the file goes. It has the name of the file in the archive, and appears when it
            is complete and checked.
        sha1: The first hexadecimal digits of the file's SHA-1.
        source: Where the archive is from, for messages.

    Raises:
        UserError: It is no such archive, or the file has another hash.
        EnvError: The disk is full.
    """
    with atomic_path(path) as temporary:
        with temporary.open("wb") as file:
            found = _copy(archive, path.name, file, source)
        if not found.startswith(sha1):
            raise UserError(
                f"{source}: the SHA-1 of {path.name} begins with {found[: len(sha1)]}, "
                f"expected {sha1}",
                _FIX,
            )


def _copy(archive: Path, name: str, file: IO[bytes], source: str) -> str:
    """Copy the only file of an archive, and return its SHA-1."""
    digest, written = hashlib.sha1(usedforsecurity=False), 0
    for block in _blocks(archive, name, source):
        written += len(block)
        if written > MOST_BYTES:
            raise UserError(f"{source}: unpacked it has more than {MOST_BYTES:,} bytes", _FIX)
        digest.update(block)
        file.write(block)
    return digest.hexdigest()


def _blocks(archive: Path, name: str, source: str) -> Iterator[bytes]:
    """Yield the content of an archive's only file."""
    try:
        with zipfile.ZipFile(archive) as opened:
            names = [member.filename for member in opened.infolist()]
            if names != [name]:
                raise UserError(f"{source}: holds {names[:3]}, expected {name} alone", _FIX)
            with opened.open(name) as member:
                while block := member.read(_BLOCK):
                    yield block
    except _DAMAGE as error:
        raise UserError(f"{source}: not a readable ZIP archive ({error})", _FIX) from error
