"""SIGKILL of a benchmark's workers at random times: the results are those of an undisturbed run."""

import json
import os
import random
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from ibn_seg.results import lease
from tests.benchmark.plans import bench, write_plan
from tests.tiny import command, environment

# Short, to be waited for; long enough for a busy machine to renew it in time.
LEASE_S = 4
# What begins from one of the networks.
MEASURED = """
analyses: {robustness: {severities: [5], corruptions: [gamma], methods: [BN]}}
"""


@dataclass
class Workers:
    """Two workers on one results folder, of which one is killed now and then.

    Attributes:
        killed: The store's time after the death of each killed worker, by process id.
    """

    plan: Path
    results: Path
    running: list = field(default_factory=list)
    killed: dict = field(default_factory=dict)

    def start(self):
        args = ("benchmark", self.plan, "--results", self.results, "--lease", LEASE_S)
        self.running.append(
            subprocess.Popen(
                command(*args), env=environment(),
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )
        )  # fmt: skip

    def kill(self, rng):
        """Kill one; its training ends with it, long before its lease does."""
        worker = self.running.pop(rng.randrange(len(self.running)))
        trainings = children(worker.pid)
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
        end = time.monotonic() + LEASE_S / 2
        while any(alive(pid) for pid in trainings):
            assert time.monotonic() < end, "a training outlived its worker"
            time.sleep(0.01)
        self.killed[worker.pid] = store_time(self.results)
        return len(trainings)

    def finish(self):
        for worker in self.running:
            _, errors = worker.communicate(timeout=600)
            assert worker.returncode == 0, errors


def children(pid):
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(word) for word in path.read_text().split()]
    return found


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def store_time(folder):
    with tempfile.NamedTemporaryFile(dir=folder) as probe:
        return os.stat(probe.name).st_mtime


def check_one_worker_at_a_time(lock, killed):
    """From the lock's log: whoever takes a cell finds its last holder gone, released or dead."""
    events = lease.read_log(lock)
    assert not [e for e in events if e["event"] == "lost"]
    released = {e["number"]: e["time"] for e in events if e["event"] == "release"}
    taken = {e["number"]: e["time"] for e in events if e["event"] in ("acquire", "takeover")}
    for number in range(2, lease.holder_number(lock) + 1):
        before = json.loads((lock / f"{number - 1:06}").read_text())["pid"]
        ended = released.get(number - 1, killed.get(before))
        assert ended is not None, f"{lock}: {before} was neither killed nor did it let go"
        # A worker may be killed between taking a lock and writing that down.
        assert ended <= taken.get(number, ended), lock
    for training in (e for e in events if e["event"] == "train"):
        number = training["number"]
        assert training["time"] < min(
            (time for other, time in taken.items() if other > number), default=float("inf")
        )


def check_equal(plan, whole, disturbed):
    """The numbers, curves and weights of two runs are the same, bit for bit."""
    first, second = (
        {row["id"]: row for row in json.loads((folder / "benchmark.json").read_text())["cells"]}
        for folder in (whole, disturbed)
    )
    assert list(first) == list(second)
    assert {p.parent.name for p in disturbed.glob("cells/*/cell.json")} == set(first)
    resumed = 0
    for name in first:
        assert first[name]["state"] == second[name]["state"] == "done"
        a, b = (
            json.loads((folder / first[name]["result"]).read_text())
            for folder in (whole, disturbed)
        )
        if first[name]["task"] != "train":
            keys = {"divergence": ("pairs",), "robustness": ("domains", "corrupted", "retention")}
            assert all(a[key] == b[key] for key in keys[first[name]["task"]])
            continue
        for key in ("curves", "domains", "targets_mIoU", "gap", "threads", "iterations"):
            assert a[key] == b[key], (name, key)
        resumed += bool(b["resumed_at"])
        a, b = (
            torch.load(folder / "cells" / name / Path(r["checkpoint"]).name, weights_only=True)
            for folder, r in ((whole, a), (disturbed, b))
        )
        assert all(torch.equal(a["state_dict"][k], b["state_dict"][k]) for k in a["state_dict"])
    return resumed


def kill_and_compare(folder, kills, seeds, iterations, pause_s, seed, more=""):
    rng = random.Random(seed)
    plan = write_plan(folder, more, iterations)
    plan.write_text(plan.read_text().replace("seeds: [0]", f"seeds: {list(range(seeds))}"))
    whole, disturbed = folder / "whole", folder / "disturbed"
    undisturbed = bench(plan, whole)
    assert undisturbed.returncode == 0, undisturbed.stderr
    disturbed.mkdir()
    workers = Workers(plan, disturbed)
    workers.start()
    workers.start()
    trainings = 0
    try:
        for _ in range(kills):
            time.sleep(rng.uniform(1, pause_s))
            if all(worker.poll() is not None for worker in workers.running):
                break
            trainings += workers.kill(rng)
            workers.start()
        workers.finish()
    finally:
        for worker in workers.running:
            worker.kill()
    resumed = check_equal(plan, whole, disturbed)
    for lock in disturbed.glob("cells/*/lock"):
        check_one_worker_at_a_time(lock, workers.killed)
    print(f"{len(workers.killed)} kills, {trainings} while training, {resumed} cells resumed")
    return len(workers.killed), trainings


def test_killed_workers(tmp_path):
    kills, _ = kill_and_compare(
        tmp_path, kills=3, seeds=1, iterations=12, pause_s=5, seed=5, more=MEASURED
    )
    assert kills == 3


@pytest.mark.slow
def test_twenty_kills_with_two_workers(tmp_path):
    kills, trainings = kill_and_compare(
        tmp_path, kills=20, seeds=4, iterations=150, pause_s=14, seed=1, more=MEASURED
    )
    assert kills == 20
    assert trainings >= 5
