"""Download files completely and checked, or not at all."""

import contextlib
import http.client
import importlib.util
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from ibn_seg.errors import EnvError, UserError
from ibn_seg.io import sha256, write_error
from ibn_seg.progress import progress_callback

TIMEOUT_S = 30.0
_ATTEMPTS = 3
_BLOCK = 1 << 20
_PARTIAL = 206
_RANGE_NOT_SATISFIABLE = 416

Progress = Callable[[int, int | None], None]


class _CutError(Exception):
    """The connection ended before the file was complete, or failed."""


def download(
    url: str, path: Path, hash_prefix: str | None = None, hash_of: Callable[[Path], str] = sha256
) -> None:
    """Fetch a file, unless it already exists.

    If the hash of a file is known, an interrupted download is kept beside it (`.part`). This call
    or the next one continues it. Several processes may ask for the same file: one fetches it, the
    others wait.

    Args:
        url: An http(s) address.
        path: Where the file goes; it appears when it is complete and checked.
        hash_prefix: The first hexadecimal digits of its hash, checked if given.
        hash_of: Returns the hash of a file: `io.sha256` or `io.sha1`.

    Raises:
        UserError: The server does not have it, or its hash is another.
        EnvError: The server cannot be reached or stops sending, or the disk is full.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as file, _tidied(part, hash_prefix):
            _lock(file)
            if path.is_file() and _matches(path, hash_prefix, hash_of):
                return
            if hash_prefix is None:
                file.truncate(0)
            with _progress(path.name) as progress:
                _fetch(url, file, progress)
            file.flush()
            os.fsync(file.fileno())
            if not _matches(part, hash_prefix, hash_of):
                found = hash_of(part)[: len(hash_prefix or "")]
                file.truncate(0)
                kind = "SHA-256" if hash_of is sha256 else "SHA-1"
                raise UserError(
                    f"{url}: its {kind} begins with {found}, expected {hash_prefix}",
                    "the file there is not the published one; try again, or another source",
                )
            part.replace(path)
    except OSError as error:
        raise write_error(path, error) from error


@contextlib.contextmanager
def _tidied(part: Path, hash_prefix: str | None) -> Iterator[None]:
    """Leave a partial file only if a later call can continue it."""
    try:
        yield
    finally:
        if part.exists() and (hash_prefix is None or part.stat().st_size == 0):
            part.unlink()


def _matches(path: Path, hash_prefix: str | None, hash_of: Callable[[Path], str]) -> bool:
    return hash_prefix is None or hash_of(path).startswith(hash_prefix)


def _lock(file: IO[bytes]) -> None:
    """Wait until no other process writes to this file; without flock there is no wait."""
    if importlib.util.find_spec("fcntl"):
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)


def _fetch(url: str, file: IO[bytes], progress: Progress) -> None:
    """Append the missing part; try again if the connection breaks."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _append(url, file, progress)
            return
        except _CutError as error:
            if attempt == _ATTEMPTS:
                raise EnvError(
                    f"{url}: {error}", "try again, which downloads the rest; or fetch it yourself"
                ) from error


def _append(url: str, file: IO[bytes], progress: Progress) -> None:
    """Append as much of the rest of the file as one connection delivers.

    Raises:
        _CutError: The connection ended early.
    """
    file.flush()
    done = os.fstat(file.fileno()).st_size  # not tell(), which truncate() does not change
    request = urllib.request.Request(url, headers={"User-Agent": "ibn_seg"})
    if done:
        request.add_header("Range", f"bytes={done}-")
    try:
        with _connection_errors():
            answer = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == _RANGE_NOT_SATISFIABLE:
            file.truncate(0)  # at least as long as the server's file, but not that file
        if error.code >= 500 or error.code == _RANGE_NOT_SATISFIABLE:
            raise _CutError(f"the server says {error.code} {error.reason}") from error
        raise UserError(f"{url}: the server says {error.code} {error.reason}") from error
    with answer:
        if done and answer.status != _PARTIAL:
            file.truncate(0)
            done = 0
        length = answer.headers.get("Content-Length")
        total = done + int(length) if length else None
        while block := _read(answer):
            file.write(block)
            done += len(block)
            progress(done, total)
    if total is not None and done < total:
        raise _CutError(f"the connection ended after {done} of {total} bytes")


def _read(answer: http.client.HTTPResponse) -> bytes:
    with _connection_errors():
        return answer.read(_BLOCK)


@contextlib.contextmanager
def _connection_errors() -> Iterator[None]:
    """Turn connection failures into `_CutError`; pass on answers of the server."""
    try:
        yield
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise _CutError(f"cannot be reached ({str(reason) or type(reason).__name__})") from error


@contextlib.contextmanager
def _progress(name: str) -> Iterator[Progress]:
    """Show a bar if there is a terminal and rich is installed."""
    if sys.stderr.isatty() and importlib.util.find_spec("rich"):
        with progress_callback(name) as progress:
            yield lambda done, total: progress(done, total or done)
    else:
        yield lambda done, total: None
