"""Speed in a plan, and as a cell of a benchmark."""

import json

import pytest
import yaml

pytest.importorskip("mmseg")

from ibn_seg.analyses.speed import cell
from ibn_seg.benchmark.cells import list_cells
from ibn_seg.benchmark.plan import read_plan
from ibn_seg.errors import UserError
from ibn_seg.leaderboard import write_leaderboard
from tests.benchmark.plans import bench, states, write_plan
from tests.benchmark.test_plan import GOOD

DEFAULTS = {"repeats": 15, "size": [512, 256], "seed": 0}


@pytest.fixture
def plan_of(tmp_path):
    def write(options):
        path = tmp_path / "plan.yaml"
        path.write_text(yaml.safe_dump(GOOD | {"analyses": {"speed": options}}))
        return path

    return write


def cells(path):
    return [one for one in list_cells(read_plan(path)) if one.task == "speed"]


def test_a_plan_lists_the_cells_of_its_networks(plan_of):
    found = cells(plan_of({"methods": ["IBN-a"]}))
    assert [(one.method, one.seed, one.options) for one in found] == [
        ("IBN-a", 0, DEFAULTS), ("IBN-a", 1, DEFAULTS)
    ]  # fmt: skip
    assert all(len(one.needs) == 1 for one in found)


def test_ids_change_with_the_options(plan_of):
    ids = [
        [one.id for one in cells(plan_of(options))]
        for options in (None, DEFAULTS, {"repeats": 16}, {"size": [256, 512]}, {"seed": 1})
    ]
    assert ids[0] == ids[1]
    assert len({name for some in ids for name in some}) == 4 * len(ids[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repeats": 1}, "analyses.speed.repeats: is 1: expected a whole number of 2 or more"),
        ({"size": [64]}, "analyses.speed.size: has 1 numbers: expected [256, 128]"),
        ({"size": [64, 0]}, "analyses.speed.size: is 0: expected a whole number of 1 or more"),
        ({"seed": "x"}, "analyses.speed.seed: is 'x': expected a whole number"),
        ({"repeat": 3}, "analyses.speed.repeat: unknown key 'repeat': did you mean 'repeats'?"),
    ],
)
def test_wrong_options_are_refused_with_their_key(plan_of, options, message):
    path = plan_of(options)
    with pytest.raises(UserError) as caught:
        read_plan(path)
    assert caught.value.line.startswith(f"{path}: {message}"), caught.value.line


def test_it_lacks_nothing_and_says_the_ratio():
    assert list(cell.lacking(DEFAULTS, {}, None)) == []
    assert cell.summary({"time_over_bn": {"median": 1.084}}) == "time 1.08 x BN "


@pytest.mark.slow
def test_a_benchmark_runs_it(tmp_path):
    more = "analyses: {speed: {repeats: 3, size: [64, 32], seed: 1}}\n"
    plan = write_plan(tmp_path, more, iterations=2)
    done = bench(plan, tmp_path / "results")
    assert done.returncode == 0, done.stderr
    assert states(tmp_path / "results") == ["done"] * 4
    rows = json.loads((tmp_path / "results" / "benchmark.json").read_text())["cells"]
    found = {
        row["method"]: json.loads((tmp_path / "results" / row["result"]).read_text())
        for row in rows
        if row["task"] == "speed"
    }
    assert {name: one["own_twin"] for name, one in found.items()} == {"BN": True, "IBN-a": False}
    for one in found.values():
        assert (one["repeats"], one["size"], one["noise_seed"]) == (3, [64, 32], 1)
    page = write_leaderboard([tmp_path / "results"], tmp_path / "board.html")[0]
    assert "Time over BN" in page.read_text(encoding="utf-8")
