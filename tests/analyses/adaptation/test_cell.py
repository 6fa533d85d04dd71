"""Adaptation in a plan, and as a cell of a benchmark."""

import pytest
import yaml

pytest.importorskip("mmseg")

from ibn_seg.analyses.adaptation import cell
from ibn_seg.benchmark.cells import list_cells
from ibn_seg.benchmark.plan import read_plan
from ibn_seg.errors import UserError
from tests.benchmark.plans import bench, states, write_plan
from tests.benchmark.test_plan import GOOD

DEFAULTS = {"domains": [], "adaptations": [], "batch_sizes": [], "seed": 0}


@pytest.fixture
def plan_of(tmp_path):
    def write(options):
        path = tmp_path / "plan.yaml"
        path.write_text(yaml.safe_dump(GOOD | {"analyses": {"adaptation": options}}))
        return path

    return write


def cells(path):
    return [one for one in list_cells(read_plan(path)) if one.task == "adaptation"]


def test_a_plan_lists_the_cells_of_its_networks(plan_of):
    found = cells(plan_of({"methods": ["IBN-a"], "batch_sizes": [8]}))
    assert [(one.method, one.options) for one in found] == [
        ("IBN-a", DEFAULTS | {"batch_sizes": [8]})
    ] * 2
    assert all(len(one.needs) == 1 for one in found)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_sizes": [0]}, "analyses.adaptation.batch_sizes.0"),
        ({"batch_sizes": [65]}, "analyses.adaptation.batch_sizes.0"),
        ({"adaptations": "TENT"}, "analyses.adaptation.adaptations"),
        ({"batch": 3}, "analyses.adaptation.batch: unknown key 'batch': did you mean"),
    ],
)
def test_wrong_options_are_refused_with_their_key(plan_of, options, message):
    with pytest.raises(UserError) as caught:
        read_plan(plan_of(options))
    assert message in caught.value.line


def test_an_unknown_way_is_one_line():
    with pytest.raises(
        UserError, match="unknown method at test time 'AdaBM': did you mean 'AdaBN'"
    ):
        cell.check(DEFAULTS | {"adaptations": ["AdaBM"]})


@pytest.mark.slow
def test_a_benchmark_runs_it(tmp_path):
    more = "analyses: {adaptation: {adaptations: [AdaBN, batch BN], batch_sizes: [2]}}\n"
    plan = write_plan(tmp_path, more, iterations=2)
    done = bench(plan, tmp_path / "results")
    assert done.returncode == 0, done.stderr
    assert states(tmp_path / "results") == ["done"] * 4
    assert "best gain" in done.stdout + done.stderr
