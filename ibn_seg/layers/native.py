"""Compile the C passes of `ibn_native.c` once per machine, and load them by ctypes."""

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import torch

from ibn_seg.errors import EnvError, unknown
from ibn_seg.io import atomic_path

# 'auto' uses the C passes if possible. 'plain' does not use them. 'triton' equals 'auto' on CPUs
# and uses the Triton passes on GPUs.
SWITCH = "IBN_SEG_KERNEL"
DEFAULT = "auto"
_VALUES = ("auto", "plain", "triton")
_FOLDER = Path(__file__).parent
_SOURCE = _FOLDER / "ibn_native.c"  # includes the others
_SOURCES = (_SOURCE, *(_FOLDER / f"ibn_{part}.h" for part in ("problem", "planes", "rows")))
# No -ffast-math: NaN and infinity behave as in PyTorch, and sums keep their order. No OpenMP: the
# passes use the threads of PyTorch's own runtime. A second runtime would compete with it.
_FLAGS = (
    "-std=gnu11", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math",
    "-ffp-contract=fast", "-fPIC", "-shared", "-Wno-psabi",
)  # fmt: skip
_COMPILE_SECONDS = 60
_lock = threading.Lock()
_log = logging.getLogger(__name__)

_POINTERS = (
    "parallel", "x", "dy", "out",
    "instance_weight", "instance_bias", "batch_weight", "batch_bias",
    "running_mean", "running_var", "mean", "rstd", "batch_mean", "batch_var",
    "instance_dweight", "instance_dbias", "batch_dweight", "batch_dbias",
    "sum", "product", "part_one", "part_two", "factors",
)  # fmt: skip


class Problem(ctypes.Structure):
    """The arguments of a call: `struct problem` of `ibn_problem.h`, whose comments explain them."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("samples", "channels", "pixels", "first", "last")),
        *((name, ctypes.c_int64) for name in ("channels_last", "batch_statistics", "threads")),
        ("instance_eps", ctypes.c_double),
        ("batch_eps", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in _POINTERS),
    ]


def allowed(device: str) -> bool:
    """Return whether the environment allows single passes on a type of device.

    Raises:
        UserError: The switch has an unknown value.
    """
    value = os.environ.get(SWITCH, DEFAULT)
    if value not in _VALUES:
        raise unknown(f"value of {SWITCH}", value, _VALUES)
    return value == "triton" or (value == "auto" and device == "cpu")


def library() -> ctypes.CDLL | None:
    """Return the compiled passes, or None if there are none; the log has the reason at debug level.

    The first call on a machine compiles them, which takes one to two seconds.
    """
    with _lock:
        return _library()


@functools.cache
def parallel() -> int | None:
    """Return the address of the function with which PyTorch's OpenMP runtime starts its threads."""
    # The search goes through PyTorch's libraries and what they have loaded, nothing else.
    runtime = ctypes.CDLL(torch._C.__file__)
    try:
        return ctypes.cast(runtime.GOMP_parallel, ctypes.c_void_p).value
    except AttributeError:
        _log.debug("PyTorch has no OpenMP of GNU's kind: IBN runs in one thread")
        return None


@functools.cache
def _library() -> ctypes.CDLL | None:
    try:
        return _load(_compiled())
    except (OSError, subprocess.SubprocessError, EnvError) as error:
        _log.debug("no compiled IBN, the plain layers are used: %s", error)
        return None


def _compiled() -> Path:
    """Return the library for this machine; compile it first if the cache does not have it.

    Raises:
        OSError: This machine has no compiler, or no cache that is safe.
        SubprocessError: The compiler failed.
        EnvError: The cache cannot be written.
    """
    if sys.platform != "linux":
        raise OSError(f"not tried on {sys.platform}")
    command = _compiler()
    path = _cache() / f"ibn-{_key(command)}.so"
    if not path.exists():
        print(
            f"ibn_seg: compiling the IBN layer with {command[0]}, once on this machine"
            f" ({SWITCH}=plain does without)",
            file=sys.stderr,
        )
        with atomic_path(path) as temporary:
            line = [*command, *_FLAGS, "-o", str(temporary), str(_SOURCE), "-lm"]
            done = subprocess.run(
                line, capture_output=True, text=True, timeout=_COMPILE_SECONDS, check=False
            )
            if done.returncode:
                raise subprocess.SubprocessError(f"{shlex.join(line)}: {done.stderr.strip()}")
    _check_ours(path)
    return path


def _compiler() -> list[str]:
    """Return the C compiler of the machine, `CC` before others, as a command."""
    named = shlex.split(os.environ.get("CC", ""))
    for name in named[:1] or ("cc", "gcc", "clang"):
        found = shutil.which(name)
        if found:
            return [found, *named[1:]]
    raise OSError("no C compiler")


def _cache() -> Path:
    """Return the folder of compiled files, which nobody else can write to."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    folder = (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "ibn_seg"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except RuntimeError as error:  # what `Path.home` raises without one
        raise OSError(str(error)) from error
    _check_ours(folder)
    return folder


def _check_ours(path: Path) -> None:
    """Raise an `OSError` if someone else may have written the file or folder."""
    status = path.stat()
    if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise OSError(f"{path} is not this user's alone")


def _key(command: Iterable[str]) -> str:
    """Return what identifies a library: sources, command, compiler and processor.

    Machines of different kinds may share a home.
    """
    compiler = Path(os.path.realpath(next(iter(command))))
    status = compiler.stat()
    parts = [path.read_text(encoding="utf-8") for path in _SOURCES]
    parts += [*command, *_FLAGS, str(compiler)]
    parts += [str(status.st_size), str(status.st_mtime_ns), platform.machine(), _processor()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]


def _processor() -> str:
    """Return model and instruction sets of the first processor."""
    kinds = ("model name", "flags", "Features", "CPU implementer", "CPU part")
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    return "\n".join(line for line in lines.splitlines() if line.startswith(kinds))


def _load(path: Path) -> ctypes.CDLL:
    """Load the library; remove one that does not load, so that it is compiled again."""
    try:
        loaded = ctypes.CDLL(str(path))
        loaded.ibn_problem_size.restype = ctypes.c_int64
        if loaded.ibn_problem_size() != ctypes.sizeof(Problem):
            raise OSError(f"{path} is of another version")
        for function in (loaded.ibn_forward, loaded.ibn_backward):
            function.argtypes = (ctypes.POINTER(Problem),)
    except (OSError, AttributeError) as error:
        path.unlink(missing_ok=True)
        raise OSError(str(error)) from error
    return loaded
