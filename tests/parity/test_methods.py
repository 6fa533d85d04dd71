"""Every method against figures of its authors' code, and the command that compares them."""

import copy
import json

import pytest
import torch

from tests.parity.methods import FILE, TOLERANCE, compare, main, number_error, tensor_error
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


def described(case, mask, name="mask0"):
    """A mask as the file has one."""
    flat = mask.flatten().double()
    return {
        "shape": list(mask.shape), "first": flat[:8].tolist(), "last": flat[-8:].tolist(),
        "sum": flat.sum().item(), "norm": flat.norm().item(),
        "dot": (flat @ case.probe(name, len(flat))).item(),
    }  # fmt: skip


NETWORK = Case("net.made", {"method": "ISW network", "seed": 3, "expect": {}})
MASK = torch.rand(24, 24, generator=torch.Generator().manual_seed(0)).triu(1) > 0.7
INSIDE = [(3, 20), (5, 21), (7, 15), (9, 12)]


def flipped(*entries):
    mask = MASK.clone()
    for entry in entries:
        mask[entry] = ~mask[entry]
    return mask.double()


@pytest.mark.parametrize("entries", [[], INSIDE[:1], INSIDE[:2], INSIDE[2:]])
def test_a_mask_of_a_network_may_differ_in_two_entries(entries):
    assert tensor_error(NETWORK, "mask0", flipped(*entries), described(NETWORK, MASK)) <= TOLERANCE


@pytest.mark.parametrize(
    "found",
    [flipped(*INSIDE[:3]), MASK.double().roll(1, 1), MASK.T.double(), flipped() * 2, flipped() + 1],
)
def test_a_wrong_mask_is_found(found):
    assert tensor_error(NETWORK, "mask0", found, described(NETWORK, MASK)) > TOLERANCE


def test_one_entry_has_to_explain_a_mask_of_one_more():
    expected = described(NETWORK, flipped(INSIDE[0]))
    expected["dot"] += 0.01
    assert tensor_error(NETWORK, "mask0", flipped(), expected) > TOLERANCE


@pytest.mark.parametrize("method", ["ISW", "IW/IRW network"])
def test_masks_of_other_cases_are_equal_to_the_last_entry(method):
    case = Case("net.made", {**NETWORK.given, "method": method})
    assert tensor_error(case, "mask0", flipped(), described(case, MASK)) == 0
    assert tensor_error(case, "mask0", flipped(INSIDE[0]), described(case, MASK)) > TOLERANCE
    assert number_error(case, "num_sensitive0", 99, 100) >= 1
    assert number_error(NETWORK, "num_sensitive0", 98, 100) == 0
    assert number_error(NETWORK, "num_sensitive0", 97, 100) >= 1
    assert number_error(case, "mask_indices", 10**7, 10**7 + 1) >= 1
