"""Becomes another command that ends with its parent, so that a killed worker leaves nothing.

    python -m ibn_seg.benchmark.child PARENT_PID COMMAND...

On Linux the kernel ends the command with its parent. Elsewhere `LeaseHook` does, once another
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
    # The parent may have died before this call.
    if os.getppid() != parent:
        sys.exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
