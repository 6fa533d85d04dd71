"""Unknown things in a plan, and as a cell of a benchmark."""

import pytest
import yaml

pytest.importorskip("mmseg")

from ibn_seg.analyses.unknown import cell
from ibn_seg.benchmark.cells import list_cells
from ibn_seg.benchmark.needs import missing_needs
from ibn_seg.benchmark.plan import read_plan
from ibn_seg.errors import UserError
from tests.benchmark.test_plan import GOOD

SCENES = {"source": 4, "target_train": 2, "target_val": 2}


@pytest.fixture
def cells_of(tmp_path):
    def read(data, scenes=SCENES):
        path = tmp_path / "plan.yaml"
        analyses = {"unknown": {"data": data}} if data else {}
        path.write_text(yaml.safe_dump(GOOD | {"analyses": analyses, "scenes": scenes}))
        plan = read_plan(path)
        return plan, list_cells(plan)

    return read


def ids(cells, *tasks):
    return [one.id for one in cells if one.task in tasks]


def test_rendered_unknown_things_change_the_ids_of_their_cells_alone(cells_of):
    few, many = (cells_of(["oddities"], SCENES | {"oddities": n})[1] for n in (2, 3))
    plain = cells_of([])[1]
    assert ids(few, "train") == ids(many, "train") == ids(plain, "train")
    assert len(ids(few, "unknown")) == len(ids(few, "train"))
    assert not set(ids(few, "unknown")) & set(ids(many, "unknown"))


def test_where_data_lie_changes_no_id(cells_of):
    one, other, named = (
        ids(cells_of([data])[1], "unknown") for data in ("smiyc=a", "smiyc=b", "x:smiyc=a")
    )
    assert one == other
    assert one != named


@pytest.mark.parametrize(("frames", "lacks"), [({"oddities": 2}, ()), ({}, ("folder",))])
def test_a_dry_run_looks_for_the_scenes_of_the_plan(frames, lacks, cells_of, tmp_path):
    plan, cells = cells_of(["oddities"], SCENES | frames)
    first = next(one for one in cells if one.task == "unknown")
    ((_, lines),) = missing_needs(plan, [first], tmp_path / "scenes")
    assert len(lines) == len(lacks)
    assert all(str(tmp_path / "scenes" / "oddities") in line for line in lines)


def test_data_that_are_nowhere_are_told(monkeypatch):
    monkeypatch.delenv("IBN_SEG_SCENES", raising=False)
    (line,) = cell.lacking({"data": ["oddities"]}, {}, None)
    assert line.startswith("--data 'oddities' has no root")
    for data in ([], ["odd"], ["smiyc"]):
        with pytest.raises(UserError):
            cell.check({"data": data})
