"""Errors that are the machine's, by what Python and PyTorch say."""

import errno
from concurrent.futures.process import BrokenProcessPool

import pytest

from ibn_seg.environment import environment_error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("unable to open shared memory object </torch_7_8> in read-write mode: Too "
                      "many open files (24)"), "shared memory"),
        (RuntimeError("DataLoader worker (pid 3) is killed by signal: Bus error. It is possible "
                      "that dataloader's workers are out of shared memory."), "--shm-size"),
        (RuntimeError("DataLoader worker (pid 3) is killed by signal: Killed. "), "was killed"),
        (RuntimeError("DataLoader worker (pid(s) 3, 4) exited unexpectedly"), "num_workers=0"),
        (RuntimeError("received 0 items of ancdata"), "ulimit -n"),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "ulimit -u"),
        (RuntimeError("can't start new thread"), "ulimit -u"),
        (MemoryError(), "out of memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out of memory"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't "
                      "allocate memory: you tried to allocate 9 bytes."), "out of memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."), "on the GPU"),
        (RuntimeError("[/pytorch/gloo/transport/tcp/pair.cc:547] Connection closed by peer "
                      "[127.0.0.1]:3"), "another process of the group"),
        (BrokenProcessPool("A process in the process pool was terminated abruptly"), "died"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/a"), "/x/a: No space left"),
    ],
)  # fmt: skip
def test_the_machines_errors(error, expected):
    found = environment_error(error)
    assert found.exit_code == 3
    assert expected in found.line
    assert "\n" not in found.line


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Given groups=1, weight of size [16, 128, 3, 3]"),
        RuntimeError("out of resource: shared memory, Required: 262144"),
        ValueError("CUDA out of memory"),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "x"),
    ],
)
def test_errors_that_are_not(error):
    assert environment_error(error) is None
