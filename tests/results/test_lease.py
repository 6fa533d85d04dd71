"""The lock of a folder: real processes, wrong clocks, dead and stopped holders."""

import ast
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ibn_seg.errors import EnvError
from ibn_seg.results import lease
from tests.tiny import environment

# A process whose clock is wrong by argv[1] seconds.
SKEWED = """
import sys, time
real = time.time
time.time = lambda: real() + float(sys.argv[1])
time.time_ns = lambda: int(time.time() * 1e9)
import os, random
from pathlib import Path
from ibn_seg.results import lease
"""
COMPETE = (
    SKEWED
    + """
folders, mine = sorted(Path(sys.argv[2]).glob("cell*")), os.getpid()
while not all((folder / "done").exists() for folder in folders):
    for folder in random.sample(folders, len(folders)):
        if (folder / "done").exists() or not (held := lease.acquire(folder / "lock", 60)):
            continue
        with held:
            os.close(os.open(folder / "busy", os.O_CREAT | os.O_EXCL))
            if not (folder / "done").exists():
                time.sleep(random.random() / 50)
                (folder / "done").write_text(str(mine))
                with (folder / "count").open("a") as file:
                    file.write(f"{mine}\\n")
            (folder / "busy").unlink()
"""
)
HOLD = (
    SKEWED
    + """
held = lease.acquire(Path(sys.argv[2]), 1.0)
with held:
    print("held", flush=True)
    while not held.lost:
        time.sleep(0.02)
print("lost", flush=True)
"""
)
TAKE = (
    SKEWED
    + """
print("won" if lease.acquire(Path(sys.argv[2]), 60) else "no", flush=True)
"""
)


CREATE = """
import sys
from pathlib import Path
from ibn_seg.results.lease import _create
folder = Path(sys.argv[2])
print("ready", flush=True)
while not (folder / "go").exists():
    pass
print(sum(_create(folder / f"{number:06}", 60) for number in range(1000)))
"""


def start(code: str, skew: float, folder: Path) -> subprocess.Popen:
    command = [sys.executable, "-c", code, str(skew), str(folder)]
    return subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)


@pytest.fixture
def holder(tmp_path):
    """A process that holds a lock of one second, which it renews, with a wrong clock."""
    process = start(HOLD, -86400, tmp_path / "lock")
    assert process.stdout.readline() == "held\n"
    yield process
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.wait()


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def test_eight_processes_with_wrong_clocks_share_forty_cells(tmp_path):
    for index in range(40):
        (tmp_path / f"cell{index:02}").mkdir()
    skews = (-1e8, -3600, -61, -1, 1, 61, 3600, 1e8)
    processes = [start(COMPETE, skew, tmp_path) for skew in skews]
    assert [process.wait(timeout=120) for process in processes] == [0] * 8
    workers = set()
    for folder in tmp_path.iterdir():
        (worker,) = (folder / "count").read_text().split()
        workers.add(worker)
        events = lease.read_log(folder / "lock")
        # One after the other: each lock is released before the next is taken.
        assert [e["event"] for e in events] == ["acquire", "release"] * (len(events) // 2)
        assert [e["number"] for e in events] == [1 + k // 2 for k in range(len(events))]
        assert sorted(events, key=lambda e: e["time"]) == events
        for taken, released in zip(events[::2], events[1::2], strict=True):
            assert taken["pid"] == released["pid"]
    assert len(workers) > 1


def test_a_live_holder_keeps_its_lock(tmp_path, holder):
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        assert lease.acquire(tmp_path / "lock") is None
        assert lease.status(tmp_path / "lock") == "held"
        time.sleep(0.05)


def test_the_lock_of_a_killed_holder_goes_to_one_process(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert lease.acquire(tmp_path / "lock") is None
    until(lambda: lease.status(tmp_path / "lock") == "stale")
    takers = [start(TAKE, skew, tmp_path / "lock") for skew in (-1e6, -10, -1, 0, 0, 1, 10, 1e6)]
    answers = [taker.communicate(timeout=60)[0].strip() for taker in takers]
    assert sorted(answers) == ["no"] * 7 + ["won"]
    assert [e["event"] for e in lease.read_log(tmp_path / "lock")] == ["acquire", "takeover"]


def test_a_stopped_holder_notices_that_it_lost(tmp_path, holder):
    holder.send_signal(signal.SIGSTOP)
    until(lambda: lease.status(tmp_path / "lock") == "stale")
    taken = lease.acquire(tmp_path / "lock")
    with taken:
        holder.send_signal(signal.SIGCONT)
        assert holder.communicate(timeout=30)[0] == "lost\n"
        assert lease.status(tmp_path / "lock") == "held"
        assert not taken.lost
    events = [(e["event"], e["number"]) for e in lease.read_log(tmp_path / "lock")]
    assert events == [("acquire", 1), ("takeover", 2), ("lost", 1), ("release", 2)]
    assert lease.status(tmp_path / "lock") == "free"


@pytest.mark.parametrize("skew", [-1e6, 1e6])
def test_the_local_clock_has_no_say(tmp_path, monkeypatch, skew):
    """A fresh lock stays held and an old one is stale, whatever the judge's clock says."""
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + skew)
    monkeypatch.setattr(time, "time_ns", lambda: int((real() + skew) * 1e9))
    fresh = lease.acquire(tmp_path / "fresh", 30)
    assert lease.acquire(tmp_path / "fresh") is None
    old = lease.acquire(tmp_path / "old", 30)
    now = old.path.stat().st_mtime
    os.utime(old.path, (now - 29, now - 29))
    assert lease.acquire(tmp_path / "old") is None
    os.utime(old.path, (now - 31, now - 31))
    assert lease.acquire(tmp_path / "old") is not None
    assert old.lost
    assert not fresh.lost


def test_no_clock_is_imported():
    tree = ast.parse(Path(lease.__file__).read_text())
    names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert not names & {"time", "datetime", "ibn_seg.provenance"}


def test_a_lock_is_free_again_when_released(tmp_path):
    with lease.acquire(tmp_path / "lock") as first:
        assert json.loads(first.path.read_text())["pid"] == os.getpid()
    with lease.acquire(tmp_path / "lock") as second:
        assert second.path.name == "000002"
    assert sorted(p.name for p in (tmp_path / "lock").iterdir()) == [
        "000001", "000001.released", "000002", "000002.released", "log"
    ]  # fmt: skip


def test_a_number_is_never_given_twice(tmp_path):
    """A process that read the folder before others worked in it cannot come between them."""
    folder = tmp_path / "lock"
    with lease.acquire(folder):
        pass
    with lease.acquire(folder):
        pass
    assert not lease._create(folder / "000002", 60)


def test_one_process_alone_makes_each_number(tmp_path):
    processes = [start(CREATE, 0, tmp_path) for _ in range(4)]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 4
    (tmp_path / "go").touch()
    made = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert sum(made) == 1000


def test_an_unwritable_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(EnvError, match="cannot be written"):
        lease.acquire(tmp_path / "file" / "lock")
