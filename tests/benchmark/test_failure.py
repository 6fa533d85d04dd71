"""The line that says why a cell failed, among all that its processes print."""

import subprocess
import sys
from pathlib import Path

import pytest

from ibn_seg.benchmark.cells import list_cells
from ibn_seg.benchmark.failure import read_failure
from ibn_seg.benchmark.plan import read_plan
from ibn_seg.benchmark.store import Store
from tests.benchmark.plans import write_plan

PROGRAM = """
import os, signal, sys, time
rank = int(os.environ["RANK"])
os.write(1, b"iteration 10\\n")  # at once: two processes write
if rank == {rank}:
    {act}
time.sleep(60)
"""
RANKS = [0, 1]


def launched(folder: Path, rank: int, act: str) -> tuple[int, str]:
    """Return exit code and output of two processes, of which one does something."""
    program = folder / "program.py"
    program.write_text(PROGRAM.format(rank=rank, act=act))
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
         str(program)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=90, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("rank", "act", "expected"),
    [
        (1, "sys.exit(2)", None),
        (1, "print('error: 7.png: is empty', file=sys.stderr); sys.exit(2)",
         (2, "error: 7.png: is empty")),
        (0, "print('error: disk full', file=sys.stderr); sys.exit(3)", (3, "error: disk full")),
        (0, "raise KeyError('seg')", (1, "KeyError: 'seg'")),
        (1, "os.kill(os.getpid(), signal.SIGKILL)",
         (-9, "ended by SIGKILL; its last line: iteration 10")),
    ],
    ids=["silent", "user", "environment", "bug", "killed"],
)  # fmt: skip
def test_of_processes_it_is_the_line_of_the_one_that_failed_first(tmp_path, rank, act, expected):
    code, output = launched(tmp_path, rank, act)
    assert code == 1
    assert read_failure(code, output) == (expected or (2, "iteration 10"))


def test_it_is_what_the_results_record(tmp_path):
    cell, store = list_cells(read_plan(write_plan(tmp_path)))[0], Store(tmp_path / "out")
    act = "print('error: labels/3.png: value 44', file=sys.stderr); sys.exit(2)"
    store.record_failure(cell, *launched(tmp_path, 0, act))
    (attempt,) = store.failures(cell)
    assert (attempt["exit_code"], attempt["error"]) == (2, "error: labels/3.png: value 44")
    assert "Root Cause" in attempt["traceback"]


TRACEBACKS = """
[rank{later}]: Traceback (most recent call last):
[rank{later}]:   File "a.py", line 1, in <module>
[rank{later}]: RuntimeError: Connection closed by peer
[rank{first}]: Traceback (most recent call last):
[rank{first}]:   File "a.py", line 2, in <module>
[rank{first}]: ZeroDivisionError: division by zero
[rank{first}]: During handling of the above exception, another exception occurred:
[rank{first}]: Traceback (most recent call last):
[rank{first}]:   File "a.py", line 3, in <module>
[rank{first}]: ValueError: no such crop
[rank{later}]: RuntimeError: once more
W1130 02:47:33.905000 25507 torch/distributed/elastic/api.py:1028] Sending process 2 a signal
E1130 02:47:33.906000 25507 env/lib/torch/distributed/elastic/api.py:1002] failed (rank: 1)
Traceback (most recent call last):
  File "run.py", line 1, in <module>
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
====
Root Cause (first observed failure):
[0]:
  rank      : {first} (local_rank: {first})
  exitcode  : 1 (pid: 7)
====
"""


@pytest.mark.parametrize("first", RANKS)
def test_what_the_others_say_because_the_first_is_gone_is_not_it(first):
    output = TRACEBACKS.format(first=first, later=1 - first)
    assert read_failure(1, output) == (1, "ValueError: no such crop")


@pytest.mark.parametrize(
    ("code", "output", "expected"),
    [
        (2, "iteration 3\nerror: no data\nwarning: a leaked semaphore\n", (2, "error: no data")),
        (1, "Traceback (most recent call last):\n  File\nKeyError: 'a'\n\nnote\n",
         (1, "KeyError: 'a'")),
        (1, "something else\n", (1, "something else")),
        (1, "", (1, "exit code 1")),
        (-15, "error: late\nb\n", (-15, "ended by SIGTERM; its last line: b")),
        (-11, "", (-11, "ended by SIGSEGV")),
        (-99, "a", (-99, "ended by signal 99; its last line: a")),
    ],
)  # fmt: skip
def test_of_one_process(code, output, expected):
    assert read_failure(code, output) == expected
