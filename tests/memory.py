"""The memory of a process and its children, as the system accounts for it."""

import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path


def run_measured(
    command: Sequence[str], interval_s: float = 0.2, **options: object
) -> tuple[subprocess.CompletedProcess, float]:
    """Run a command and return what it did with the peak of its tree's summed PSS in MiB.

    PSS (proportional set size) counts a page shared by n processes as 1/n in each.
    """
    peak = 0
    # A file, not a pipe, which a child can fill while nobody reads.
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **options)
        try:
            while process.poll() is None:
                peak = max(peak, sum(_pss_kib(pid) for pid in _tree(process.pid)))
                time.sleep(interval_s)
        finally:
            process.kill()
        output.seek(0)
        text = output.read()
    return subprocess.CompletedProcess(command, process.returncode, text), peak / 1024


def _tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(word) for word in task.read_text().split()]
            except OSError:
                continue
    return found


def _pss_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
