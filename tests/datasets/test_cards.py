"""The table of data sets, their cards, the commands' help and the code say the same."""

import dataclasses
import re
import subprocess
import sys

import pytest

from ibn_seg.cli.data import data
from ibn_seg.datasets.all_datasets import DATA_SETS, dataset_class
from ibn_seg.datasets.splits import read_split
from ibn_seg.datasets.targets import GROUPS, domains_of, list_targets, target_configs
from ibn_seg.evaluation.protocols import ANY, PROTOCOLS
from tests.tiny import environment

CLASSES = {name: dataset_class(name) for name in DATA_SETS}
# Data sets of one's own.
OWN = ("train_ids", "folder")
CARDS = {name: kind.CARD for name, kind in CLASSES.items()}


def test_every_class_has_a_card_of_its_own():
    assert [name for name, kind in CLASSES.items() if "CARD" not in vars(kind)] == []
    assert len({card.title for card in CARDS.values()}) == len(CARDS)


def test_every_card_builds_its_class_with_every_part(tmp_path):
    for name, card in CARDS.items():
        for part in card.parts:
            dataset = CLASSES[name](tmp_path, lazy_init=True, **part.arguments)
            assert name == dataset.TARGET
        assert any(part.default for part in card.parts)


def test_where_there_are_archives_it_is_said_where_and_under_which_terms():
    for name, card in CARDS.items():
        said = (card.archives, card.anchors, card.source, card.licence, card.citation)
        assert all(said) or (name in OWN and not any(said)), name


def test_counts_are_those_of_the_split_lists():
    counts = {part.name: part.count for part in CARDS["gta5"].parts}
    for split in ("train", "val", "test"):
        assert counts[f"official_{split}"] == len(read_split(f"gta5_{split}"))
    synthia = {part.name: part.count for part in CARDS["synthia"].parts}
    assert synthia["robustnet_val"] == len(read_split("synthia_robustnet_val"))
    assert synthia["all"] == synthia["robustnet_train"] + synthia["robustnet_val"]
    assert sum(part.count for part in CARDS["acdc"].parts) == 2006


@pytest.mark.parametrize("name", DATA_SETS)
def test_domains_have_the_name_of_their_data_set_and_build_it(name, tmp_path):
    kind, targets = CLASSES[name], CARDS[name].targets
    assert re.fullmatch(r"\w+", name), "'-' is between a data set and its domain"
    assert all(target == name or target.startswith(f"{name}-") for target in targets)
    for target, arguments in targets.items():
        assert kind(tmp_path, lazy_init=True, **arguments).target == target
    # Messages and the help of `evaluate` say which variable names the root.
    assert not targets or f"IBN_SEG_{name.upper()}" == kind.ROOT_VARIABLE


def test_sets_of_domains_hold_domains():
    assert {domain for group in GROUPS for domain in domains_of(group)} <= set(list_targets())
    by_weather = [f"acdc-{one}" for one in ("fog", "night", "rain", "snow")]
    by_fog = [f"foggy_cityscapes-{one}" for one in ("0.005", "0.01", "0.02")]
    assert domains_of("acdc") == by_weather
    assert domains_of("foggy_cityscapes") == by_fog
    assert domains_of("adverse") == [*by_weather, "dark_zurich", *by_fog]
    assert domains_of("cityscapes") == ["cityscapes"]
    assert [config["target"] for config in target_configs(list_targets())] == list_targets()


def test_a_domain_that_a_card_gains_is_in_the_sets_of_its_data_set(monkeypatch):
    card = CARDS["acdc"]
    more = dataclasses.replace(card, targets={**card.targets, "acdc-hail": {"condition": "rain"}})
    monkeypatch.setattr(CLASSES["acdc"], "CARD", more)
    for name in ("acdc", "adverse"):
        assert "acdc-hail" in [config["target"] for config in target_configs([name])]


@pytest.mark.parametrize("name", DATA_SETS)
def test_protocols(name):
    shown = set(re.findall(r"`([a-z0-9_]+)`", CARDS[name].protocols))
    of_all = {protocol.name for protocol in PROTOCOLS.values() if ANY in protocol.views}
    named = {protocol.name for protocol in PROTOCOLS.values() if name in protocol.views}
    assert shown - of_all == named


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
    for name in DATA_SETS:
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


def test_sources_are_checked_without_mmseg_unless_a_card_is_in_doubt():
    code = """
import sys
from ibn_seg.datasets.targets import check_source
from ibn_seg.errors import UserError
check_source("gta5", ["gta5", "cityscapes"], "KEY")
check_source("acdc", ["acdc-fog"], "KEY")
check_source("city1+kitti", ["city2", "cityscapes"], "KEY")
try:
    check_source("citiscapes", ["cityscapes"], "KEY")
except UserError as error:
    print(error)
assert not {"torch", "mmengine", "mmseg"} & set(sys.modules)
check_source("foggy_cityscapes-0.005", ["foggy_cityscapes-0.01"], "KEY")
assert "mmseg" in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment()
    )
    (line,) = done.stdout.splitlines()
    assert "did you mean 'cityscapes'" in line
