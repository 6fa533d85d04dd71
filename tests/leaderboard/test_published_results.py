"""The results that are kept in the repository are those that the README reports."""

import re
from pathlib import Path

from ibn_seg.leaderboard import write_leaderboard

ROOT = Path(__file__).resolve().parents[2]
SECTION = re.compile(r"^## What the embedded benchmark shows\n(.*?)^## ", re.DOTALL | re.MULTILINE)
# Source, three targets and the mean of these; the gap closed on each target.
SCORES, GAPS = slice(1, 6), slice(9, 12)


def tables(text):
    """Return the rows of each table of Markdown, below its header, as lists of cells."""
    found = re.findall(r"^\|---.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [[row(line) for line in table.splitlines()] for table in found]


def row(line):
    return [cell.strip(" *") for cell in line.strip("|").split("|")]


def kept(name, folder, table="main"):
    """Return the tables of one kind of results in the repository."""
    write_leaderboard(
        [ROOT / "data" / "benchmark" / name], folder / "board.html",
        exports=["markdown"], only=[table],
    )  # fmt: skip
    return tables((folder / "board.md").read_text())


def scores(found):
    """Return the scores of a row; the README has the range over seeds elsewhere."""
    return [re.sub(r"\*| \(.*\)|^-$", "", cell) for cell in found[SCORES]]


def reported():
    return tables(SECTION.search((ROOT / "README.md").read_text())[1])


def test_the_readme_reports_the_embedded_benchmark(tmp_path):
    said, found = reported()[0], kept("embedded", tmp_path)[0]
    assert len(said) == len(found) == 7
    assert [one[SCORES] for one in said] == [scores(one) for one in found]


def test_the_readme_reports_the_rerun(tmp_path):
    said = " ".join(SECTION.search((ROOT / "README.md").read_text())[1].split())
    for found in kept("embedded_rerun", tmp_path)[0][:3]:
        mean, on_targets, on_source = scores(found)[-1], found[6], found[7]
        assert mean in said
        if on_targets != "baseline":
            assert re.search(f"{re.escape(mean)} .{re.escape(on_targets)}; ", said)
            assert f"; {on_source}" in said
    appearance = kept("embedded_rerun", tmp_path, "divergence")[0]
    bn, ibn_a = (
        ", ".join(f"{float(cell.partition(' ')[0]):.0f}" for cell in cells)
        for _, *cells in appearance[:2]
    )
    assert f"(means {ibn_a} to {bn})" in said


def test_the_readme_reports_what_the_whole_benchmark_adds(tmp_path):
    said = {one[0]: one for one in reported()[1]}
    before = {
        one[0]
        for one in kept("embedded", tmp_path)[0]
        if one[0].startswith("ResNet-18") and "oracle" not in one[0]
    }
    added = {
        one[0].replace(", all-MLP:", ","): one
        for one in kept("embedded_full", tmp_path)[0]
        if one[0] not in before
    }
    assert {name: one[SCORES] for name, one in said.items()} == {
        name: scores(one) for name, one in added.items()
    }


def test_the_readme_reports_the_gaps_closed(tmp_path):
    said = reported()[2]
    found = {one[0].replace(", all-MLP:", ","): one for one in kept("embedded_full", tmp_path)[0]}
    assert len(said) == 4
    assert [gaps for _, *gaps in said] == [found[name][GAPS] for name, *_ in said]


def test_the_readme_reports_the_transfer(tmp_path):
    said = {name: [one.strip("*") for one in shares] for name, *shares in reported()[3]}
    means, _, differences = kept("embedded_full", tmp_path, "transfer")
    found = {
        f"{method}, from {start}": [re.sub(r"\*| \(\d.*\)$", "", one) for one in shares]
        for method, start, *shares in means
    }
    found |= {
        f"{method} over BN, from {start}": shares
        for method, start, *shares in differences
        if start == "source"
    }
    assert said == found
