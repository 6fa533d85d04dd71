"""Becomes another command that does not outlive its parent: a worker that is killed leaves nothing.

    python -m ibn_seg.benchmark.child PARENT_PID COMMAND...

On Linux the kernel ends the command with its parent; elsewhere `LeaseHook` does, once another
worker has taken over.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h; kept over execve


def main() -> None:
    """Tie this process to its parent and become the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # It may have died before the kernel was told.
    if os.getppid() != parent:
        sys.exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
