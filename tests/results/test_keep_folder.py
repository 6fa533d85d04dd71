"""Kept results show the same leaderboard as the folder that they were made from."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from ibn_seg.errors import UserError
from ibn_seg.evaluation.confusion import scores
from ibn_seg.leaderboard import write_leaderboard
from ibn_seg.leaderboard.read import read_board
from ibn_seg.results.identity import cell_id
from ibn_seg.results.keep_folder import keep
from ibn_seg.results.kept_matrices import read_configs, read_matrices
from ibn_seg.results.kept_table import read_pointer, read_table
from tests.benchmark.plans import bench, write_whole_plan
from tests.leaderboard.made import Folder, evaluated, skill_of, whole

ROOT = Path(__file__).resolve().parents[2]


def exports(root: Path, *folders: str) -> dict[str, bytes]:
    """The exports of folders, which they name as they are given."""
    with contextlib.chdir(root):
        page, *files = write_leaderboard(
            folders, "out/board.html", exports=["csv", "markdown", "latex"]
        )
        addresses = re.findall(r'<a href="([^"#]+)"', page.read_text(encoding="utf-8"))
        gone = [one for one in addresses if not (page.resolve().parent / unquote(one)).is_file()]
        assert gone == []
        assert len(addresses) > 3
        return {path.suffix: path.read_bytes() for path in files}


def files_in(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, Path]:
    """A folder in which `bench` is a made benchmark, and one in which that is kept."""
    old, new = tmp_path_factory.mktemp("old"), tmp_path_factory.mktemp("new")
    keep(whole(old / "bench").write(), new / "bench")
    return old, new


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> tuple[Path, Path]:
    """The same of a benchmark that was run."""
    pytest.importorskip("mmseg")
    old, new = tmp_path_factory.mktemp("old"), tmp_path_factory.mktemp("new")
    plan = write_whole_plan(old, "selection: best-on-source-validation\n")
    done = bench(plan, old / "bench")
    assert done.returncode == 0, done.stderr
    keep(old / "bench", new / "bench")
    return old, new


@pytest.mark.parametrize("pair", ["made", "real"])
def test_exports_are_the_same_to_the_byte(pair, request):
    old, new = request.getfixturevalue(pair)
    found = exports(new, "bench")
    assert found == exports(old, "bench")
    assert b"bench/cells/" in found[".csv"]


@pytest.mark.parametrize("pair", ["made", "real"])
def test_few_files_and_the_same_bytes_each_time(pair, request, tmp_path):
    old, new = request.getfixturevalue(pair)
    written = keep(old / "bench", tmp_path / "bench")
    assert {path.name for path in written} == {"kept.json", "runs.jsonl", "matrices-1.npz"}
    assert files_in(tmp_path / "bench") == files_in(new / "bench")


def test_folders_of_all_kinds_together(made, tmp_path):
    old, new = made
    for root, folder in ((tmp_path / "1", old), (tmp_path / "2", new)):
        shutil.copytree(folder / "bench", root / "bench")
        evaluated(root / "theirs", "Net")
        other = Folder(root / "more")
        other.rows = [{"id": "x", "state": "to do"}] * 90
        other.train("IBN-x", 0, skill_of("IBN-b"), entropy=5)
        other.write()
    names = ("bench", "theirs", "more")
    assert exports(tmp_path / "2", *names) == exports(tmp_path / "1", *names)


def test_a_real_cell_is_what_its_id_says(real):
    old, new = real
    path, name = read_pointer(new / "bench")
    run = read_table(path).runs[name]
    configs = read_configs([path.parent / "matrices-1.npz"])
    assert {row["task"] for row in run.rows} == {"train", "divergence", "robustness"}
    for row in run.rows:
        assert cell_id(run.identity(row["id"])) == row["id"]
        result = json.loads((old / "bench" / row["result"]).read_text())
        assert configs[f"{name}/{row['id']}"] == result["config"]
        for key in ("versions", "git_commit", "seed", "command", "cpu", "date"):
            assert row["record"].get(key) == result.get(key)
    with pytest.raises(UserError, match="unknown cell 'gone'"):
        run.identity("gone")


def test_scores_of_each_class_can_be_had_from_the_matrices(real):
    old, new = real
    table = read_table(new / "bench" / "runs.jsonl")
    found = read_matrices([new / "bench" / name for name in table.matrices])
    (row,) = (row for row in table.runs["bench"].rows if row["task"] == "robustness")
    result = json.loads((old / "bench" / row["result"]).read_text())
    part = found[f"bench/{row['id']}"]["gta5"]
    assert part.images == ("clean", "gamma 5")
    domains = [result["domains"]["gta5"], result["corrupted"][0]["domains"]["gta5"]]
    for counts, said in zip(part.counts, domains, strict=True):
        again = scores(counts, part.rows, said["images"], part.scored).to_dict()
        assert again == said
    assert "IoU" not in json.dumps(row["record"]).replace("mIoU", "")


def test_matrices_of_analyses_are_kept_once_and_others_stay(tmp_path):
    folder = Folder(tmp_path / "old")
    first = folder.train("BN", 0, skill_of("BN"))
    row = folder.robustness(first, "game", {("haze", 1): 0.5})
    path = folder.write() / row["result"]
    content = json.loads(path.read_text())
    size = len(read_board([folder.path]).networks[0].stored.classes)
    odd, before, after = [[1, 2]], np.eye(size, dtype=int) * 3, np.eye(size, dtype=int)[::-1] * 3
    content |= {
        "before": {"domains": {"game": {"mIoU": 1.0, "confusion": before.tolist()}}},
        "after": {"domains": {"game": {"mIoU": 2.0, "confusion": after.tolist()}}},
        "mapped": {"domains": {"game": {"confusion": odd}}},
        "confusion": before.tolist(),
    }
    path.write_text(json.dumps(content))
    keep(folder.path, tmp_path / "new")
    table = read_table(tmp_path / "new" / "runs.jsonl")
    part = read_matrices([tmp_path / "new" / name for name in table.matrices])[f"new/{row['id']}"]
    assert part["game"].images == ("before", "after")
    assert np.array_equal(part["game"].counts, [before, after])
    record = table.runs["new"].rows[1]["record"]
    assert record["before"] == {"domains": {"game": {"mIoU": 1.0}}}
    assert record["mapped"] == content["mapped"]
    assert record["confusion"] == content["confusion"]


def test_a_rerun_stands_beside_the_first_run(tmp_path):
    root = tmp_path / "old"
    for name, entropy in (("first", 0), ("again", 3)):
        folder = Folder(root / name, git_commit=name)
        for method in ("BN", "IBN-a"):
            folder.train(method, 0, skill_of(method), entropy=entropy)
        folder.write()
    new = tmp_path / "new"
    keep(root / "first", new / "first")
    for _ in range(2):  # the second time it replaces itself
        keep(root / "again", new / "again", beside=new / "first")
        assert list(files_in(new / "again")) == ["kept.json"]
        assert list(read_table(new / "first" / "runs.jsonl").runs) == ["first", "again"]
        for name in ("first", "again"):
            assert exports(new, name) == exports(root, name)
    before = files_in(new)
    keep(root / "first", new / "first", beside=new / "first")
    assert files_in(new) == before


def test_runs_of_two_plans_are_not_mixed(made, tmp_path):
    other = Folder(tmp_path / "other", name="another")
    other.train("BN", 0, skill_of("BN"))
    with pytest.raises(UserError, match="of the plan 'made', but these results are of 'another'"):
        keep(other.write(), tmp_path / "kept", beside=made[1] / "bench")
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("key", ["id", "result", "confusions"])
def test_an_index_that_lacks_a_key_is_one_line(tmp_path, key):
    folder = Folder(tmp_path / "old")
    del folder.train("BN", 0, skill_of("BN"))[key]
    with pytest.raises(
        UserError, match=f"benchmark.json: a cell .* lacks a key .*'{key}'"
    ) as caught:
        keep(folder.write(), tmp_path / "new")
    assert "\n" not in caught.value.line
    assert not (tmp_path / "new").exists()


def test_the_lines_of_the_header_read_the_table(made, monkeypatch, capsys):
    _, new = made
    monkeypatch.chdir(new / "bench")
    first = json.loads(Path("runs.jsonl").read_text().partition("\n")[0])
    exec("\n".join(first["read"]), {})
    assert capsys.readouterr().out.startswith("[('BN', 0, {'game': ")


def _table(path: Path, change) -> None:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def _cut(folder):
    path = folder / "runs.jsonl"
    path.write_bytes(path.read_bytes()[:-20])


def _changed(place, key, value):
    return lambda folder: _table(
        folder / "runs.jsonl", lambda lines: lines[place].update({key: value})
    )


def _without(key):
    return lambda folder: _table(folder / "runs.jsonl", lambda lines: lines[2].pop(key))


def _text(name, text):
    return lambda folder: (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_cut, "runs.jsonl: cut short"),
        (_text("runs.jsonl", ""), "runs.jsonl: cut short"),
        (_text("runs.jsonl", "{\n"), "runs.jsonl, line 1: not JSON"),
        (_text("runs.jsonl", "[]\n"), "runs.jsonl, line 1: not an object"),
        (_text("runs.jsonl", "{}\n"), "runs.jsonl: not a file of kept results"),
        (_text("kept.json", "{"), "kept.json: not a JSON file"),
        (_text("kept.json", "[]"), "kept.json: not a file of kept results"),
        (_changed(0, "version", 7), "version 7 cannot be read, allowed: 1"),
        (_changed(0, "matrices", ["../x.npz"]), "line 1: 'matrices' is ['../x.npz']"),
        (_changed(0, "matrices", []), "cell c000: no matrices of 'game'"),
        (_changed(0, "matrices", ["x.npz"]), "x.npz: no such file"),
        (_changed(1, "run", "other"), "runs.jsonl, line 3: neither a run nor a cell of one"),
        (_changed(1, "head", {}), "schema None cannot be read"),
        (_changed(2, "id", 3), "runs.jsonl, line 3: neither a run nor a cell of one"),
        (_changed(2, "record", None), "cells/c000/result.json: not a result"),
        (_changed(2, "domains", [["game"]]), "cell c000: no matrices of ['game'] beside it"),
        (_changed(2, "domains", []), "cell c000: 'domains' is empty"),
        (_changed(2, "mIoU", {"game": 1.0}), "cell c000: mIoU 1.0 on 'game', but"),
        (_without("domains"), "cell c000: the key 'domains' is missing"),
        (_without("confusions"), "cell c000: names no confusions"),
        (lambda folder: (folder / "runs.jsonl").unlink(), "runs.jsonl: no such file"),
        (lambda folder: (folder / "matrices-1.npz").write_bytes(b"PK"), "not a file of kept matri"),
    ],
)
def test_damage_is_one_line(made, tmp_path, damage, said):
    folder = shutil.copytree(made[1] / "bench", tmp_path / "bench")
    damage(folder)
    with pytest.raises(UserError) as caught:
        read_board([folder])
    assert said in caught.value.line
    assert str(folder) in caught.value.line
    assert "\n" not in caught.value.line


def test_a_run_that_the_table_has_not(made, tmp_path):
    folder = shutil.copytree(made[1] / "bench", tmp_path / "bench")
    content = json.loads((folder / "kept.json").read_text())
    (folder / "kept.json").write_text(json.dumps(content | {"run": "bensh"}))
    with pytest.raises(UserError, match=r"unknown run of .*'bensh': did you mean 'bench'\?"):
        read_board([folder])


def test_matrices_of_other_labels_than_predictions_are_no_leaderboard(tmp_path, monkeypatch):
    folder = Folder(tmp_path / "old")
    folder.train("BN", 0, skill_of("BN"))
    monkeypatch.setattr(
        "ibn_seg.results.keep_folder.write_matrices",
        lambda home, found, configs: _written_narrow(home, found),
    )
    keep(folder.write(), tmp_path / "new")
    with pytest.raises(UserError, match="labels of 'game' are not the classes"):
        read_board([tmp_path / "new"])


def _written_narrow(home, found):
    from dataclasses import replace

    from ibn_seg.results.kept_matrices import write_matrices

    narrow = [
        replace(one, columns=one.columns[:-1], counts=np.ascontiguousarray(one.counts[:, :, :-1]))
        for one in found
    ]
    return write_matrices(home, narrow, {})


def _tool(*words: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, ROOT / "tools" / "keep_results.py", *words],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_the_tool_keeps_and_says_what_it_wrote(made, tmp_path):
    done = _tool(made[0] / "bench", tmp_path / "bench")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        str(tmp_path / "bench" / name) for name in ("runs.jsonl", "matrices-1.npz", "kept.json")
    ]
    assert files_in(tmp_path / "bench") == files_in(made[1] / "bench")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gone", "out"], "benchmark.json: no such file"),
        (["bench", "out", "--beside", "gone"], "runs.jsonl: no such file"),
    ],
)
def test_the_tool_s_errors_are_one_line(made, tmp_path, words, said):
    shutil.copytree(made[0] / "bench", tmp_path / "bench")
    with contextlib.chdir(tmp_path):
        done = _tool(*words)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_reading_loads_no_torch(made, tmp_path):
    code = (
        "import sys; from ibn_seg.leaderboard.read import read_board; "
        f"read_board([{str(made[1] / 'bench')!r}]); "
        "sys.exit(bool({'torch', 'mmengine', 'pickle5'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
