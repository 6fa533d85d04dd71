"""Allow one training at a time in a work dir.

The system itself holds the lock: a record lock on a file in the folder. It ends with its process,
however that ends, and data workers do not inherit it. NFS passes such locks between machines,
unless it was mounted without them. The file is removed at the end; after a kill it stays and means
nothing. While a process holds the lock it must not open and close the file, because that would end
the lock.

A benchmark's cell has its own lease (`ibn_seg.results.lease`), with which another worker can take
over from a stopped one. This lock is left out there.
"""

import contextlib
import errno
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from ibn_seg.engine.distributed import on_main_process
from ibn_seg.errors import UserError
from ibn_seg.io import write_error
from ibn_seg.results.lease import VARIABLE

LOCK = ".training.lock"
_HELD = frozenset((errno.EACCES, errno.EAGAIN))
# A file system that has no locks.
_NO_LOCKS = frozenset((errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL))


@contextlib.contextmanager
def folder_lock(work_dir: str | os.PathLike) -> Iterator[None]:
    """Hold the lock of a work dir during the block, on the first rank.

    If the system or the file system has no such locks, no lock is held. A benchmark's cell holds
    none either.

    Raises:
        UserError: Another process holds it.
        EnvError: The folder cannot be written.
    """
    with contextlib.ExitStack() as held:
        if not os.environ.get(VARIABLE):
            on_main_process(lambda: _hold(Path(work_dir), held))
        yield


def _hold(work_dir: Path, held: contextlib.ExitStack) -> None:
    """Take the lock and let the stack release it."""
    path = work_dir / LOCK
    try:
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            # Closed last, after the file is removed: a waiting process then opens a new one.
            held.callback(os.close, handle)
            if not _lock(handle):
                raise UserError(
                    f"{work_dir}: another training runs in this folder{_holder(handle)}",
                    "wait for it, or give another --work-dir",
                )
            if _is_at(handle, path):
                break
        held.callback(path.unlink, missing_ok=True)
        os.ftruncate(handle, 0)
        holder = {"host": socket.gethostname(), "pid": os.getpid()}
        os.pwrite(handle, json.dumps(holder).encode(), 0)
    except OSError as error:
        raise write_error(path, error) from error


def _lock(handle: int) -> bool:
    """Lock an open file unless another process has locked it; return whether it did."""
    try:
        import fcntl
    except ImportError:  # Windows has no record locks
        return True
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        if error.errno not in _NO_LOCKS:
            raise
    return True


def _is_at(handle: int, path: Path) -> bool:
    """Tell whether an open file is still the one at a path; its last holder may have removed it."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _holder(handle: int) -> str:
    """Return the holder of the lock, from its file."""
    try:
        holder = json.loads(os.pread(handle, 1000, 0))
        return f" (process {holder['pid']} on {holder['host']})"
    except (ValueError, KeyError, TypeError, OSError):
        return ""
