"""Every method against figures of its authors' code, and the command that compares them."""

import copy
import json

import pytest

from tests.parity.methods import FILE, TOLERANCE, compare, main
from tests.parity.recipes import Case

CASES = json.loads(FILE.read_text(encoding="utf-8"))["cases"]
LAYERS = [name for name in CASES if not name.startswith("net.")]
# One network of each kind of place; the others take half a minute.
NETWORKS = ("net.robustnet_iw.train", "net.robustnet_sw.eval", "net.dsu")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in (*LAYERS, *NETWORKS) else [pytest.mark.slow])
        for name in CASES
    ],
)
def test_a_method_equals_its_authors_code(name):
    outcome = compare(Case(name, CASES[name]))
    assert outcome.right, outcome


def test_the_file_has_all_cases():
    assert len(CASES) == 78


@pytest.mark.parametrize("name", LAYERS)
def test_another_seed_gives_other_numbers(name):
    """No runner knows the numbers of the file."""
    given = copy.deepcopy(CASES[name])
    given["seed"] = 1
    outcome = compare(Case(name, given))
    assert not outcome.problem
    assert outcome.error > 1e3 * TOLERANCE


def test_the_command_tells_what_differs(tmp_path, capsys):
    cases = {name: copy.deepcopy(CASES[name]) for name in ("in.affine", "iw.loss")}
    file = tmp_path / "figures.json"
    file.write_text(json.dumps({"cases": cases}))
    assert main([str(file)]) == 0
    assert capsys.readouterr().out.endswith("2 cases, 0 differ; allowed 1e-06\n")
    cases["iw.loss"]["expect"]["loss"] *= 1 + 1e-5
    cases["in.affine"]["method"] = "unheard of"
    file.write_text(json.dumps({"cases": cases}))
    assert main([str(file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].endswith("DIFFERS method 'unheard of' is not known")
    assert lines[2].split()[2:] == ["DIFFERS", "loss"]
    assert lines[3] == "2 cases, 2 differ; allowed 1e-06"
