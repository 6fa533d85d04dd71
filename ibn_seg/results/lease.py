"""A lock on a folder that processes on several machines agree on through its files.

Every holder of the lock has a numbered file, `000001`, `000002` and so on. `os.link` makes it
whole, and only one process can make each number. The highest number is the holder, unless
`NUMBER.released` lies beside it or its file is *stale*. A file is stale if it was not touched for
as long as the holder promised. Another process takes over by making the next number. So the files
say at every moment who holds the lock. A stopped holder sees that a higher number exists.

Ages are differences of two times that the *store* gave to files (`_store_now`), so the machines'
clocks do not matter. Designed for NFS v4, but not tested on it. There the log, and only the log,
may lose lines, because NFS does not append atomically.
"""

import contextlib
import json
import os
import secrets
import socket
import tempfile
import threading
from pathlib import Path
from typing import Any

from ibn_seg.errors import EnvError
from ibn_seg.io import write_error

LEASE_S = 60.0
LOG = "log"
# Names the holder's file to the processes of a cell.
VARIABLE = "IBN_SEG_LEASE"
_DIGITS = 6


def holder_number(folder: Path) -> int:
    """Return the number of the newest holder, 0 if there never was one."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return 0
    return max((int(name) for name in names if name.isdecimal()), default=0)


def is_superseded(path: str | os.PathLike) -> bool:
    """Tell whether another process has taken over from the holder of this file."""
    path = Path(path)
    return (path.parent / _name(int(path.name) + 1)).exists()


def status(folder: Path) -> str:
    """Return 'free', 'held' or 'stale'."""
    number = holder_number(folder)
    if not number or _released(folder, number).exists():
        return "free"
    return "stale" if _is_stale(folder / _name(number)) else "held"


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Return the events of a lock: each with event, number, host, pid and the store's time."""
    try:
        text = (folder / LOG).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.splitlines()]


def note(path: Path, event: str, **more: Any) -> None:
    """Append an event of this file's holder to the log, in a single write.

    Args:
        path: The holder's file.
        event: 'acquire', 'takeover', 'devices', 'train', 'measure', 'release' or 'lost'.
        **more: Further entries of the line. Its `time` is in seconds, by the store's clock.
    """
    log = os.open(path.parent / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.utime(log)
        line = {
            "event": event, "number": int(path.name), "host": socket.gethostname(),
            "pid": os.getpid(), "time": os.fstat(log).st_mtime, **more,
        }  # fmt: skip
        os.write(log, (json.dumps(line) + "\n").encode())
    finally:
        os.close(log)


class Lease:
    """A held lock, kept alive by a thread that touches its file.

    Use it as a context manager: it is released at the end, unless it was lost.

    Args:
        path: The holder's file.
        lease_s: The holder promises to touch it within this many seconds.
    """

    def __init__(self, path: Path, lease_s: float) -> None:
        self.path = path
        self.lease_s = lease_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)

    @property
    def lost(self) -> bool:
        """Whether another process has taken over, because this one was stopped for too long."""
        return is_superseded(self.path)

    def __enter__(self) -> "Lease":
        """Begin to touch the file."""
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Release the lock, or note that it was lost."""
        self._ended.set()
        self._thread.join()
        if self.lost:
            note(self.path, "lost")
            return
        note(self.path, "release")
        with contextlib.suppress(FileExistsError):
            os.close(os.open(_released(self.path.parent, int(self.path.name)),
                             os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # fmt: skip

    def _beat(self) -> None:
        while not self._ended.wait(self.lease_s / 6) and not self.lost:
            # If the store is briefly unavailable, try again.
            with contextlib.suppress(OSError):
                os.utime(self.path)


def acquire(folder: Path, lease_s: float = LEASE_S) -> Lease | None:
    """Take the lock of a folder if it is free or stale; None if another process has it.

    Args:
        folder: The folder of the lock's files, made if it is missing.
        lease_s: Seconds without a touch after which others may take over.

    Raises:
        EnvError: The folder cannot be written, or its file system has no hard links.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = holder_number(folder)
        free = not number or _released(folder, number).exists()
        if not free and not _is_stale(folder / _name(number)):
            return None
        path = folder / _name(number + 1)
        if not _create(path, lease_s):
            return None
        note(path, "acquire" if free else "takeover")
        return Lease(path, lease_s)
    except OSError as error:
        raise write_error(folder, error) from error


def _create(path: Path, lease_s: float) -> bool:
    """Make a holder's file, whole and exclusively; return whether this process made it."""
    own = path.parent / f".{secrets.token_hex(8)}"
    holder = {"host": socket.gethostname(), "pid": os.getpid(), "lease_s": lease_s}
    own.write_text(json.dumps(holder) + "\n", encoding="utf-8")
    try:
        os.link(own, path)
    except FileExistsError:
        # Over a network the reply to a successful link may be lost, and the call repeated.
        return own.stat().st_nlink == 2
    except (PermissionError, NotImplementedError) as error:
        raise EnvError(
            f"{path.parent}: its file system has no hard links", "choose another folder"
        ) from error
    finally:
        own.unlink(missing_ok=True)
    return True


def _is_stale(path: Path) -> bool:
    """Tell whether a holder has not touched its file for as long as it promised."""
    lease_s = json.loads(path.read_text(encoding="utf-8"))["lease_s"]
    now = _store_now(path.parent)
    return now - path.stat().st_mtime > lease_s


def _store_now(folder: Path) -> float:
    """Return the time that the store gives to a file written just now, in seconds."""
    handle, name = tempfile.mkstemp(prefix=".probe.", dir=folder)
    try:
        # The server of a network file system sets this time, not its client.
        os.utime(name)
        return os.stat(name).st_mtime
    finally:
        os.close(handle)
        os.unlink(name)


def _released(folder: Path, number: int) -> Path:
    return folder / f"{_name(number)}.released"


def _name(number: int) -> str:
    return f"{number:0{_DIGITS}}"
