"""The results that are kept in the repository are those that the documents report."""

import re
from pathlib import Path

from ibn_seg.leaderboard import write_leaderboard

ROOT = Path(__file__).resolve().parents[2]
# Source, three targets and the mean of these; differences to BN; the gap closed on each target.
SCORES, DIFFERENCES, GAPS = slice(1, 6), slice(6, 8), slice(9, 12)


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
    """Return the scores of a row; the documents have the range over seeds elsewhere."""
    return [re.sub(r"\*| \(.*\)|^-$", "", cell) for cell in found[SCORES]]


def differences(found):
    """Return the differences to BN of a row, empty where there is no such thing."""
    return ["" if cell in ("baseline", "-") else cell for cell in found[DIFFERENCES]]


def reported(heading, page="docs/results.md"):
    """Return the tables below a heading of a page, up to the next heading."""
    text = (ROOT / page).read_text(encoding="utf-8")
    (section,) = re.findall(
        rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.DOTALL | re.MULTILINE
    )
    return tables(section)


def test_the_embedded_benchmark(tmp_path):
    (said,), found = reported("The embedded benchmark"), kept("embedded", tmp_path)[0]
    assert len(said) == len(found) == 7
    assert [one[SCORES] for one in said] == [scores(one) for one in found]
    # An interval needs more than the one seed of ResNet-50.
    assert [one[DIFFERENCES] for one in said[:3]] == [differences(one) for one in found[:3]]


def test_the_table_of_the_readme(tmp_path):
    _photographs, said = reported("Results", "README.md")
    found = kept("embedded", tmp_path)[0][:3]
    assert [name for name, *_ in said] == ["BN", "IBN-a", "IBN-b"]
    assert [numbers for _, *numbers in said] == [
        [*scores(one)[:-1], *differences(one)] for one in found
    ]


def test_the_rerun(tmp_path):
    means, _ = reported("Run again on another CPU")
    found = kept("embedded_rerun", tmp_path)[0][:3]
    assert [numbers for _, *numbers in means] == [
        [scores(one)[-1], *differences(one)] for one in found
    ]


def test_what_the_whole_benchmark_adds(tmp_path):
    (table,) = reported("The whole benchmark")
    said = {one[0]: one for one in table}
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
    assert {name: [*one[SCORES], *one[DIFFERENCES]] for name, one in said.items()} == {
        name: [*scores(one), *differences(one)] for name, one in added.items()
    }


def test_the_gaps_closed(tmp_path):
    (said,) = reported("Gap closed")
    found = {one[0].replace(", all-MLP:", ","): one for one in kept("embedded_full", tmp_path)[0]}
    assert len(said) == 4
    assert [gaps for _, *gaps in said] == [found[name][GAPS] for name, *_ in said]


def test_the_transfer(tmp_path):
    (table,) = reported("Transfer")
    said = {name: [one.strip("*") for one in shares] for name, *shares in table}
    means, _, over_bn = kept("embedded_full", tmp_path, "transfer")
    found = {
        f"{method}, from {start}": [re.sub(r"\*| \(\d.*\)$", "", one) for one in shares]
        for method, start, *shares in means
    }
    found |= {
        f"{method} over BN, from {start}": shares
        for method, start, *shares in over_bn
        if start == "source"
    }
    assert said == found
