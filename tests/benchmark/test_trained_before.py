"""A training that is done for some targets is not done again for others."""

import shutil
from pathlib import Path

import pytest

pytest.importorskip("mmseg")

from ibn_seg.benchmark.cells import list_cells
from ibn_seg.benchmark.plan import read_plan
from ibn_seg.benchmark.run_plan import run_plan
from ibn_seg.benchmark.selection import LAST, selected_checkpoint
from ibn_seg.benchmark.store import Store
from ibn_seg.benchmark.trained_before import evaluation, take_over, trained_before, training_key
from ibn_seg.evaluation.stored import read_confusions, write_confusions
from ibn_seg.io import read_json, write_json
from tests.benchmark.plans import write_plan
from tests.leaderboard.made import matrices

TARGET = """
targets = [
    dict(type='RawCityscapesDataset', data_root='{root}', split='val', target='{name}',
         pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadUrbanLabels'),
                   dict(type='PackSegInputs', meta_keys=('img_path', 'seg_map_path', 'ori_shape',
                        'img_shape', 'target'))])]
"""


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    """A plan of one network, the same with a target more, and others."""
    folder = tmp_path_factory.mktemp("targets")
    plan = write_plan(folder, iterations=2)
    text = plan.read_text().replace("  IBN-a: {}\n", "")
    shutil.copytree(folder / "cityscapes", folder / "night")
    for name in ("cityscapes", "night"):
        (folder / f"{name}.py").write_text(TARGET.format(root=folder / name, name=name))

    def write(name, targets, more=""):
        path = folder / f"{name}.yaml"
        listed = ", ".join(str(folder / f"{one}.py") for one in targets)
        path.write_text(f"{text}targets: [{listed}]\n{more}")
        return path

    both = ("cityscapes", "night")
    return {
        "one": write("one", both[:1]),
        "two": write("two", both),
        "seeds": write("seeds", both, "also: [{seeds: [1]}]\n"),
        "measured": write("measured", both, "analyses: {calibration: {domains: [night]}}\n"),
    }


@pytest.fixture(scope="module")
def cells(plans):
    """The cell of one target, and that of two."""
    return [list_cells(read_plan(plans[name]))[0] for name in ("one", "two")]


def result_of(cell, name, domains):
    return {
        "name": name, "iterations": 2, "curves": {"iter": [1, 2]}, "wall_time_s": 3.0,
        "threads": 1, "processes": 1, "command": f"ibn-seg {name}", "confusions": f"{name}.npz",
        "source": "gta5", "method": "BN", "config": f"# {cell.id}",
        "domains": {domain: {"mIoU": len(domain)} for domain in domains},
    }  # fmt: skip


@pytest.fixture
def store(cells, tmp_path):
    """Results in which the cell of one target is finished."""
    made, first = Store(tmp_path / "results"), cells[0]
    write_json(made.work_dir(first) / "result.json",
               result_of(first, "train", ("gta5", "cityscapes")))  # fmt: skip
    (made.work_dir(first) / "iter_2.pth").write_bytes(b"weights")
    made.record_done(first)
    return made


def test_the_key_of_a_training_is_free_of_its_targets(plans, cells):
    one, two = cells
    assert one.id != two.id
    assert training_key(one.identity) == training_key(two.identity)
    # What a cell is known by stays.
    assert len(two.identity["config"]["val_dataloader"]["dataset"]["datasets"]) == 3
    first, second = list_cells(read_plan(plans["seeds"]))
    assert first.id == two.id
    assert training_key(second.identity) != training_key(one.identity)


@pytest.mark.parametrize("change", ["none", "rule", "begun", "gone", "damaged"])
def test_a_network_is_taken_over_where_it_can(cells, store, change):
    first, second = cells
    rule = "best-on-source-validation" if change == "rule" else LAST
    if change == "begun":
        store.work_dir(second).mkdir()
        (store.work_dir(second) / "iter_1.pth").touch()
    elif change == "gone":
        (store.work_dir(first) / "iter_2.pth").unlink()
    elif change == "damaged":
        (store.work_dir(first) / "cell.json").write_text("{")
    found = trained_before(store, second, rule)
    assert (found is None) == (change != "none")
    if found:
        assert found.id == first.id
        assert found.result == store.result(first)
    assert trained_before(store, first, LAST) is None


def test_the_result_is_of_the_training_and_of_the_new_evaluation(cells, store):
    first, second = cells
    trained = trained_before(store, second, LAST)
    step = evaluation(store, second, trained)
    work_dir = store.work_dir(second)
    assert step.output == work_dir / "test.json"
    assert step.arguments[0] == "test"
    assert Path(step.arguments[2]).read_bytes() == b"weights"
    domains = ("gta5", "cityscapes", "night")
    write_json(step.output, {**result_of(second, "test", domains), "curves": None})
    write_confusions(work_dir / "test.npz", matrices(dict.fromkeys(domains, 0.5), 0))
    take_over(store, second, trained)
    found = store.result(second)
    assert list(found["domains"]) == list(domains)
    assert found["curves"] == {"iter": [1, 2]}
    assert (found["trained_in"], found["name"]) == (first.id, second.id)
    assert found["config"] == f"# {second.id}"
    assert found["command"] == "ibn-seg train && ibn-seg test"
    assert found["wall_time_s"] == 6
    assert list(read_confusions(work_dir / found["confusions"]).domains) == list(domains)
    assert selected_checkpoint(work_dir, found, LAST).read_bytes() == b"weights"
    assert {path.name for path in work_dir.iterdir()} == {
        "result.json", "confusions.npz", "iter_2.pth", "last_checkpoint",
    }  # fmt: skip


@pytest.mark.slow
def test_a_further_target_is_only_evaluated(plans, cells, tmp_path):
    run_plan(plans["one"], tmp_path, say=lambda line: None)
    rows = run_plan(plans["measured"], tmp_path, say=lambda line: None)
    assert [row["state"] for row in rows] == ["done", "done"]
    store = Store(tmp_path)
    before, after = (store.result(cell) for cell in cells)
    assert after["trained_in"] == cells[0].id
    assert list(after["domains"]) == ["gta5", "cityscapes", "night"]
    for domain in before["domains"]:
        assert after["domains"][domain] == before["domains"][domain]
    assert after["domains"]["night"]["mIoU"] == before["domains"]["cityscapes"]["mIoU"]
    assert after["curves"] == before["curves"]
    # It is done now, for any plan.
    (again,) = run_plan(plans["two"], tmp_path, say=lambda line: None)
    assert (again["state"], again["mIoU"]) == ("done", rows[0]["mIoU"])
    assert read_json(store.work_dir(cells[1]) / "cell.json")["id"] == cells[1].id
