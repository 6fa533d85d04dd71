"""Worker processes: order, bounded reading ahead, and ends of all kinds."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ibn_seg.errors import EnvError, UserError
from ibn_seg.worker_pool import run_batches
from tests.downloads.damage import write_clean
from tests.tiny import ROOT, command, environment


def add_up(numbers):
    return sum(numbers)


def die(numbers):
    os._exit(9)


def wait(seconds):
    time.sleep(sum(seconds))


def refuse(numbers):
    raise UserError(f"{numbers[0]}.png: bad")


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_and_jobs_are_drawn_as_needed(workers):
    drawn = []

    def jobs():
        for number in range(100):
            drawn.append(number)
            yield number

    results = run_batches(add_up, jobs(), workers=workers, size=4)
    assert next(results) == 0 + 1 + 2 + 3
    assert len(drawn) < 60
    assert list(results) == [4 * start + 6 for start in range(4, 100, 4)]


def test_a_worker_that_dies_is_one_line():
    with pytest.raises(EnvError, match="a worker process died"):
        list(run_batches(die, range(4), workers=2))


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_of_workers_arrive(workers):
    with pytest.raises(UserError) as caught:
        list(run_batches(refuse, range(4), workers=workers))
    assert caught.value.line == "0.png: bad"
    with pytest.raises(UserError, match="workers"):
        list(run_batches(add_up, range(4), workers=0))


def children(pid):
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in tasks for child in path.read_text().split()]


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_workers_end_with_a_killed_parent():
    code = (
        "from tests.downloads.test_pool import *\n"
        "if __name__ == '__main__': list(run_batches(wait, [100] * 4, workers=2, size=1))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env={**environment(), "PYTHONPATH": str(ROOT)}
    )
    end = time.monotonic() + 30
    while len(children(process.pid)) < 3:  # two workers and multiprocessing's tracker
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(1.0)  # the workers begin to watch
    workers = children(process.pid)
    process.kill()
    process.wait()
    while any(map(running, workers)):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_ctrl_c_is_one_line_and_leaves_nothing(tmp_path):
    root = write_clean(tmp_path / "idd", 400)
    process = subprocess.Popen(
        command("data", "check", "idd", root, "--workers", 2), env=environment(), cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    end = time.monotonic() + 30
    while len(children(process.pid)) < 2:
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1] == "interrupted"
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == [root]
