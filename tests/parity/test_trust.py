"""Figures of the field's own code of confidence, corruptions and temperatures, and the command."""

import copy
import json

import numpy as np
import pytest

from tests.parity.trust import FILE, TOLERANCE, figures, main, tolerances
from tests.parity.trust_cases import Figure, numbers
from tests.parity.trust_pictures import picture_figures

GOLDEN = json.loads(FILE.read_text(encoding="utf-8"))
ALLOWED = tolerances(GOLDEN)
METRICS = {"metrics": GOLDEN["metrics"]}
# A figure of every level of a small picture is enough by default; the others take seconds.
SMALL, *LARGE = GOLDEN["corruptions"]


def differing(found):
    return [
        f"{one.name}: {one.error}"
        for one in found
        if isinstance(one, Figure) and not one.error <= ALLOWED.get(one.kind, TOLERANCE)
    ]


def test_measures_are_those_of_the_fields_own_code():
    found = list(figures(METRICS, None))
    assert differing(found) == []
    assert sum(isinstance(one, Figure) for one in found) == 194
    assert [one for one in found if isinstance(one, str)] == [
        f"float.{case}.{name}: no definition"
        for case in "ab"
        for name in ("relis.prr_as_released", "lts.ace10_predicted_classes_0_to_11")
    ]


@pytest.mark.parametrize("case", GOLDEN["temperature"])
def test_temperatures_are_those_of_the_fields_own_code(case):
    # Without the scan of 950 temperatures, which takes seconds.
    given = {k: v for k, v in GOLDEN["temperature"][case].items() if "relis" not in k}
    found = list(figures({"temperature": {case: given}}, None))
    assert differing(found) == []
    assert sum(isinstance(one, Figure) for one in found) == 8


@pytest.mark.parametrize(
    "given", [SMALL, *(pytest.param(one, marks=pytest.mark.slow) for one in LARGE)]
)
def test_corrupted_pictures_are_those_of_the_published_code(given):
    found = list(picture_figures(given, None))
    assert differing(found) == []
    assert [one for one in found if isinstance(one, str)] == [
        f"{found[0].name.split()[0]} frost {s}: no pictures of frost"
        for s in given["corrupted"]["frost"]
    ]


def test_other_inputs_give_other_numbers():
    """Nothing knows the numbers of the file."""
    other = copy.deepcopy(GOLDEN)
    other["metrics"]["main"]["recipe"] = "images(6, 4000, seed=1)"
    for one in other["metrics"]["float"].values():
        one["recipe"] = "scores(5000, seed=9, sharpness=1.5), softmax at T = 1"
    wrong = differing(figures({"metrics": {k: other["metrics"][k] for k in ("main", "float")}}, 0))
    assert len(wrong) > 100
    picture = copy.deepcopy(SMALL) | {"seed": "99 + severity"}
    picture["corrupted"] = {k: v for k, v in SMALL["corrupted"].items() if k.endswith("_noise")}
    assert len({one.split(":")[0].rsplit(" ", 1)[0] for one in differing(
        picture_figures(picture, None))}) == 12  # fmt: skip


def test_recipes_are_parsed_and_never_run():
    assert numbers("scores(20, seed=3, sharpness=2.2), softmax", "scores") == (
        [20], {"seed": 3, "sharpness": 2.2},
    )  # fmt: skip
    for bad in ("scores(__import__('os'))", "picture(1)", "scores(1, seed=print)"):
        with pytest.raises(ValueError, match=r"has no|could not convert"):
            numbers(bad, "scores")


def test_the_command_tells_what_differs(tmp_path, capsys):
    given = {
        "metrics": {"edges": copy.deepcopy(GOLDEN["metrics"]["edges"])},
        "confidence_example": {"what": "x", "n": {"right": [1, 2], "wrong": [3, 1], "AUROC": 0.0}},
        "tolerances": GOLDEN["tolerances"],
    }
    right = np.array([3 * 2 + 3 * 0.5 + 1 * 1, 12])
    given["confidence_example"]["n"]["AUROC"] = right[0] / right[1]
    file = tmp_path / "figures.json"
    file.write_text(json.dumps(given))
    assert main([str(file)]) == 0
    assert capsys.readouterr().out.endswith("46 figures, 0 differ, 0 not compared\n")
    given["metrics"]["edges"]["ties"]["bravo"]["auroc"] += 1e-7
    given["metrics"]["edges"]["no_error"]["bravo"]["unheard of"] = 1.0
    file.write_text(json.dumps(given))
    assert main([str(file)]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.endswith("DIFFERS")]
    assert [line.split()[0] for line in lines] == ["edges.no_error.unheard", "edges.ties.auroc"]
    file.write_text("{}")
    assert main([str(file)]) == 1
