"""The page of methods is begun from kept results, with a section for all that is finished."""

import importlib
import json
import re
import statistics

import pytest

from ibn_seg.errors import UserError
from ibn_seg.results.keep_folder import keep
from tests.docs.markdown import paragraphs, sentences, words
from tests.leaderboard.made import Folder
from tests.tiny import ROOT

# The share of right pixels at home, on rendered targets and at dusk.
METHODS = {
    "BN": (0.8, 0.4, 0.3), "IBN-b": (0.75, 0.6, 0.5), "SW-5": (0.8, 0.5, 0.6),
    "MixStyle": (0.8, 0.55, 0.2), "PASTA": (0.8, 0.65, 0.4), "IBN-b + PASTA": (0.75, 0.7, 0.7),
}  # fmt: skip
LATE = "DSU"  # has not all seeds yet


@pytest.fixture(scope="module")
def tool():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tools")
        yield importlib.import_module("write_methods_page")


def adapted(made, done):
    """Add what an analysis of adaptation measures."""
    clean = done["mIoU"]
    ways = [{"method": "batch BN", "batch_size": 8}, {"method": "AdaBN", "batch_size": None}]
    made.analysis("adaptation", done, {
        "domains": {name: {"mIoU": value} for name, value in clean.items()},
        "adapted": [{**way, "domains": {n: {"mIoU": v + 1} for n, v in clean.items()}}
                    for way in ways],
    })  # fmt: skip


def write(base, plan, source, targets, place):
    """Write and keep made results of a plan."""
    made = Folder(base / "made" / plan, name=plan)
    for seed in (0, 1):
        for entropy, (method, shares) in enumerate(METHODS.items()):
            skill = {source: shares[0], **dict.fromkeys(targets, shares[place])}
            done = made.train(method, seed, skill, source=source, entropy=entropy)
            if method == "BN":
                adapted(made, done)
    made.train(LATE, 0, {source: 0.9, **dict.fromkeys(targets, 0.9)}, source=source, entropy=9)
    keep(made.write(), base / plan)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    base = tmp_path_factory.mktemp("kept methods")
    write(base, "methods", "game", ("dashcam", "night"), 1)
    write(base, "methods_photographs", "camvid-day", ("camvid-dusk",), 2)
    one = {"parameters": 100, "saved_mib": 20.0, "read": [1, 2], "learn": [2, 2], "predict": [1, 1]}
    two = {**one, "parameters": 150, "learn": [3, 5]}
    (base / "methods" / "costs.json").write_text(json.dumps({"methods": {"BN": one, "DSU": two}}))
    return base


@pytest.fixture(scope="module")
def kept(tool, folder):
    return tool.Kept(folder)


@pytest.fixture(scope="module")
def page(tool, kept):
    return tool.begun(kept)


def table(page, name):
    (text,) = re.findall(rf"<!-- table: {name} -->\n(.*?)<!-- end -->", page, re.DOTALL)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return [rows[0], *rows[2:]]


def test_every_block_has_the_finished_methods_after_the_baseline(page):
    for plan in ("methods", "methods_photographs"):
        names = [[row[0] for row in table(page, f"{plan}-{block}")[1:]]
                 for block in ("layers", "randomisation", "crosses")]  # fmt: skip
        assert names == [["BN", "IBN-b", "SW-5"], ["BN", "MixStyle", "PASTA"],
                         ["BN", "IBN-b + PASTA"]]  # fmt: skip
    assert table(page, "methods-layers")[0] == [
        "", "game (source)", "dashcam", "night", "mean of the targets",
        "over BN: mean of the targets", "over BN: source",
    ]  # fmt: skip
    # Not finished, and the best of all.
    assert page.count(LATE) == 1
    headings = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert headings == ["What wins where", "Rendered and real", "Layers", "Randomisation",
                        "Crosses", "Test time", "Costs"]  # fmt: skip


def test_numbers_are_those_of_the_results(page, kept):
    rows = {row.method: row for row in kept.comparison("methods").rows}
    (found,) = (row for row in table(page, "methods-layers") if row[0] == "IBN-b")
    mean = statistics.fmean(rows["IBN-b"].scores["night"].values)
    assert found[3].strip("*").startswith(f"{mean:.1f} ± ")
    difference = rows["IBN-b"].differences["mean of targets"]
    assert found[5].startswith(f"{difference.per_seed.mean:+.1f} [")


def test_the_best_of_each_block_is_named_for_each_domain(page):
    found = {row[0]: row[2:] for row in table(page, "winners")[1:]}
    assert list(found) == ["dashcam", "night", "mean of the targets", "game (source)",
                           "CamVid dusk", "CamVid day (source)"]  # fmt: skip
    best = {name: [cell.partition(" ")[0] for cell in cells] for name, cells in found.items()}
    assert best["night"] == ["IBN-b", "PASTA", "IBN-b"]
    assert best["CamVid dusk"] == ["SW-5", "PASTA", "IBN-b"]
    assert re.fullmatch(r"IBN-b \+ PASTA \d\d\.\d; \+\d\d\.\d \[.*\]", found["night"][2])


def test_rendered_and_real_are_compared(page):
    header, *rows, last = table(page, "agreement")
    assert header == ["over BN", "rendered: mean of the targets", "photographs: CamVid dusk"]
    assert [row[0] for row in rows] == ["IBN-b + PASTA", "PASTA", "IBN-b", "MixStyle", "SW-5"]
    assert rows[3][1].startswith("+")
    assert rows[3][2].startswith("-")
    assert last[0] == "Kendall's tau of both orders"
    # Of 15 pairs 5 are turned round: MixStyle and BN, and SW-5 or IBN-b and those below at dusk.
    assert last[1].startswith("0.33 [")


def test_rows_that_see_the_target_and_costs_have_tables_of_their_own(page):
    header, *rows = table(page, "test-time")
    assert header == ["", "as trained", "batch BN, 8", "AdaBN"]
    assert [row[0] for row in rows][-1] == "BN on CamVid dusk"
    assert float(rows[0][2].split()[0]) == pytest.approx(float(rows[0][1].split()[0]) + 1)
    assert table(page, "costs")[2] == [
        "DSU", "2.000 (1.250-2.750)", "1.000 (1.000-1.000)", "1.000 (1.000-1.000)", "+50", "20",
    ]  # fmt: skip


def test_what_is_not_kept_has_no_section(tool, folder, tmp_path):
    (tmp_path / "methods").symlink_to(folder / "methods")
    page = tool.begun(tool.Kept(tmp_path))
    assert "photographs-" not in page
    assert "Rendered and real" not in page
    assert not re.search(r"-->\n(\|.*\n){0,2}<!-- end", page)
    with pytest.raises(UserError, match="no finished method of methods or methods_photographs"):
        tool.begun(tool.Kept(tmp_path / "nothing"))


def test_sentences_are_short(page):
    assert [s for p in paragraphs(page) for s in sentences(p) if words(s) > 20] == []


def test_a_page_that_is_there_keeps_its_text(tool, kept, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "Kept", {kept.folder: kept}.get)

    def run(*more):
        words = ["tool", str(tmp_path / "page.md"), "--kept", str(kept.folder), *more]
        monkeypatch.setattr("sys.argv", words)
        return tool.main()

    file = tmp_path / "page.md"
    assert run("--check") == 0
    assert not file.exists()
    assert run() == 0
    text = file.read_text()
    file.write_text(text.replace("| IBN-b |", "| old |") + "\nMixStyle loses at dusk.\n")
    assert run("--check") == 2
    assert run() == 0
    assert file.read_text() == text + "\nMixStyle loses at dusk.\n"
    assert run("--check") == 0


def test_the_page_of_the_repository_has_the_tables_of_its_results(tool, monkeypatch):
    monkeypatch.setattr("sys.argv", ["tool", "--check"])
    assert tool.main() == 0
