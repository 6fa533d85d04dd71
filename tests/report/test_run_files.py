"""`ibn-seg report` on work dirs and result files, and what it refuses in one line."""

import json
from pathlib import Path

import pytest

from ibn_seg.cli import run
from tests.report.test_html import Page

SCORES = {"gta5": 50.0, "cityscapes": 30.0}


def _write(folder: Path, content: dict) -> Path:
    folder.mkdir(parents=True)
    file = folder / ("result.json" if content["kind"] == "train" else "test.json")
    file.write_text(json.dumps(content))
    return folder


def _page(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def test_one_training_has_its_page_in_its_work_dir(tmp_path, make_result, capsys):
    folder = _write(tmp_path / "first", make_result("IBN-a", 0, SCORES))
    assert run(["report", str(folder)]) == 0
    assert capsys.readouterr().out.strip() == str(folder / "report.html")
    page = _page(folder / "report.html")
    assert {"href": "#curves"} in page.all("a")
    # The scores, two domains' classes, the loss and two validations.
    assert len(page.all("svg")) == 6


def test_trainings_of_two_methods_are_compared(tmp_path, make_result):
    bn, a0, a1 = (
        _write(tmp_path / f"{method}{seed}", make_result(method, seed, {**SCORES, "cityscapes": m}))
        for method, seed, m in (("BN", 0, 30.0), ("IBN-a", 0, 36.0), ("IBN-a", 1, 37.0))
    )
    out = tmp_path / "both.html"
    # A work dir and a result file are the same.
    args = [str(bn), str(a0 / "result.json"), str(a1)]
    assert run(["report", *args, "-o", str(out), "--title", "Mine"]) == 0
    page = _page(out)
    assert "Mine" in page.text
    said = "With one seed, IBN-a reads 6.0 points of mIoU above BN on the unseen domain cityscapes"
    assert said in page.text
    rows = page.tables["mIoU (%) of each method on each domain"]
    assert [row[0][0] for row in rows[1:]] == ["BN", "IBN-a"]


def _evaluated(make_result, **changes) -> dict:
    content = make_result("BN", 0, SCORES, kind="test", name="evaluate")
    del content["curves"], content["iterations"]
    return content | changes


def test_a_folder_of_evaluate_has_a_page_without_curves(tmp_path, make_result, capsys):
    folder = _write(tmp_path / "evaluate", _evaluated(make_result, source=None, method=None))
    assert run(["report", str(folder)]) == 2
    assert capsys.readouterr().err == (
        f"error: {folder / 'test.json'}: does not say on which domain the network was trained: "
        "give --source NAME\n"
    )
    assert run(["report", str(folder), "--source", "gta5"]) == 0
    page = _page(folder / "report.html")
    assert {"href": "#curves"} not in page.all("a")
    assert "evaluate reaches 30.0 % mIoU" in page.text.replace("\N{NO-BREAK SPACE}", " ")


def test_another_source_than_the_run_states_is_refused(tmp_path, make_result, capsys):
    folder = _write(tmp_path / "first", make_result("BN", 0, SCORES))
    assert run(["report", str(folder), "--source", "cityscapes"]) == 2
    assert "says that the network was trained on gta5: leave" in capsys.readouterr().err


def test_evaluations_of_one_name_are_told_apart(tmp_path, make_result, capsys):
    folders = [_write(tmp_path / name / "evaluate", _evaluated(make_result)) for name in ("a", "b")]
    assert run(["report", *map(str, folders)]) == 2
    error = capsys.readouterr().err
    assert str(folders[0]) in error
    assert str(folders[1]) in error


def _bad(tmp_path: Path, make_result) -> dict[str, tuple[list[Path], str]]:
    good = _write(tmp_path / "good", make_result("BN", 0, SCORES))
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "last_checkpoint").write_text("iter_10.pth")
    bench = tmp_path / "bench"
    bench.mkdir()
    (bench / "benchmark.json").write_text("{}")
    (tmp_path / "text.json").write_text("{")
    (tmp_path / "empty").mkdir()
    (tmp_path / "divergence.json").write_text('{"kind": "divergence", "name": "x"}')
    flat = _write(tmp_path / "flat", make_result("BN", 0, SCORES, curves=None))
    other = _write(tmp_path / "other", make_result("IBN-a", 0, {"gta5": 50.0, "acdc": 20.0}))
    unscored = _write(tmp_path / "unscored", make_result("BN", 0, {}))
    elsewhere = make_result("IBN-a", 0, {"cityscapes": 50.0, "acdc": 20.0}, source="cityscapes")
    _write(tmp_path / "elsewhere", elsewhere)
    return {
        "missing": ([tmp_path / "none"], "no such file or folder"),
        "empty": ([tmp_path / "empty"], "neither result.json nor test.json"),
        "unfinished": ([unfinished], "its training has not finished"),
        "benchmark": ([bench], "use `ibn-seg leaderboard`"),
        "damaged": ([tmp_path / "text.json"], "not a JSON file"),
        "kind": ([tmp_path / "divergence.json"], "allowed: train, test"),
        "curves": ([flat], "a training without curves"),
        "domains": ([good, other], "evaluated on gta5, acdc, expected gta5, cityscapes"),
        "source": ([good, tmp_path / "elsewhere"], "source 'cityscapes', expected 'gta5'"),
        "scores": ([unscored], "no scores by domain"),
        "twice": ([good, good], "same method 'BN' and seed 0"),
    }


@pytest.mark.parametrize(
    "which",
    ["missing", "empty", "unfinished", "benchmark", "damaged", "kind", "curves", "domains",
     "source", "scores", "twice"],
)  # fmt: skip
def test_what_cannot_be_reported_is_one_line(tmp_path, make_result, capsys, which):
    paths, said = _bad(tmp_path, make_result)[which]
    out = tmp_path / "page.html"
    assert run(["report", *map(str, paths), "-o", str(out)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_targets_of_different_classes_stand_side_by_side(tmp_path, make_result):
    folders = []
    for method, miou in (("BN", 30.0), ("IBN-a", 36.0)):
        content = make_result(method, 0, {"gta5": 50.0, "camvid": miou, "acdc": 90.0 - miou})
        content["domains"]["camvid"] |= {"IoU": {"road": miou, "sky": miou}, "absent": []}
        folders.append(str(_write(tmp_path / method, content)))
    assert run(["report", *folders, "-o", str(tmp_path / "page.html")]) == 0
    text = _page(tmp_path / "page.html").text.replace("\N{NO-BREAK SPACE}", " ")
    # The mean of both targets would be the same for both methods.
    assert "IBN-a reads 6.0 points of mIoU above BN on the unseen domain camvid" in text
    assert "over different numbers of classes: gta5 19, camvid 2, acdc 19." in text
    assert "They have no common mean; methods are compared on camvid." in text
    assert "2 targets" not in text
    assert "The gap" not in text
