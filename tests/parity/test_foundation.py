"""Networks of timm and their tuning against figures of the authors' code, and the command."""

import copy
import json

import pytest
from mmengine.registry import DefaultScope

pytest.importorskip("timm")

from tests.parity.foundation import FILE, compare, main
from tests.parity.foundation_counts import differences
from tests.parity.recipes import Case

CONTENT = json.loads(FILE.read_text(encoding="utf-8"))
CASES = CONTENT["cases"]
# Counts of one network of each kind; the command compares them all.
COUNTED = ("vit_small_patch14_dinov2", "eva02_small_patch14_224", "convnext_tiny")
# Cases whose figures depend little on the seed, or not at all.
WITHOUT_SEED = ("layer_decay.", "optim.", "schedule.", "soma.niter")


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope("mmseg"):
        yield


@pytest.mark.parametrize("name", CASES)
def test_a_case_equals_the_authors_code(name):
    outcome = compare(Case(name, CASES[name]))
    assert outcome.right, outcome


@pytest.mark.parametrize("name", [n for n in CASES if not n.startswith(WITHOUT_SEED)][::8])
def test_another_seed_gives_other_numbers(name):
    """No runner knows the numbers of the file."""
    given = copy.deepcopy(CASES[name])
    given["seed"] = 1
    outcome = compare(Case(name, given))
    assert not outcome.problem
    assert outcome.error > 100 * outcome.allowed


@pytest.mark.parametrize("name", COUNTED)
def test_networks_have_the_published_number_of_parameters(name):
    counts = {"backbones": {name: CONTENT["counts"]["backbones"][name]}}
    assert list(differences(counts)) == [(name, "")]


def test_the_command_tells_what_differs(tmp_path, capsys):
    cases = {name: copy.deepcopy(CASES[name]) for name in ("lora.linear", "schedule.eomt")}
    file = tmp_path / "figures.json"
    content = {"timm": CONTENT["timm"], "cases": cases}
    file.write_text(json.dumps(content))
    assert main([str(file)]) == 0
    assert capsys.readouterr().out.endswith("2 cases, 0 differ\n")
    cases["lora.linear"]["expect"]["trainable_parameters"] += 1
    cases["schedule.eomt"]["what"] = "unheard of"
    file.write_text(json.dumps(content))
    assert main([str(file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[2:] == ["DIFFERS", "trainable_parameters"]
    assert lines[2].endswith("DIFFERS 'unheard of' is not known")
    assert lines[3] == "2 cases, 2 differ"


def test_another_version_of_timm_is_named(tmp_path, capsys):
    file = tmp_path / "figures.json"
    file.write_text(json.dumps({"timm": "0.9.0", "cases": {"lora.linear": CASES["lora.linear"]}}))
    assert main([str(file)]) == 1
    line = f"timm {CONTENT['timm']} is installed, {file} is of timm 0.9.0\n"
    assert capsys.readouterr().err == line
