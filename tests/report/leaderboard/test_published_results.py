"""The results that are kept in the repository are those that the README reports."""

import re
from pathlib import Path

from ibn_seg.report.leaderboard import write_leaderboard

ROOT = Path(__file__).resolve().parents[3]
SECTION = re.compile(r"^## What the embedded benchmark shows\n(.*?)^## ", re.DOTALL | re.MULTILINE)
# Source, three targets and the mean of these.
SCORES = slice(1, 6)


def rows(text):
    """Yield the cells of the first table of Markdown, below its header."""
    lines = text[text.index("\n|---") :].split("\n")[2:]
    for line in lines:
        if not line.startswith("|"):
            return
        yield [cell.strip(" *") for cell in line.strip("|").split("|")]


def test_the_readme_reports_the_results_that_are_kept(tmp_path):
    section = SECTION.search((ROOT / "README.md").read_text())[1]
    write_leaderboard(
        [ROOT / "data" / "benchmark" / "embedded"], tmp_path / "board.html",
        exports=["markdown"], only=["main"],
    )  # fmt: skip
    measured = list(rows((tmp_path / "board.md").read_text()))
    reported = list(rows(section))
    assert len(reported) == len(measured) == 7
    for said, found in zip(reported, measured, strict=True):
        for one, other in zip(said[SCORES], found[SCORES], strict=True):
            # The range over seeds and the number of these stand elsewhere in the README.
            assert one == re.sub(r"\*| \(.*\)|^-$", "", other), (said, found)
