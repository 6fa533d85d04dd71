"""The tables of data sets in data/README.md are those of their cards."""

import re
import subprocess
import sys

from tests.tiny import ROOT, environment

TOOL = ROOT / "tools" / "write_data_page.py"


def run(*words):
    return subprocess.run(
        [sys.executable, TOOL, *map(str, words)], capture_output=True, text=True, check=False,
        env=environment(),
    )  # fmt: skip


def test_the_page_of_the_repository_has_the_tables_of_the_cards():
    done = run("--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    text = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    assert re.findall("<!-- table: (.*) -->", text) == ["data-sets", "data-sets-tested"]


def test_an_old_table_is_found_and_written_anew(tmp_path):
    text = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(text.replace("| 16-bit PNGs,", "| 8-bit PNGs,"), encoding="utf-8")
    done = run(page, "--check")
    assert (done.returncode, done.stdout) == (2, f"{page}: old tables\n")
    done = run(page)
    assert (done.returncode, done.stdout) == (0, f"{page}: written\n")
    assert page.read_text(encoding="utf-8") == text
