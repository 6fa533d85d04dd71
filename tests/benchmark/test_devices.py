"""GPUs of cells, without any GPU: pretended ones in CUDA_VISIBLE_DEVICES."""

import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ibn_seg.benchmark import cell_run, launchers
from ibn_seg.benchmark.cells import list_cells
from ibn_seg.benchmark.devices import Devices, check_devices, gpus_of, visible_devices
from ibn_seg.benchmark.plan import read_plan
from ibn_seg.benchmark.steps import Step
from ibn_seg.benchmark.store import Store
from ibn_seg.cli import run as run_cli
from ibn_seg.errors import UserError
from ibn_seg.results import lease
from tests.benchmark.gpu_cells import run_cells, said, start
from tests.benchmark.plans import write_plan, write_whole_plan


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """No claim of another test counts."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    # True GPUs would be fewer than the pretended ones.
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)


@pytest.fixture
def four(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")


def six_cells(folder, more):
    """Write a plan of six cells."""
    plan = write_plan(folder, more)
    plan.write_text(plan.read_text().replace("seeds: [0]", "seeds: [0, 1, 2]"))
    return plan


def devices_of(results):
    """Return the GPUs of each cell, by its lock's log."""
    return {
        lock.parent.name: [e["devices"] for e in lease.read_log(lock) if e["event"] == "devices"]
        for lock in results.glob("cells/*/lock")
    }


def test_six_cells_of_two_processes_on_four_gpus(tmp_path, four):
    plan, results = six_cells(tmp_path, "processes: 2\n"), tmp_path / "out"
    rows = run_cells(plan, results, jobs=6, seconds=0.4)
    assert [row["state"] for row in rows] == ["done"] * 6
    cells = said(results)
    assert len(cells) == 6
    assert all(cell["alone"] for cell in cells)
    assert sorted(cells[0]["devices"] + cells[1]["devices"]) == ["0", "1", "2", "3"]
    assert all(len(set(cell["devices"])) == 2 for cell in cells)
    assert devices_of(results) == {cell["cell"]: [cell["devices"]] for cell in cells}


def test_nothing_is_shared_after_a_kill(tmp_path, four):
    """SIGKILL of one benchmark while another works beside it, on the same results and GPUs."""
    plan, results = six_cells(tmp_path, "processes: 2\n"), tmp_path / "out"
    killed = start(plan, results, 2, 30)
    try:
        end = time.monotonic() + 60
        while len(said(results)) < 2:
            assert killed.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
    finally:
        killed.kill()
        killed.wait()
    first = said(results)
    for cell in first:
        # Another worker may take the cell over at once, not only after a minute.
        lock = results / "cells" / cell["cell"] / "lock"
        (lock / "000001").write_text(json.dumps({"lease_s": 0}))
    rows = run_cells(plan, results, jobs=6, seconds=0.1)
    assert [row["state"] for row in rows] == ["done"] * 6
    assert len(said(results)) == 8
    assert all(cell["alone"] for cell in said(results))


def test_gpus_are_free_when_the_last_process_of_their_cell_has_ended(four):
    devices = Devices(visible_devices())
    with devices.claimed(3) as claim:
        left = subprocess.Popen(["sleep", "60"], stdin=claim.handle)
        with devices.claimed(2) as second:
            assert second is None
        with devices.claimed(1) as third:
            assert third.devices == ("3",)
    with Devices(visible_devices()).claimed(2) as claim:
        assert claim is None
    left.kill()
    left.wait()
    with devices.claimed(4) as claim:
        assert claim.variables == {"CUDA_VISIBLE_DEVICES": "0,1,2,3"}


def test_a_share_is_asked_for(four):
    devices = Devices(("0", "1"))
    with (
        devices.claimed(0.5) as first, devices.claimed(0.5) as second,
        devices.claimed(0.5) as third, devices.claimed(1) as whole, devices.claimed(0.5) as fourth,
        devices.claimed(0.5) as none,
    ):  # fmt: skip
        found = [claim.devices for claim in (first, second, third, fourth)]
        assert sorted(found) == [("0",), ("0",), ("1",), ("1",)]
        assert first.devices != second.devices
        assert whole is none is None


def test_gpus_of_cells(tmp_path, monkeypatch):
    plan = read_plan(write_whole_plan(tmp_path, "processes: 2\n"))
    cells = list_cells(plan)
    some, none = ("0", "1"), ()
    assert {(c.task, gpus_of(plan, c, some)) for c in cells} == {
        ("train", 2), ("divergence", 1), ("robustness", 1)
    }  # fmt: skip
    assert {gpus_of(plan, c, none) for c in cells} == {0}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    check_devices(plan, cells)


@pytest.mark.parametrize(
    ("listed", "names"),
    [
        ("0, 2", ("0", "2")), ("", ()), ("-1", ()), ("1,-1,0", ("1",)),
        ("GPU-8a,MIG-1", ("GPU-8a", "MIG-1")), ("01, 2,", ("1", "2")), ("NoDevFiles", ()),
        ("none", ()), ("0,all,1", ("0",)),
    ],
)  # fmt: skip
def test_the_list_of_devices(listed, names, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    assert visible_devices() == names


@pytest.mark.parametrize(
    ("listed", "line"),
    [
        ("1,01", "CUDA_VISIBLE_DEVICES=1,01 names device 1 twice"),
        (
            "0 1 2",
            "CUDA_VISIBLE_DEVICES has the device '0 1 2': write numbers or UUIDs",
        ),
        ("0,1,2", "CUDA_VISIBLE_DEVICES=0,1,2 names 3 devices, and PyTorch sees 2: name those"),
    ],
)
def test_a_wrong_list_is_one_line(listed, line, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    with pytest.raises(UserError) as caught:
        visible_devices()
    assert caught.value.line.startswith(line)


def test_without_a_list_pytorch_counts(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert visible_devices() == ("0", "1", "2")


@pytest.mark.parametrize(
    ("more", "listed", "line"),
    [
        ("gpus: 3\n", "0,1", "gpus: a cell needs 3 GPUs, but there are 2: ask for fewer"),
        ("gpus: 0.5\n", "", "gpus: a cell needs 0.5 GPUs, but there are none: ask for fewer"),
        ("processes: 3\n", "0,1", "processes: a cell needs 3 GPUs, but there are 2: ask for fewer"),
        ("", "0,1,0", "CUDA_VISIBLE_DEVICES=0,1,0 names device 0 twice: name each once"),
    ],
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys, more, listed, line, dry):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    plan = write_plan(tmp_path, more)
    code = run_cli(["benchmark", str(plan), "--results", str(tmp_path / "out"), *dry])
    first = capsys.readouterr().err.splitlines()[0]
    assert code == 2
    assert first.startswith("error: ")
    assert first.endswith(line)
    assert not list(tmp_path.glob("out/cells"))


def test_gpus_0_hides_them():
    with Devices(("0", "1")).claimed(0) as claim:
        assert claim.variables == {"CUDA_VISIBLE_DEVICES": ""}
    with Devices(()).claimed(0) as claim:
        assert claim.variables == {}


@pytest.mark.parametrize(
    ("more", "of_ray", "of_slurm"),
    [("processes: 2\n", 0, 0), ("gpus: 0.5\n", 0.5, 1), ("processes: 2\ngpus: 2\n", 2, 2)],
)
def test_clusters_are_asked_for_the_gpus_of_the_plan(tmp_path, monkeypatch, more, of_ray, of_slurm):
    """As before: what a cluster has is not known here."""
    asked = []

    class Executor:
        def __init__(self, *args, **kwargs):
            self.update_parameters = lambda **given: asked.append(given["gpus_per_node"])

    def remote(**given):
        asked.append(given["num_gpus"])
        return lambda function: SimpleNamespace(remote=lambda cell: cell)

    ray = SimpleNamespace(init=lambda **options: None, remote=remote)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "submitit", SimpleNamespace(AutoExecutor=Executor))
    plan = read_plan(write_plan(tmp_path, more))
    job = cell_run.Job(plan, list_cells(plan), Store(tmp_path / "out"))
    launchers.RayLauncher(job, None, 1, {}).start(job.cells)
    launchers.SlurmLauncher(job, None, None, {}, "local")
    assert asked == [of_ray, of_slurm]


@pytest.mark.slow
def test_a_killed_torchrun_leaves_no_process(tmp_path):
    """Its processes have sessions of their own, so a signal to its session does not reach them."""
    command = cell_run._command(Step(tmp_path / "x", ("train",), 2))
    own = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    at = command.index("-u") + 1
    command[at:] = ["-c", own]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as torchrun:
        ranks = [int(torchrun.stdout.readline()) for _ in range(2)]
        torchrun.kill()
    end = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in ranks):
        assert time.monotonic() < end
        time.sleep(0.05)
