"""Names in tables and on bars: printed as they are, whatever brackets they hold."""

import re
from pathlib import Path

import pytest
from rich.table import Table

import ibn_seg
from ibn_seg.progress import progress_bar
from ibn_seg.terminal import plain_console

PACKAGE = Path(ibn_seg.__file__).parent
# Rich would leave out the first, stop at the second, and draw the third.
NAMES = ("[wall]", "[/red]", ":car:")


@pytest.mark.parametrize("name", NAMES)
def test_a_table_prints_names_as_they_are(name, capsys):
    table = Table(title=f"of {name}")
    table.add_column(f"column {name}")
    table.add_row(name)
    plain_console().print(table)
    plain_console().print(f"line {name}")
    out = capsys.readouterr().out
    for text in (f"of {name}", f"column {name}", f"│ {name} ", f"line {name}"):
        assert text in out


@pytest.mark.parametrize("name", NAMES[:2])
def test_a_bar_prints_names_as_they_are(name, capsys):
    with progress_bar() as bar:
        bar.add_task(f"step {name}", total=1, detail=f"of {name}")
    err = capsys.readouterr().err
    assert f"step {name}" in err
    assert f"of {name}" in err


def test_every_table_goes_to_this_console():
    files = [path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")
             if re.search(r"\bConsole\(", path.read_text(encoding="utf-8"))]  # fmt: skip
    assert sorted(files) == ["progress.py", "terminal.py"]
