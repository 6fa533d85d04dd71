"""The catalog, the commands' help and the data sets say the same."""

import subprocess
import sys

import pytest

from ibn_seg.cli.data import data
from ibn_seg.datasets.catalog import CATALOG
from ibn_seg.datasets.splits import read_split
from tests.tiny import environment


def test_every_entry_builds_its_class_with_every_part(tmp_path):
    for entry in CATALOG.values():
        for part in entry.parts:
            dataset = entry.load()(tmp_path, lazy_init=True, **part.arguments)
            assert dataset.TARGET
        assert any(part.default for part in entry.parts)


def test_where_there_are_archives_it_is_said_where_and_under_which_terms():
    for name, entry in CATALOG.items():
        said = (entry.archives, entry.anchors, entry.source, entry.licence, entry.citation)
        assert all(said) or (name == "train_ids" and not any(said)), name


def test_counts_are_those_of_the_split_lists():
    counts = {part.name: part.count for part in CATALOG["gta5"].parts}
    for split in ("train", "val", "test"):
        assert counts[f"official_{split}"] == len(read_split(f"gta5_{split}"))
    synthia = {part.name: part.count for part in CATALOG["synthia"].parts}
    assert synthia["robustnet_val"] == len(read_split("synthia_robustnet_val"))
    assert synthia["all"] == synthia["robustnet_train"] + synthia["robustnet_val"]
    assert sum(part.count for part in CATALOG["acdc"].parts) == 2006


@pytest.mark.parametrize("command", ["check", "prepare", "stats"])
def test_help_names_every_data_set_and_loads_nothing_heavy(command):
    code = (
        "import sys; from ibn_seg.cli import run; run(sys.argv[1:]);"
        "assert not {'torch', 'mmengine', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "data", command, "--help"],
        capture_output=True, text=True, check=True, env=environment(),
    )  # fmt: skip
    for name in CATALOG:
        assert name in done.stdout
    assert "Examples:\n    ibn-seg data" in done.stdout
    assert set(data.commands) == {"check", "prepare", "stats"}


def test_a_wrong_name_is_said_at_once_and_alone():
    """Before mmseg is loaded, which takes seconds and may print."""
    code = (
        "import sys; from ibn_seg.cli import run; code = run(sys.argv[1:]);"
        "assert 'mmseg' not in sys.modules; sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "data", "check", "gta", "nowhere"],
        capture_output=True, text=True, check=False, env=environment(),
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("error: unknown data set 'gta': did you mean")
