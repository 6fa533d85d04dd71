"""The figure of the photographs' results is drawn from kept results."""

import importlib
import xml.etree.ElementTree as ElementTree

import pytest

from ibn_seg.errors import UserError
from ibn_seg.results.keep_folder import keep
from tests.leaderboard.made import SKILL, Folder
from tests.tiny import ROOT

DIRECTIONS = (("camvid-day", "camvid-dusk"), ("idd_lite", "camvid7"))


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    return importlib.import_module("draw_photographs")


def write(folder, methods, seeds=(0, 1)):
    """Made results of two directions, kept."""
    made = Folder(folder / "made", intervals="seeds")
    for source, target in DIRECTIONS:
        for seed in seeds:
            for entropy, method in enumerate(methods):
                skill = dict(zip((source, target), SKILL[method], strict=True))
                made.train(method, seed, skill, source=source, entropy=entropy)
    keep(made.write(), folder / "photographs")
    return folder / "photographs"


def texts(path):
    root = ElementTree.parse(path).getroot()
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


def test_it_names_methods_and_directions_and_is_the_same_each_time(tool, tmp_path):
    kept = write(tmp_path, SKILL)
    for name in ("a.svg", "b.svg"):
        tool.draw(kept, tmp_path / name)
    found = texts(tmp_path / "a.svg")
    assert {*SKILL, "CamVid day → CamVid dusk", "IDD-Lite → CamVid"} <= set(found)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_results_without_the_baseline_are_one_line(tool, tmp_path):
    with pytest.raises(UserError, match="no BN with an unseen target"):
        tool.draw(write(tmp_path, ("IBN-a", "IBN-b")), tmp_path / "a.svg")
    assert not (tmp_path / "a.svg").exists()
