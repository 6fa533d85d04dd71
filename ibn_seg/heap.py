"""How a process treats freed memory, with the GNU C library (glibc)."""

import ctypes
import os

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_MOST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let glibc reuse freed memory instead of returning it to the system.

    By default glibc maps each big tensor afresh, and the kernel zeroes its pages at first touch,
    for every image. Inference on a CPU can spend half its time on that. Call this in programs, not
    in libraries: it affects the whole process and its forks.

    Returns:
        Whether it was done. It is not done with another C library, or where glibc's variables
        (MALLOC_..., GLIBC_TUNABLES) already set how memory is treated.
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return False
    library = _glibc()
    if library is None:
        return False
    return bool(library.mallopt(_M_MMAP_MAX, 0) and library.mallopt(_M_TRIM_THRESHOLD, _MOST))


def return_freed_memory() -> None:
    """Give the memory that is free at this moment back to the system.

    Freed blocks of many sizes leave holes that the next blocks do not fit into. A process that
    keeps its freed memory therefore grows with every large picture. Does nothing with another C
    library.
    """
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None) if os.name == "posix" else None
    return library if hasattr(library, "gnu_get_libc_version") else None
