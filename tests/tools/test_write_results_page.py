"""Tables of results in pages are those of the kept results."""

import importlib
import os
import re
import shutil
import subprocess
import sys

import pytest

from ibn_seg.errors import UserError
from ibn_seg.leaderboard import write_leaderboard
from ibn_seg.report import marked_tables
from ibn_seg.results.keep_folder import keep
from tests.leaderboard.made import SKILL, whole
from tests.tiny import ROOT
from tests.tools.test_draw_photographs import write as write_photographs

TOOL = ROOT / "tools" / "write_results_page.py"
with pytest.MonkeyPatch.context() as _patch:
    _patch.syspath_prepend(TOOL.parent)
    page_tool = importlib.import_module("write_results_page")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Kept results of made benchmarks under the names that the tables read."""
    base = tmp_path_factory.mktemp("kept")
    for name, seeds in (
        ("embedded", (0,)),
        ("embedded_rerun", (0, 1)),
        ("embedded_full", (0, 1, 2)),
    ):
        keep(whole(base / "old" / name, seeds).write(), base / name)
    write_photographs(base, SKILL)
    return base


@pytest.fixture(scope="module")
def kept(folder):
    return page_tool.Kept(folder)


def page(*names):
    return "# Results\n\n" + "".join(
        f"<!-- table: {n} -->\nold\n<!-- end -->\n\ntext\n" for n in names
    )


def filled(text, kept):
    return marked_tables.filled(text, page_tool.tables_of(kept, page_tool.TABLES), "page.md")


def rows(text):
    return [[cell.strip() for cell in line.strip("|").split("|")]
            for line in text.splitlines() if line.startswith("|")]  # fmt: skip


def run(*words, cwd=ROOT):
    return subprocess.run(
        [sys.executable, TOOL, *map(str, words)], capture_output=True, text=True, check=False,
        cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_the_pages_of_the_repository_have_the_tables_of_its_results():
    done = run("--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_kept_results_of_the_repository_make_every_table():
    text = filled(page(*page_tool.TABLES), page_tool.Kept(page_tool.KEPT))
    assert "old" not in text
    assert "| IBN-b | 29.2 ± 0.8 | +14.5 [+13.0, +16.3] | -2.2 [-3.1, -1.2] |" in text
    assert "| ResNet-50, IBN-b | 74.1 % [69.0, 78.8] | 51.2 % [47.0, 55.6] |" in text
    assert "| share of the clean mIoU, percent | 63.6 ± 1.1 | 69.0 ± 0.6 | 88.7 ± 0.6 |" in text


def test_orders_of_methods_are_compared_with_those_of_rendered_scenes():
    text = filled(page("photographs-ranks"), page_tool.Kept(page_tool.KEPT))
    _, _, rendered, *real = rows(text)
    assert rendered == ["rendered scenes", "IBN-b, IBN-a, BN", "", ""]
    by_direction = {name: (order, tau) for name, order, tau, _ in real}
    # One of the three pairs stands the other way round: (2 - 1) / 3.
    order, tau = by_direction["CamVid day → CamVid dusk"]
    assert order == "IBN-b, BN, IBN-a"
    assert tau.startswith("0.33 [")


def test_what_stands_between_the_marks_is_replaced_and_nothing_else(kept):
    # The made benchmarks have no such divergence.
    without = ("divergence-content", "photographs-divergence")
    text = page(*(name for name in page_tool.TABLES if name not in without))
    new = filled(text, kept)
    assert filled(new, kept) == new
    assert re.sub(r"^\|.*\n", "", new, flags=re.MULTILINE) == text.replace("old\n", "")
    for table in new.split("<!-- end -->")[:-1]:
        found = rows(table)
        assert len(found) >= 3
        assert len({len(row) for row in found}) == 1


def score(cell):
    """A cell of the leaderboard without its range over seeds; nothing where it says so."""
    text = re.sub(r"\*| \(.*\)", "", cell)
    return "" if text in ("-", "baseline") else text


def test_numbers_are_those_of_the_leaderboard(folder, kept, tmp_path):
    _, file = write_leaderboard(
        [folder / "embedded_full"], tmp_path / "b.html", exports=["markdown"], only=["main"]
    )
    board = {row[0].replace(", FCN:", ","): row for row in rows(file.read_text())}
    found = rows(filled(page("embedded-full"), kept))
    # The methods of ResNet-18 stand in the table of `embedded`.
    assert [row[0] for row in found[2:]] == [
        "ResNet-18, BN, oracle of dashcam",
        *(f"ResNet-50, {method} (n = 1)" for method in ("BN", "IBN-a", "IBN-b")),
    ]
    for name, *cells in found[2:]:
        said = board[name.removesuffix(" (n = 1)")]
        assert [cell.strip("*") for cell in cells[:3]] == [score(cell) for cell in said[1:4]]
        assert [cell.strip("*") for cell in cells[3:5]] == [score(cell) for cell in said[4:6]]


def test_differences_have_intervals_and_one_seed_has_none(kept):
    full, first = (rows(filled(page(name), kept)) for name in ("transfer", "embedded"))
    assert re.fullmatch(r"[+-]\d+\.\d \[[+-]\d+\.\d, [+-]\d+\.\d\]", full[-1][1])
    assert full[-1][0] == "IBN-a over BN, from source"
    (one,) = (row for row in first if row[0] == "ResNet-18, IBN-b (n = 1)")
    assert re.fullmatch(r"[+-]\d+\.\d", one[5])
    assert one[-1].endswith("% (n = 1)")


def test_a_table_that_the_results_lack_is_one_line(kept):
    with pytest.raises(UserError) as caught:
        filled(page("divergence-content"), kept)
    assert "embedded: 0 tables of divergence" in caught.value.line
    assert "\n" not in caught.value.line


def test_the_command_writes_pages_and_checks_them(folder, tmp_path):
    file = tmp_path / "page.md"
    file.write_text(page("gap-closed"), encoding="utf-8")
    words = (file, "--kept", folder)
    done = run(*words, "--check")
    assert (done.returncode, done.stdout) == (2, f"{file}: old tables\n")
    assert "old" in file.read_text()
    done = run(*words)
    assert (done.returncode, done.stdout) == (0, f"{file}: written\n")
    done = run(*words, "--check")
    assert (done.returncode, done.stdout) == (0, "")


def test_errors_of_the_command_are_one_line(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "kept")
    (copy / "embedded_full" / "runs.jsonl").write_text("{")
    file = tmp_path / "page.md"
    file.write_text(page("gap-closed"), encoding="utf-8")
    for words, said in (
        ((file, "--kept", copy), "cut short"),
        ((tmp_path / "gone.md",), "gone.md"),
    ):
        done = run(*words)
        assert done.returncode == 2
        assert said in done.stderr
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
    assert "old" in file.read_text()
