"""The embedded experiment in small: it reports what it measured and never does a thing twice."""

import json
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("mmseg")

from ibn_seg.cli import run as command_line
from ibn_seg.demo.train_and_report import METHODS, QUICK, DemoPlan, demo
from ibn_seg.errors import UserError
from tests.memory import run_measured
from tests.tiny import environment, run

# Frames 201 and 202 are the held-out part of the source.
PLAN = DemoPlan(iterations=4, source_frames=202, target_train=0, target_val=4)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    lines = []
    results, report = demo(folder, PLAN, say=lines.append)
    return folder, results, report, lines


def test_every_method_is_trained_and_scored_on_both_domains(finished):
    folder, results, _, lines = finished
    assert [result["method"] for result in results] == list(METHODS)
    for result in results:
        assert result["iterations"] == 4
        assert result["source"] == "game"
        assert result["domains"]["game"]["images"] == 2
        assert result["domains"]["dashcam"]["images"] == 4
        stored = json.loads((folder / result["name"] / "result.json").read_text())
        assert stored == result
    assert sum("training" in line for line in lines) == len(METHODS)


def test_report_and_picture_are_there(finished):
    folder, results, report, _ = finished
    page = report.read_text(encoding="utf-8")
    assert report == folder / "report.html"
    assert page.count("data:image/") > 6
    for result in results:
        assert f"{result['domains']['dashcam']['mIoU']:.1f}" in page
    assert (folder / "effect.png").stat().st_size > 1000


def test_any_of_its_trainings_can_be_reported_alone(finished, tmp_path, capsys):
    folder, results, _, _ = finished
    runs = [str(folder / result["name"]) for result in results[:2]]
    out = tmp_path / "two.html"
    assert command_line(["report", *runs, "-o", str(out), "--scenes", "2"]) == 0
    page = out.read_text(encoding="utf-8")
    # Two scenes of each domain: image, truth and two predictions; the unseen domain comes first.
    assert page.count("data:image/") == 2 * 2 * 4
    assert page.index("dashcam, ") < page.index("game, ")
    assert "Training loss" in page
    for result in results[:2]:
        assert result["command"].split(" && ")[0] in page


def test_scenes_need_a_checkpoint(finished, tmp_path, capsys):
    folder, results, _, _ = finished
    moved = tmp_path / "moved"
    moved.mkdir()
    result = {**results[0], "checkpoint": "gone/iter_4.pth"}
    (moved / "result.json").write_text(json.dumps(result))
    assert command_line(["report", str(moved), "--scenes", "1"]) == 2
    assert capsys.readouterr().err == (
        f"error: {moved / 'result.json'}: its checkpoint gone/iter_4.pth is gone: "
        "leave --scenes out\n"
    )
    # Beside its result it is found, as in a work dir that was moved.
    for name in ("iter_4.pth", "confusions.npz"):
        shutil.copy(folder / results[0]["name"] / name, moved)
    assert command_line(["report", str(moved), "--scenes", "1"]) == 0


def test_a_finished_demo_is_not_run_again_and_seeds_can_be_added(finished):
    folder, results, _, _ = finished
    lines = []
    again, _ = demo(folder, PLAN, seeds=(0, 1), say=lines.append)
    assert again[: len(METHODS)] == results
    assert [result["seed"] for result in again] == [0] * len(METHODS) + [1] * len(METHODS)
    assert sum("finished before" in line for line in lines) == len(METHODS)
    assert sum("training" in line for line in lines) == len(METHODS)
    assert "±" in (folder / "report.html").read_text(encoding="utf-8")


def test_the_recorded_command_gives_the_same_numbers(finished, tmp_path):
    folder, results, _, _ = finished
    command = results[1]["command"].replace(str(folder), str(tmp_path / "again"))
    assert command.startswith(f"ibn-seg scenes {tmp_path}/again/scenes --source 202")
    # The command of this Python, on whatever path it is.
    command = command.replace("ibn-seg ", f"{sys.executable} -m ibn_seg ")
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**environment(), "OMP_NUM_THREADS": str(results[1]["threads"])}, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    again = json.loads((tmp_path / "again" / "ibn-a_seed0" / "result.json").read_text())
    assert again["domains"] == results[1]["domains"]


def test_another_plan_in_the_same_folder_is_refused(finished):
    folder = finished[0]
    with pytest.raises(UserError, match="another demo plan"):
        demo(folder, QUICK)


def test_command_refuses_what_is_not_a_seed(tmp_path):
    done = run("demo", "--seeds", "0,x", "--work-dir", tmp_path / "demo")
    assert done.returncode == 2
    assert "0,x" in done.stderr
    assert not (tmp_path / "demo").exists()


@pytest.mark.slow
def test_quick_demo_stays_under_three_gib(tmp_path):
    command = [sys.executable, "-m", "ibn_seg", "demo", "--quick", "--work-dir", tmp_path / "demo"]
    done, peak = run_measured(command, cwd=tmp_path, env=environment())
    assert done.returncode == 0, done.stdout
    assert "Report:" in done.stdout
    assert peak < 3 * 1024, f"{peak:.0f} MiB"
