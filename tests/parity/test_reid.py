"""Re-identification against figures of the authors' code, and the command that compares them."""

import copy
import json

import pytest

from tests.parity import reid_inputs
from tests.parity.reid import FILE, RUNNERS, figures, main
from tests.parity.reid_outcome import checksum

CONTENT = json.loads(FILE.read_text(encoding="utf-8"))
# Networks of 50 layers take seconds each.
QUICK_NETWORK = "resnet18"


def part(section, **cases):
    """Return a file's content with one section, or with some cases of it."""
    return {"about": CONTENT["about"], section: cases or CONTENT[section]}


@pytest.mark.parametrize("section", sorted(RUNNERS.keys() - {"networks", "random_erasing"}))
def test_a_section_agrees(section):
    found = list(figures(part(section)))
    assert found
    assert [figure for figure in found if not figure.right] == []


def test_random_erasing_agrees():
    case = {**CONTENT["random_erasing"], "draws": 800}
    assert [
        f for f in figures({"about": CONTENT["about"], "random_erasing": case}) if not f.right
    ] == []


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == QUICK_NETWORK else [pytest.mark.slow])
        for name in CONTENT["networks"]["0"]
        if name != "inputs"
    ],
)
def test_a_network_agrees(name):
    case = {**CONTENT["networks"]["0"]}
    chosen = {"inputs": case["inputs"], name: case[name]}
    assert [f for f in figures(part("networks", **{"0": chosen})) if not f.right] == []


def test_every_section_of_the_file_is_compared():
    assert CONTENT.keys() == {"about", *RUNNERS}


@pytest.mark.parametrize("section", ["multi_query", "losses", "reranking"])
def test_another_seed_gives_other_numbers(section):
    """No runner knows the numbers of the file."""
    case = copy.deepcopy(CONTENT[section]["0"])
    kinds = case.values() if section == "losses" else [case]
    for kind, given in zip(case if section == "losses" else [""], kinds, strict=True):
        if section == "losses":
            made = reid_inputs.batch(7, kind)
        else:
            made = {**reid_inputs.features(7), **reid_inputs.multi_query(7)}
        given["inputs"] = {name: checksum(made[name]) for name in given["inputs"]}
    found = [f for f in figures(part(section, **{"7": case})) if not f.problem]
    assert found
    assert sum(not figure.right for figure in found) > len(found) / 2


def test_the_command_tells_what_differs(tmp_path, capsys):
    content = part("worked_examples")
    content["worked_examples"] = copy.deepcopy(CONTENT["worked_examples"][:2])
    file = tmp_path / "figures.json"
    file.write_text(json.dumps(content))
    assert main([str(file)]) == 0
    assert capsys.readouterr().out.endswith("2 figures, 0 differ\n")
    content["worked_examples"][1]["INP"] = 0.9
    content["unheard_of"] = {}
    file.write_text(json.dumps(content))
    assert main([str(file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "DIFFERS" in lines[2]
    assert lines[3].endswith("DIFFERS section 'unheard_of' is not known")
    assert lines[4] == "3 figures, 2 differ"


def test_other_inputs_are_noticed():
    case = copy.deepcopy(CONTENT["distances"]["0"])
    case["inputs"]["q"] += 1
    (found,) = figures(part("distances", **{"0": case}))
    assert not found.right
    assert found.problem == "inputs differ: q"
