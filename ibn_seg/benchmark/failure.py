"""Finds the reason of a failed command in its output."""

import re
import signal
from collections.abc import Sequence
from typing import NamedTuple

# The beginning of every one-line error of our commands.
_OURS = "error: "
_ROOT_CAUSE = "Root Cause (first observed failure):"
_FACT = re.compile(r"\s+(rank|exitcode)\s*:\s*(-?\d+)")
_RANK = re.compile(r"\[rank(\d+)\]: ?")
_TRACEBACK = "Traceback (most recent call last):"
# torchrun's own log lines: level and date, time, process, file. The file's path is relative if the
# environment lies below the working directory. PyTorch 2.1: time, module, level.
_LOGGED = re.compile(
    r"[IWEF]\d{4} \S+ \d+ .*torch/distributed/\S+:\d+\]|\[[^]]+\] torch\.distributed\.\S+: \["
)


class Failure(NamedTuple):
    """How a command failed.

    Attributes:
        exit_code: Of the command, or of torchrun's first failed process. Negative: the signal that
            ended it.
        error: The line with the reason.
    """

    exit_code: int
    error: str


def read_failure(exit_code: int, output: str) -> Failure:
    """Return how a command failed.

    torchrun always ends with 1, and its last lines are a table of its processes. So the code is
    read from the table, and the reason from the output before it.

    Args:
        exit_code: Of the command's process; negative: the signal that ended it.
        output: The end of its output.
    """
    lines = [line for line in output.splitlines() if line.strip()]
    rank = None
    if exit_code > 0 and any(_ROOT_CAUSE in line for line in lines):
        exit_code, rank = _first_failure(lines, exit_code)
        lines = _before_torchrun(lines)
    if exit_code < 0:
        return Failure(exit_code, _ended_by(-exit_code, lines))
    return Failure(exit_code, _reason(lines, rank) or f"exit code {exit_code}")


def _first_failure(lines: Sequence[str], exit_code: int) -> tuple[int, int | None]:
    """Return exit code and rank of torchrun's first failed process."""
    start = max(index for index, line in enumerate(lines) if _ROOT_CAUSE in line)
    found = {m[1]: int(m[2]) for m in map(_FACT.match, lines[start:]) if m}
    return found.get("exitcode", exit_code), found.get("rank")


def _before_torchrun(lines: Sequence[str]) -> list[str]:
    """Return the output of torchrun's processes, without torchrun's own lines."""
    end = next((i for i, line in enumerate(lines) if "ChildFailedError" in line), len(lines))
    while end > 0 and lines[end - 1] != _TRACEBACK:
        end -= 1
    return [line for line in lines[: max(0, end - 1)] if not _LOGGED.match(line)]


def _reason(lines: Sequence[str], rank: int | None) -> str | None:
    """Return the line with the reason; None if nothing was printed.

    Args:
        lines: The output.
        rank: The rank of torchrun's first failed process.
    """
    own = [_RANK.sub("", line, count=1) for line in lines if _is_of(line, rank)]
    said = [line for line in own if line.startswith(_OURS)]
    if said:
        return said[0] if rank is not None else said[-1]
    # Other processes fail later, because the first is gone.
    marked = [_RANK.sub("", line, count=1) for line in lines if _has_rank(line, rank)]
    raised = _exception(marked) or _exception(own)
    return raised or (own[-1] if own else None)


def _is_of(line: str, rank: int | None) -> bool:
    """Return whether a line may come from a rank; only some lines begin with their rank."""
    return rank is None or _RANK.match(line) is None or _has_rank(line, rank)


def _has_rank(line: str, rank: int | None) -> bool:
    match = _RANK.match(line)
    return match is not None and int(match[1]) == rank


def _exception(lines: Sequence[str]) -> str | None:
    """Return the first line of the last exception printed with a traceback."""
    starts = [index for index, line in enumerate(lines) if line == _TRACEBACK]
    if not starts:
        return None
    after = lines[starts[-1] + 1 :]
    return next((line for line in after if not line.startswith(" ")), None)


def _ended_by(number: int, lines: Sequence[str]) -> str:
    """Return the line on a process that a signal ended."""
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    last = f"; its last line: {lines[-1]}" if lines else ""
    return f"ended by {name}{last}"
