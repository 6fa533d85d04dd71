"""Whatever is wrong with results is one line that names the file."""

import json

import pytest

from ibn_seg.errors import UserError
from ibn_seg.leaderboard.read import read_board
from tests.leaderboard.made import Folder, evaluated, skill_of


@pytest.fixture
def folder(tmp_path) -> Folder:
    made = Folder(tmp_path / "bench")
    for entropy, method in enumerate(("BN", "IBN-a")):
        made.train(method, 0, skill_of(method), entropy=entropy)
    return made


def _error(*folders) -> str:
    with pytest.raises(UserError) as caught:
        read_board(folders)
    assert "\n" not in caught.value.line
    return caught.value.line


def test_a_cell_in_two_folders_counts_once(folder, tmp_path):
    path = folder.write()
    assert len(read_board([path, path]).networks) == 2
    # What one folder has not finished another may have.
    other = Folder(tmp_path / "other")
    other.unfinished("running", id="c000")
    assert read_board([other.write(), path]).unfinished == ()


def test_folders_without_results(tmp_path):
    assert "has neither benchmark.json nor test.json" in _error(tmp_path)
    assert "no such folder" in _error(tmp_path / "gone")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "benchmark.json: not a JSON file"),
        ("[]", "schema 'none' cannot be read"),
        ('{"schema": 7}', "schema 7 cannot be read, allowed: 1"),
        ('{"schema": 1, "protocol": "native"}', "the key 'selection' is missing"),
        ('{"schema": 1, "protocol": "native", "selection": "last", "cells": [3]}', "'id'"),
    ],
)
def test_a_damaged_index(tmp_path, text, said):
    (tmp_path / "benchmark.json").write_text(text)
    assert said in _error(tmp_path)


def test_nothing_done(tmp_path):
    folder = Folder(tmp_path)
    folder.unfinished("failed")
    folder.unfinished("to do")
    assert "none of 2 cells is done" in _error(folder.write())


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("result.json", b"{", "result.json: not a JSON file"),
        ("confusions.npz", b"PK\x03\x04 cut", "confusions.npz: not a file of confusion matrices"),
        ("result.json", None, "result.json: no such file"),
        ("confusions.npz", None, "confusions.npz: no such file"),
    ],
)
def test_a_damaged_cell(folder, name, content, said):
    path = folder.write() / "cells" / "c001" / name
    path.unlink() if content is None else path.write_bytes(content)
    line = _error(folder.path)
    assert said in line
    assert "c001" in line


def test_an_index_of_other_scores_than_the_matrices(folder):
    folder.rows[1]["mIoU"]["night"] += 1
    assert "cell c001: mIoU" in _error(folder.write())


@pytest.mark.parametrize("key", ["confusions", "command", "method", "result"])
def test_an_index_that_lacks_a_key(folder, key):
    del folder.rows[1][key]
    line = _error(folder.write())
    assert "cell c001" in line
    assert key in line


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ({"protocol": "robustnet"}, "protocol 'robustnet', but "),
        ({"selection": "best-on-source-validation"}, "selection 'best-on-source-validation', but"),
    ],
)
def test_numbers_by_other_rules_are_not_mixed(folder, tmp_path, head, said):
    other = Folder(tmp_path / "other", **head)
    other.unfinished("to do")
    assert said in _error(folder.write(), other.write())


def test_evaluations_by_another_protocol_are_not_mixed(folder, tmp_path):
    theirs = evaluated(tmp_path / "theirs", "Net", protocol="half")
    assert "protocol 'half'" in _error(folder.write(), theirs)


def test_evaluations_without_matrices(tmp_path):
    theirs = evaluated(tmp_path / "theirs", "Net")
    content = json.loads((theirs / "test.json").read_text())
    del content["confusions"]
    (theirs / "test.json").write_text(json.dumps(content))
    assert "test.json: keeps no matrices" in _error(theirs)


def test_an_evaluation_whose_source_is_misspelt(tmp_path):
    theirs = evaluated(tmp_path / "theirs", "Net")
    content = json.loads((theirs / "test.json").read_text())
    (theirs / "test.json").write_text(json.dumps(content | {"source": "gam"}))
    assert "test.json 'gam': did you mean 'game'?" in _error(theirs)


def test_two_networks_of_one_name_and_seed(folder):
    folder.train("BN", 0, skill_of("BN"), entropy=9)
    line = _error(folder.write())
    assert "two different networks of 'BN'" in line
    assert "c002" in line


def test_other_images(folder, tmp_path, monkeypatch):
    other = Folder(tmp_path / "other")
    monkeypatch.setattr("tests.leaderboard.made.IMAGES", 11)
    # A number of its own, so that the second folder's cell is no copy.
    other.rows = [{"id": "x", "state": "to do"}] * 5
    other.train("IBN-b", 0, skill_of("IBN-b"))
    assert "have different images of 'game'" in _error(folder.write(), other.write())


@pytest.mark.parametrize("task", ["divergence", "robustness"])
def test_an_analysis_of_another_kind(folder, task):
    row = folder.divergence(folder.rows[0], {"null:game": {"stem": 1.0}})
    (folder.path / row["result"]).write_text(json.dumps({"kind": "other"}))
    row["task"] = task
    assert f"not a result of `ibn-seg {task}`" in _error(folder.write())


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("curves",), -3, "'iter' is missing"),
        (("curves", "val", 0), [None], "'iter' is missing"),
        (("curves", "loss"), [], "1 values of 'iter' but 0 of 'loss'"),
    ],
)
def test_damaged_curves(folder, place, value, said):
    path = folder.write() / "cells" / "c001" / "result.json"
    content = json.loads(path.read_text())
    *parents, last = place
    part = content
    for key in parents:
        part = part[key]
    part[last] = value
    path.write_text(json.dumps(content))
    line = _error(folder.path)
    assert said in line
    assert str(path) in line


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("share", [], "cell c001: share is []"),
        ("share", 0, "cell c001: share is 0"),
        ("start", "scrach", "unknown start of"),
    ],
)
def test_damaged_transfers(folder, key, value, said):
    folder.rows[1][key] = value
    assert said in _error(folder.write())
