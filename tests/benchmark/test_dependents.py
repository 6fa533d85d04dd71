"""Cells that begin from others, in whole runs of tiny plans: order, files, scores, blocked ones."""

import contextlib
import json
import shutil
from dataclasses import replace

import pytest
import torch

from ibn_seg.benchmark.cell_progress import Board
from ibn_seg.benchmark.cell_run import Job
from ibn_seg.benchmark.cells import list_cells
from ibn_seg.benchmark.index import Estimate, estimate
from ibn_seg.benchmark.index import rows as index_rows
from ibn_seg.benchmark.plan import read_plan
from ibn_seg.benchmark.run_plan import run_plan
from ibn_seg.benchmark.selection import selected
from ibn_seg.benchmark.store import Store
from ibn_seg.cli import run as run_cli
from ibn_seg.results import lease
from tests.benchmark.plans import bench, states, write_whole_plan


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A plan of all kinds of cells, run once by two workers; the best checkpoint counts."""
    folder = tmp_path_factory.mktemp("whole")
    plan = write_whole_plan(folder, "selection: best-on-source-validation\n")
    done = bench(plan, folder / "results", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    index = json.loads((folder / "results" / "benchmark.json").read_text())
    return plan, folder / "results", index["cells"]


def read(results, name):
    return json.loads((results / name).read_text())


def test_what_begins_from_a_network_is_run_when_that_is_trained(whole):
    _, results, rows = whole
    kinds = [(row["task"], row["source"], row["share"], row["start"]) for row in rows]
    assert kinds == [
        ("train", "gta5", None, None), ("divergence", "gta5", None, None),
        ("robustness", "gta5", None, None), ("train", "cityscapes", 50.0, "source"),
    ]  # fmt: skip
    ends, begins = {}, {}
    for row in rows:
        events = lease.read_log(results / "cells" / row["id"] / "lock")
        begins[row["id"]], ends[row["id"]] = events[0]["time"], events[-1]["time"]
        kind = "train" if row["task"] == "train" else "measure"
        assert [e["event"] for e in events][1] == kind
    assert all(ends[need] <= begins[row["id"]] for row in rows for need in row["needs"])


def test_files_and_scores_of_all_kinds_of_cells(whole):
    _, results, rows = whole
    for row in rows:
        for key in ("result", "cell", "config", "checkpoint"):
            assert (results / row[key]).is_file(), (row["task"], key)
        assert row["command"].startswith(f"ibn-seg {row['task']} ")
        assert read(results, row["result"])["kind"] == row["task"]
    training, divergence, robustness, transfer = rows
    for row in (training, transfer):
        tested, result = read(results, row["test"]), read(results, row["result"])
        assert row["mIoU"] == {name: s["mIoU"] for name, s in tested["domains"].items()}
        assert (row["iteration"], row["mIoU"]) == selected(result, "best-on-source-validation")
        assert row["confusions"] == f"cells/{row['id']}/test_confusions.npz"
        assert tested["checkpoint"].endswith(row["checkpoint"])
    assert divergence["checkpoint"] == robustness["checkpoint"] == training["checkpoint"]
    assert list(read(results, divergence["result"])["pairs"]) == [
        "appearance:scenes/source,scenes/target", "content:scenes/source", "null:scenes/source"
    ]  # fmt: skip
    assert list(robustness["mIoU"]) == ["gta5"]
    assert robustness["mIoU"]["gta5"] == pytest.approx(training["mIoU"]["gta5"], abs=1e-9)
    assert ".pth" not in (results / training["config"]).read_text()
    assert training["checkpoint"] in (results / transfer["config"]).read_text()


def test_a_finished_training_keeps_the_networks_alone(whole):
    _, results, rows = whole
    for row in rows:
        folder = results / "cells" / row["id"]
        names = sorted(path.name for path in folder.glob("*.pth"))
        if row["task"] != "train":
            assert names == []
            continue
        assert names == [f"{results / row['checkpoint']}".rpartition("/")[2],
                         f"iter_{row['iterations']}.pth"]  # fmt: skip
        assert "optimizer" not in torch.load(folder / names[1], weights_only=True)


def test_estimates_of_all_kinds_of_cells(whole, tmp_path):
    """What is left is estimated from finished cells of the same kind, and the rest is counted."""
    plan, results, rows = whole
    cells, store = list_cells(read_plan(plan)), Store(tmp_path)
    assert estimate(cells, store) == Estimate(0, 0, 4)
    for name in (rows[0]["id"], rows[1]["id"]):
        shutil.copytree(results / "cells" / name, tmp_path / "cells" / name)
    assert estimate(cells, store) == Estimate(0, 0, 2)
    (tmp_path / "cells" / rows[1]["id"] / "cell.json").unlink()
    more = [replace(cells[0], id="0" * 12), *cells]
    found = estimate(more, store)
    assert found.seconds == pytest.approx(read(results, rows[0]["result"])["wall_time_s"])
    assert (found.size > 100_000, found.unknown) == (True, 3)


def test_analyses_keep_their_numbers_when_a_training_is_to_be_run_again(whole, tmp_path, capsys):
    plan, results, before = whole
    shutil.copytree(results, tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "cells" / before[0]["id"])
    command = ["benchmark", str(plan), "--results", str(tmp_path / "out"), "--dry-run"]
    assert run_cli(command) == 0
    assert "4 cells: 3 done, 1 to do" in capsys.readouterr().out
    opened = read_plan(plan)
    training, *after = index_rows(opened, list_cells(opened), Store(tmp_path / "out"))
    assert training["state"] == "to do"
    assert [row["mIoU"] for row in after] == [row["mIoU"] for row in before[1:]]
    assert ["checkpoint" in row for row in after] == [False, False, True]


def test_what_begins_from_a_failed_training_is_blocked(tmp_path, capsys):
    """The command ends at once, says so, and counts them."""
    plan, results = write_whole_plan(tmp_path), tmp_path / "out"
    store = Store(results)
    cells = list_cells(read_plan(plan))
    store.record_failure(cells[0], 1, "boom")
    assert run_cli(["benchmark", str(plan), "--results", str(results), "--jobs", "2"]) == 2
    told = capsys.readouterr()
    assert states(results) == ["failed", "blocked", "blocked", "blocked"]
    assert "1 of 4 cells failed and block 3 that begin from them, the first: boom" in told.err
    assert "4 cells: 1 failed, 3 blocked" in told.out
    assert [path.name for path in results.glob("cells/*")] == [cells[0].id]
    assert not Job(read_plan(plan), cells, store).unfinished(cells[1])
    tried_again = Job(read_plan(plan), cells, store, retries={cells[0].id: 1})
    assert tried_again.unfinished(cells[1])
    assert not tried_again.wanted(cells[1])


def test_cells_that_end_at_one_look_are_counted_one_by_one(tmp_path, capsys):
    cells, store = list_cells(read_plan(write_whole_plan(tmp_path))), Store(tmp_path / "out")
    board = Board(cells, store)
    store.record_failure(cells[0], 1, "boom")
    board.update()
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    assert ["boom" in line for line in lines] == [True, False, False, False]


@contextlib.contextmanager
def broken_images(folder):
    """Empty all images in a folder and its subfolders, which a look at their names cannot see."""
    whole = {path: path.read_bytes() for path in folder.rglob("*.png")}
    for path in whole:
        path.write_bytes(b"")
    yield
    for path, data in whole.items():
        path.write_bytes(data)


@pytest.mark.slow
def test_retry_runs_what_was_blocked(tmp_path, capsys):
    plan, results = write_whole_plan(tmp_path, iterations=2), tmp_path / "out"
    with broken_images(tmp_path / "gta5"):
        assert run_cli(["benchmark", str(plan), "--results", str(results), "--jobs", "2"]) == 2
    assert states(results) == ["failed", "blocked", "blocked", "blocked"]
    assert "robustness of BN ResNet-18 gta5 seed 0: blocked" in capsys.readouterr().err
    rows = run_plan(plan, results, jobs=2, retry_failed=True)
    assert [row["state"] for row in rows] == ["done"] * 4


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["ray", "slurm"])
def test_clusters_run_what_begins_from_others(tmp_path, monkeypatch, launcher):
    pytest.importorskip({"ray": "ray", "slurm": "submitit"}[launcher])
    from ibn_seg.benchmark import launchers

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(launchers.SlurmLauncher.__init__, "__defaults__", ("local",))
    plan, results = write_whole_plan(tmp_path, iterations=2), tmp_path / "out"
    with broken_images(tmp_path / "gta5"):
        rows = run_plan(plan, results, launcher=launcher, jobs=2)
    assert [row["state"] for row in rows] == ["failed", *["blocked"] * 3]
    rows = run_plan(plan, results, launcher=launcher, jobs=2, retry_failed=True)
    assert [row["state"] for row in rows] == ["done"] * 4
