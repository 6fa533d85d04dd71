"""What users rely on stays as it was recorded, to the last byte."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("mmseg")

from tests.records.recorded import RECORDS, as_json, record_file, walk_commands
from tests.tiny import environment


@pytest.fixture(autouse=True)
def no_data_roots(monkeypatch):
    """Configs ask the environment where data are."""
    for name in [name for name in os.environ if name.startswith("IBN_SEG_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("name", RECORDS)
def test_all_is_as_recorded(name):
    found, recorded = (json.loads(text) for text in (
        as_json(RECORDS[name]()), record_file(name).read_text()
    ))  # fmt: skip
    assert found == recorded


def test_every_command_refuses_an_unknown_option_with_exit_code_2():
    script = """
import sys
from ibn_seg import cli
for words in sys.argv[1:]:
    try:
        cli.main([*words.split()[1:], "--no-such-option"])
    except SystemExit as stop:
        print(words, stop.code)
"""
    names = [name for name, _ in walk_commands()]
    done = subprocess.run(
        [sys.executable, "-c", script, *names],
        capture_output=True, text=True, env=environment(), timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == [f"{name} 2" for name in names]
    assert done.stderr.count("No such option") == len(names)
