"""Whole runs of tiny plans, in processes: as a user sees them, and what is on the disk then."""

import json
import os
import signal
import subprocess
import threading
import time

import pytest

from ibn_seg.benchmark.cells import list_cells
from ibn_seg.benchmark.plan import read_plan
from ibn_seg.benchmark.run_plan import run_by_id, run_plan
from ibn_seg.benchmark.selection import selected
from ibn_seg.benchmark.store import Store
from ibn_seg.cli import run as run_cli
from ibn_seg.errors import EnvError, UserError
from ibn_seg.results import lease
from ibn_seg.run import segmentation
from tests.benchmark.plans import bench, states, write_plan
from tests.tiny import command, environment, run, write_experiment


def wait_for(condition, process=None, seconds=90):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert process is None or process.poll() is None, "it ended early"
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A plan of a good cell and one that fails, run once."""
    folder = tmp_path_factory.mktemp("finished")
    plan = write_plan(folder)
    plan.write_text(plan.read_text().replace("IBN-a: {}", "IBN-a: {model.backbone.ibn: c}"))
    return plan, folder / "results", bench(plan, folder / "results")


def test_a_failed_cell_is_recorded_and_the_rest_goes_on(finished):
    _, results, done = finished
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: 1 of 2 cells failed, the first: ")
    assert "--retry failed" in done.stderr
    assert "[1/2] BN ResNet-18 gta5 seed 0: mIoU gta5" in done.stderr
    good, bad = json.loads((results / "benchmark.json").read_text())["cells"]
    assert (good["state"], bad["state"]) == ("done", "failed")
    failed = json.loads((results / bad["failed"]).read_text())
    (attempt,) = failed["attempts"]
    assert attempt["attempt"] == 1
    assert attempt["exit_code"] == 2
    assert "IBN variant 'c'" in attempt["error"] or "'c'" in attempt["error"]
    assert attempt["error"] in attempt["traceback"]


def test_what_is_on_the_disk(finished):
    plan, results, _ = finished
    index = json.loads((results / "benchmark.json").read_text())
    assert index["selection"] == "last"
    row = index["cells"][0]
    result = json.loads((results / row["result"]).read_text())
    cell = json.loads((results / row["cell"]).read_text())
    assert cell["id"] == row["id"] == list_cells(read_plan(plan))[0].id
    assert cell["identity"]["config"]["randomness"]["seed"] == 0
    assert (result["method"], result["backbone"], result["threads"]) == ("BN", "ResNet-18", 1)
    assert row["mIoU"] == {name: s["mIoU"] for name, s in result["domains"].items()}
    assert result["command"].startswith("ibn-seg train ")
    assert [e["event"] for e in lease.read_log(results / "cells" / row["id"] / "lock")] == [
        "acquire", "train", "release"
    ]  # fmt: skip


def test_done_and_failed_cells_are_not_run_again(finished, capsys):
    plan, results, _ = finished
    files = {p: p.stat().st_mtime_ns for p in (results / "cells").rglob("*") if p.is_file()}
    assert run_cli(["benchmark", str(plan), "--results", str(results)]) == 2
    assert files == {p: p.stat().st_mtime_ns for p in (results / "cells").rglob("*") if p.is_file()}
    capsys.readouterr()
    assert run_cli(["benchmark", str(plan), "--results", str(results), "--dry-run"]) == 0
    assert "2 cells: 1 done, 1 failed; left: time 0 min" in capsys.readouterr().out


def test_retry_failed_tries_once_more(finished):
    plan, results, _ = finished
    arguments = ["benchmark", str(plan), "--results", str(results), "--retry", "failed"]
    assert run_cli(arguments) == 2
    row = json.loads((results / "benchmark.json").read_text())["cells"][1]
    attempts = json.loads((results / row["failed"]).read_text())["attempts"]
    assert [one["attempt"] for one in attempts] == [1, 2]


def test_an_analysis_of_what_there_is_not(tmp_path):
    for key, wrong, said in (
        ("pairs", "[apearance]", "analyses.divergence: unknown pair 'apearance': did you mean"),
        ("images", "1", "analyses.divergence.images: is 1"),
    ):
        plan = write_plan(tmp_path, f"analyses: {{divergence: {{{key}: {wrong}}}}}\n")
        with pytest.raises(UserError, match=said):
            run_plan(plan, tmp_path / "out")
    plan = write_plan(tmp_path, "analyses: {robustness: {corruptions: [fog]}}\n")
    with pytest.raises(UserError, match=r"analyses\.robustness: unknown corruption 'fog'"):
        run_plan(plan, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_config_of_a_cell_trains_by_itself(finished, tmp_path):
    _, results, _ = finished
    row = json.loads((results / "benchmark.json").read_text())["cells"][0]
    done = run("train", results / "configs" / f"{row['id']}.py", "--work-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    alone = json.loads((tmp_path / "result.json").read_text())
    assert alone["domains"] == json.loads((results / row["result"]).read_text())["domains"]


def test_interrupted(tmp_path):
    """Ctrl-C: exit code 130, the cell free at once with its checkpoint."""
    plan, results = write_plan(tmp_path, "budget: {cells: 1}\n", iterations=300), tmp_path / "out"
    process = subprocess.Popen(
        command("benchmark", plan, "--results", results), env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        (found,) = wait_for(lambda: list(results.glob("cells/*/iter_4.pth")), process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "interrupted"
    assert lease.status(found.parent / "lock") == "free"
    assert states(results) == ["interrupted", "to do"]


def test_a_worker_that_lost_its_cell_stops_before_it_writes(tmp_path, monkeypatch):
    config, work_dir = write_experiment(tmp_path), tmp_path / "run"
    held = lease.acquire(work_dir / "lock", 60)
    monkeypatch.setenv(lease.VARIABLE, str(held.path))
    options = {"custom_hooks": [{"type": "LeaseHook"}], "train_cfg.max_iters": 3000,
               "train_cfg.val_interval": 3000}  # fmt: skip

    def take_over():
        wait_for((work_dir / "iter_4.pth").exists)
        (work_dir / "lock" / "000002").write_text("{}")

    thread = threading.Thread(target=take_over)
    thread.start()
    with pytest.raises(EnvError, match="another worker has taken this cell over"):
        segmentation.train(config, work_dir=work_dir, cfg_options=options, quiet=True)
    thread.join()
    assert not (work_dir / "result.json").exists()
    assert lease.read_log(work_dir / "lock")[-1]["event"] == "train"


@pytest.mark.slow
def test_a_stopped_worker_leaves_its_cell_to_another(tmp_path):
    """SIGSTOP of a worker with its training: another takes over, and the first gives way."""
    plan, results = write_plan(tmp_path, "budget: {cells: 1}\n", iterations=2000), tmp_path / "out"
    process = subprocess.Popen(
        command("benchmark", plan, "--results", results, "--lease", "2"), env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        (found,) = wait_for(lambda: list(results.glob("cells/*/iter_4.pth")), process)
        lock = found.parent / "lock"
        child = next(e["pid"] for e in lease.read_log(lock) if e["event"] == "train")
        for pid in (process.pid, child):
            os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: lease.status(lock) == "stale")
        with lease.acquire(lock, 60) as taken:
            for pid in (process.pid, child):
                os.kill(pid, signal.SIGCONT)
            wait_for(lambda: not os.path.exists(f"/proc/{child}"))
            assert wait_for(lambda: any(e["event"] == "lost" for e in lease.read_log(lock)))
            assert not taken.lost
            assert not (found.parent / "result.json").exists()
            assert not (found.parent / "failed.json").exists()
    finally:
        process.kill()
        process.wait()


def test_an_unwritable_folder_and_a_bad_key(tmp_path):
    plan = write_plan(tmp_path)
    (tmp_path / "file").touch()
    done = bench(plan, tmp_path / "file" / "out")
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert "cannot be written" in done.stderr
    plan.write_text(plan.read_text() + "thread: 2\n")
    done = bench(plan, tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {plan}: thread: unknown key 'thread': did you mean 'threads'? allowed: name, "
        "protocol, threads, processes, gpus, budget, selection, intervals, scenes, also, oracles, "
        "analyses, transfer, methods, backbones, segmentors, sources, targets, seeds, schedule\n"
    )
    assert not (tmp_path / "out").exists()


def test_a_killed_training_says_so(tmp_path):
    """As the kernel does it when memory runs out."""
    cell, store = list_cells(read_plan(write_plan(tmp_path)))[0], Store(tmp_path / "out")
    store.record_failure(cell, -9, "a\nb\n")
    store.record_failure(cell, 1, "")
    errors = [one["error"] for one in store.failures(cell)]
    assert errors == ["ended by SIGKILL; its last line: b", "exit code 1"]
    assert store.state(cell) == "failed"


def test_selection_looks_at_the_source_alone():
    result = {
        "iterations": 9, "source": "s", "domains": {"s": {"mIoU": 3.0}, "t": {"mIoU": 9.0}},
        "curves": {"val": [
            {"iter": 3, "s/mIoU": 4.0, "t/mIoU": 1.0}, {"iter": 6, "s/mIoU": 4.0, "t/mIoU": 8.0},
            {"iter": 9, "s/mIoU": 3.0, "t/mIoU": 9.0}]},
    }  # fmt: skip
    assert selected(result, "last") == (9, {"s": 3.0, "t": 9.0})
    assert selected(result, "best-on-source-validation") == (3, {"s": 4.0, "t": 1.0})


@pytest.mark.slow
def test_an_interrupted_cell_goes_on(tmp_path):
    plan, results = write_plan(tmp_path, "budget: {cells: 1}\n", iterations=40), tmp_path / "out"
    process = subprocess.Popen(
        command("benchmark", plan, "--results", results), env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    (found,) = wait_for(lambda: list(results.glob("cells/*/iter_4.pth")), process)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    run_plan(plan, results)
    assert states(results) == ["done", "to do"]
    assert json.loads((found.parent / "result.json").read_text())["resumed_at"][0] >= 4


@pytest.mark.slow
def test_two_processes_in_a_cell(tmp_path):
    done = bench(write_plan(tmp_path, "processes: 2\nbudget: {cells: 1}\n"), tmp_path / "out")
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "out").glob("cells/*/result.json")
    assert json.loads(path.read_text())["processes"] == 2


@pytest.mark.slow
def test_two_cells_at_once_with_scenes_rendered_here(tmp_path):
    plan = tmp_path / "plan.yaml"
    plan.write_text("""
name: scenes
segmentors: {all-MLP: "ibn_seg::demo/mlp_r18_1xb8-600_scenes-128x128"}
backbones: {ResNet-18: {}}
methods: {BN: {}, IBN-a: {model.backbone.ibn: a}}
seeds: [0]
schedule: {iterations: 2}
scenes: {source: 205, target_train: 0, target_val: 2}
selection: best-on-source-validation
""")
    done = bench(plan, tmp_path / "out", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    assert states(tmp_path / "out") == ["done", "done"]
    assert len(list((tmp_path / "out" / "scenes" / "gta5" / "images").iterdir())) == 205
    assert len(list(tmp_path.glob("out/cells/*/best_*.pth"))) == 2


@pytest.mark.slow
def test_ray(tmp_path):
    """On a Ray cluster of this machine, with room for two cells."""
    pytest.importorskip("ray")
    plan = write_plan(tmp_path)
    plan.write_text(plan.read_text().replace("IBN-a: {}", "IBN-a: {model.backbone.ibn: c}"))
    rows = run_plan(plan, tmp_path / "out", launcher="ray", jobs=2)
    assert [row["state"] for row in rows] == ["done", "failed"]
    assert "'c'" in rows[1]["error"]


@pytest.mark.slow
def test_submitit(tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    from ibn_seg.benchmark import launchers

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(launchers.SlurmLauncher.__init__, "__defaults__", ("local",))
    rows = run_plan(write_plan(tmp_path), tmp_path / "out", launcher="slurm", jobs=2)
    assert [row["state"] for row in rows] == ["done", "done"]
    assert list((tmp_path / "out" / "slurm").glob("*_result.pkl"))


def test_a_missing_launcher_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(EnvError, match=r"'ray' is not installed: pip install 'ibn_seg\[ray\]'"):
        run_plan(write_plan(tmp_path), tmp_path / "out", launcher="ray")


def test_a_task_for_a_cell_that_is_done_or_failed_returns_at_once(finished):
    plan, results, _ = finished
    before = [lease.holder_number(p) for p in sorted(results.glob("cells/*/lock"))]
    for cell in list_cells(read_plan(plan)):
        run_by_id(str(plan), str(results), 60, {}, cell.id)
    assert [lease.holder_number(p) for p in sorted(results.glob("cells/*/lock"))] == before
    assert Store(results).state(list_cells(read_plan(plan))[0]) == "done"
