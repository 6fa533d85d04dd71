"""How the commands' processes treat freed memory."""

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
    library = ctypes.CDLL(None) if os.name == "posix" else None
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return bool(library.mallopt(_M_MMAP_MAX, 0) and library.mallopt(_M_TRIM_THRESHOLD, _MOST))
