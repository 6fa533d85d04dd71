"""Errors of the machine: no memory, disk, processes, files or shared memory left."""

import errno
import re

from ibn_seg.errors import EnvError, UserError

_DISK = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR
)  # fmt: skip
_ERRNO = re.compile(r"\[Errno (\d+)\]")
_SHARED_MEMORY = (
    "data workers have too little shared memory (/dev/shm)",
    "start the container with more (docker run --shm-size=8g), or set num_workers=0",
)
_WORKER_KILLED = (
    "a data worker was killed",
    "memory ran out, most likely; use fewer num_workers or a smaller batch_size",
)
_WORKER_DIED = (
    "a data worker died",
    "set num_workers=0 to see why",
)
_OPEN_FILES = (
    "too many open files",
    "raise the limit (ulimit -n 65536), or use fewer num_workers",
)
_PROCESSES = (
    "no further process or thread can be started",
    "raise the limit (ulimit -u), free memory, or use fewer num_workers",
)
_MEMORY = ("out of memory", "use a smaller batch_size, smaller crops or fewer num_workers")
_GPU_MEMORY = ("out of memory on the GPU", "use a smaller batch_size or smaller crops")
_OTHER_PROCESS = (
    "another process of the group has ended or does not answer",
    "see the lines of the other processes; env_cfg.dist_cfg.timeout sets how long to wait",
)
_NO_GPU = ("PyTorch cannot use the GPU", "check driver and PyTorch's build with nvidia-smi")
_NO_COMPILER = ("torch.compile found no C++ compiler", "install g++, or train without compiling")
# Messages of PyTorch, NumPy and Python, and what they mean; the first match counts.
_SAYINGS = tuple(
    (re.compile(pattern), meaning)
    for pattern, meaning in (
        # Python's semaphores are files there as well.
        (r"unable to \w+ shared memory|out of shared memory|shared memory \(shm\)|shm_open"
         r"|torch_shm_manager|signal: Bus error|multiprocessing\.synchronize", _SHARED_MEMORY),
        (r"(?s)DataLoader worker.*signal: Killed", _WORKER_KILLED),
        (r"(?s)DataLoader worker.*(killed by signal|exited unexpectedly)", _WORKER_DIED),
        (r"received 0 items of ancdata|Too many open files", _OPEN_FILES),
        (r"can't start new thread|Resource temporarily unavailable", _PROCESSES),
        (r"CUDA out of memory|CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED", _GPU_MEMORY),
        (r"can't allocate memory|not enough memory|Cannot allocate memory|Unable to allocate",
         _MEMORY),
        (r"Connection (closed|reset) by peer|Timed out waiting|Socket Timeout|NCCL error"
         r"|store->get|Broken pipe.*gloo|TCPStore|EADDRINUSE", _OTHER_PROCESS),
        (r"No working C\+\+ compiler|Failed to find C compiler", _NO_COMPILER),
        (r"no kernel image is available|driver version is insufficient|no NVIDIA driver", _NO_GPU),
    )
)  # fmt: skip


def environment_error(error: BaseException) -> EnvError | None:
    """Return the one-line error if the machine is at fault, or None.

    Args:
        error: The error that was raised. An error from a data worker arrives as text around its
            original message, so the number is read from that text.
    """
    if isinstance(error, UserError):
        return None
    if isinstance(error, MemoryError):
        return EnvError(*_MEMORY)
    if type(error).__name__ == "BrokenProcessPool":
        return EnvError("a worker process died", "it may have run out of memory; use fewer workers")
    if not isinstance(error, (OSError, RuntimeError)):
        return None
    by_text = _by_text(error)
    if by_text is not None:
        return by_text
    return _by_number(error) if isinstance(error, OSError) else None


def _by_text(error: BaseException) -> EnvError | None:
    text = f"{error} {_raised_in(error)}"
    for pattern, meaning in _SAYINGS:
        if pattern.search(text):
            return EnvError(*meaning)
    return None


def _raised_in(error: BaseException) -> str:
    """Return the name of the module that raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""


def _by_number(error: OSError) -> EnvError | None:
    match = _ERRNO.findall(str(error))
    number = error.errno or (int(match[-1]) if match else None)
    if number not in _DISK and not isinstance(error, PermissionError):
        return None
    last = str(error).strip().splitlines()[-1]
    reason = error.strerror or last.partition("] ")[2] or last
    where = f"{error.filename}: " if error.filename else ""
    return EnvError(f"{where}{reason}", "free space, or choose another folder")
