"""How a process treats freed memory, with the GNU C library (glibc)."""

import ctypes
import os

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_MOST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let glibc use freed memory again, where it would give it back to the system.

    By default each big tensor is mapped afresh and its pages are zeroed at first touch, in every
    image again; inference on a CPU can spend half of its time on that. For programs, not libraries:
    it holds for the whole process, and for what it forks.

    Returns:
        Whether it was done: not where the C library is another one, nor where variables of
        glibc (MALLOC_..., GLIBC_TUNABLES) say how memory is to be treated.
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return False
    library = _glibc()
    if library is None:
        return False
    return bool(library.mallopt(_M_MMAP_MAX, 0) and library.mallopt(_M_TRIM_THRESHOLD, _MOST))


def return_freed_memory() -> None:
    """Give the memory that is free at this moment back to the system.

    Blocks of many sizes leave holes that the next ones do not fit in, so that a process which keeps
    its freed memory grows with every large picture. Does nothing with another C library.
    """
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None) if os.name == "posix" else None
    return library if hasattr(library, "gnu_get_libc_version") else None
