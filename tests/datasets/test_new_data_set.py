"""A data set is one file and one line of the table: all that names data sets reads it there."""

import importlib
import json
import sys

import pytest
from click.testing import CliRunner
from mmseg.registry import DATASETS

import ibn_seg.cli.data
import ibn_seg.datasets
import ibn_seg.plugins.mmseg
from ibn_seg.datasets.all_datasets import DATA_SETS, dataset_class
from ibn_seg.datasets.targets import check_source, target_configs
from ibn_seg.errors import UserError
from tests.datasets.writers import LAYOUTS
from tests.tiny import ROOT

FILE = """
from pathlib import Path

from mmseg.registry import DATASETS

from ibn_seg.datasets.base import UrbanSceneDataset
from ibn_seg.datasets.pairing import files_by_key
from ibn_seg.datasets.card import DataCard, Part
from ibn_seg.datasets.labels import TRAIN_IDS


@DATASETS.register_module()
class HamletDataset(UrbanSceneDataset):
    TARGET = "hamlet"
    ROOT_VARIABLE = "IBN_SEG_HAMLET"
    SPLITS = ("val",)
    CARD = DataCard(
        title="Hamlet 2",
        labels="trainIds",
        classes="2",
        layouts="`photos`, `masks`",
        quirks="ghosts",
        parts=(Part({"split": "val"}, 5),),
        targets={f"hamlet-{time}": {"split": "val"} for time in ("day", "dusk")},
        archives=("hamlet.zip",),
        anchors=("photos", "masks"),
        source="https://hamlet.example",
        licence="CC0",
        citation="Shakespeare, 1603",
    )
    table = TRAIN_IDS

    def list_images(self):
        return self._files("photos", ".jpg")

    def list_labels(self):
        return self._files("masks", "_mask.png")

    def _files(self, kind, suffix):
        folder = Path(self.data_root) / kind
        def key(path):
            return path.relative_to(folder).as_posix().removesuffix(suffix)
        return files_by_key(folder, f"**/*{suffix}", key, "HamletDataset", "unpack it")
"""


@pytest.fixture
def hamlet(monkeypatch, tmp_path):
    """The name of a data set that is entered: its file, and its line in the table."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "hamlet.py").write_text(FILE)
    monkeypatch.setattr(ibn_seg.datasets, "__path__", [*ibn_seg.datasets.__path__, str(folder)])
    monkeypatch.setitem(DATA_SETS, "hamlet", "hamlet:HamletDataset")
    yield "hamlet"
    sys.modules.pop("ibn_seg.datasets.hamlet", None)
    vars(ibn_seg.datasets).pop("hamlet", None)
    DATASETS.module_dict.pop("HamletDataset", None)


def loaded_anew(monkeypatch, name):
    """Import a module again, for this test alone, now that the table has one more line."""
    parent, _, child = name.rpartition(".")
    monkeypatch.setattr(sys.modules[parent], child, sys.modules[name])
    monkeypatch.delitem(sys.modules, name)
    return importlib.import_module(name)


@pytest.mark.parametrize("command", ["check", "prepare", "stats"])
def test_the_help_names_it(hamlet, monkeypatch, command):
    data = loaded_anew(monkeypatch, "ibn_seg.cli.data").data
    text = CliRunner().invoke(data, [command, "--help"]).output
    assert "folder or hamlet." in " ".join(text.split())


def test_a_download_is_checked(hamlet, tmp_path, monkeypatch, capsys):
    LAYOUTS["any"][2](tmp_path / "root")
    monkeypatch.chdir(tmp_path)
    assert ibn_seg.cli.run(["data", "check", "hamlet", "root", "--workers", "1"]) == 0
    report = json.loads((tmp_path / "data_check_hamlet.json").read_text())
    assert report["findings"] == []
    assert report["files"] == 6
    assert ibn_seg.cli.run(["data", "check", "hamlet", "root", "--complete"]) == 2
    assert "val: 3 pairs of 5" in capsys.readouterr().out
    assert ibn_seg.cli.run(["data", "prepare", "hamlet"]) == 2
    assert "get hamlet.zip from https://hamlet.example (CC0)" in capsys.readouterr().err


def test_it_can_be_evaluated(hamlet, monkeypatch):
    monkeypatch.setenv("IBN_SEG_HAMLET", "/data/hamlet")
    (config,) = target_configs(["hamlet-dusk"])
    assert config == {
        "type": "HamletDataset", "data_root": "/data/hamlet", "target": "hamlet-dusk",
        "split": "val",
    }  # fmt: skip
    assert DATASETS.build({**config, "lazy_init": True, "pipeline": []}).target == "hamlet-dusk"
    with pytest.raises(UserError, match="did you mean 'hamlet-dusk'"):
        target_configs(["hamlet-dust"])
    check_source("hamlet-day", ["hamlet-days"], "KEY")
    with pytest.raises(UserError, match="did you mean 'hamlet-days'"):
        check_source("hamlet-dayx", ["hamlet-days"], "KEY")


def test_configs_can_name_it(hamlet, monkeypatch):
    """`custom_imports` of a config names this module, which registers all."""
    assert "HamletDataset" not in DATASETS.module_dict
    loaded_anew(monkeypatch, "ibn_seg.plugins.mmseg")
    assert DATASETS.get("HamletDataset") is dataset_class("hamlet")


def test_the_page_gets_its_rows(hamlet, tmp_path):
    spec = importlib.util.spec_from_file_location("data_page", ROOT / "tools/write_data_page.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    read, tested = (table() for table in tool.TABLES.values())
    assert read[-1] == (
        "| Hamlet 2 | `hamlet` | `HamletDataset` | `IBN_SEG_HAMLET` | trainIds | ghosts |"
    )
    assert tested[-1] == "| Hamlet 2 | 2 | `photos`, `masks` | |"
