"""Becomes another command that ends with its parent, so that a killed worker leaves nothing.

    python -m ibn_seg.benchmark.child PARENT_PID COMMAND...

With `-` in place of PARENT_PID the parent is the command of another such line. torchrun starts its
processes so: each has a session of its own, and would go on without torchrun.

On Linux the kernel ends the command with its parent. Elsewhere `LeaseHook` does, once another
worker has taken over.
"""

import ctypes
import os
import signal
import sys

# The process id of the nearest such command.
_VARIABLE = "IBN_SEG_CHILD"
_PR_SET_PDEATHSIG = 1  # linux/prctl.h; kept over execve


def main() -> None:
    """Tie this process to its parent and become the command."""
    given, command = sys.argv[1], sys.argv[2:]
    parent = int(os.environ[_VARIABLE] if given == "-" else given)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have died before this call.
    if os.getppid() != parent:
        sys.exit(1)
    os.environ[_VARIABLE] = str(os.getpid())
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
