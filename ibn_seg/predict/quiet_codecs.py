"""Keeps the output of codecs' C libraries off the terminal."""

import contextlib
import io
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_STDERR = 2
# The descriptor belongs to the whole process. Two threads would restore each other's.
_turn = threading.RLock()


@dataclass
class Complaints:
    """The text printed during a block of `quiet_codecs`, known once the block has ended."""

    text: str = ""


@contextlib.contextmanager
def quiet_codecs() -> Iterator[Complaints]:
    """Catch the output of C libraries on file descriptor 2 during the block.

    libpng, libjpeg, FFmpeg and OpenCV's log write there and bypass `sys.stderr`. Python's own
    output, such as a progress bar, still reaches the terminal.
    """
    complaints = Complaints()
    with _turn, contextlib.ExitStack() as stack:
        try:
            terminal = os.dup(_STDERR)
        except OSError:  # Descriptor 2 is closed, and nobody reads it.
            yield complaints
            return
        stack.callback(os.close, terminal)
        caught = stack.enter_context(_storage())
        stack.enter_context(_python_to(terminal))
        os.dup2(caught.fileno(), _STDERR)
        try:
            yield complaints
        finally:
            os.dup2(terminal, _STDERR)
            caught.seek(0)
            complaints.text = caught.read().decode(errors="replace")


def _storage() -> BinaryIO:
    """Open the file that takes the text; on a full disk the text is dropped."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return open(os.devnull, "w+b")


@contextlib.contextmanager
def _python_to(terminal: int) -> Iterator[None]:
    """Let `sys.stderr` write to a descriptor, if it would write to number 2."""
    try:
        sys.stderr.flush()
        number = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # The stream is a notebook's or a test's own.
        number = None
    if number != _STDERR:
        yield
        return
    stream = io.TextIOWrapper(
        io.FileIO(terminal, "w", closefd=False),
        encoding=getattr(sys.stderr, "encoding", None) or "utf-8",
        errors="backslashreplace",
        write_through=True,
    )
    with stream, contextlib.redirect_stderr(stream):
        yield
