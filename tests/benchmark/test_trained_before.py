"""A training that is done for some targets is not done again for others."""

import shutil
from pathlib import Path

import pytest

pytest.importorskip("mmseg")

from ibn_seg.benchmark.cells import list_cells
from ibn_seg.benchmark.plan import read_plan
from ibn_seg.benchmark.run_plan import run_plan
from ibn_seg.benchmark.selection import LAST, selected, selected_checkpoint
from ibn_seg.benchmark.store import Store
from ibn_seg.benchmark.trained_before import evaluation, take_over, trained_before, training_key
from ibn_seg.evaluation.stored import read_confusions, write_confusions
from ibn_seg.io import read_json, write_json
from tests.benchmark.plans import write_plan
from tests.leaderboard.made import matrices

BEST = "best-on-source-validation"
# The source is best at iteration 1. Nothing else has a say.
CURVES = {"iter": [1, 2], "val": [
    {"iter": 1, "gta5/mIoU": 5.0, "cityscapes/mIoU": 1.0},
    {"iter": 2, "gta5/mIoU": 4.0, "cityscapes/mIoU": 9.0}]}  # fmt: skip

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


@pytest.fixture(scope="module")
def best_plans(plans):
    """The same two plans where the checkpoint counts that is best on the source."""
    found = []
    for name in ("one", "two"):
        path = plans[name].with_stem(f"best-{name}")
        path.write_text(f"{plans[name].read_text()}selection: {BEST}\n")
        found.append(path)
    return found


def result_of(cell, name, domains):
    return {
        "name": name, "iterations": 2, "curves": CURVES, "wall_time_s": 3.0,
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
    (made.work_dir(first) / "best_gta5_mIoU_iter_1.pth").write_bytes(b"best weights")
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


@pytest.mark.parametrize("rule", [LAST, BEST])
@pytest.mark.parametrize("change", ["none", "copying", "begun", "gone", "damaged"])
def test_a_network_is_taken_over_where_it_can(cells, store, change, rule):
    first, second = cells
    if change == "begun":
        store.work_dir(second).mkdir()
        (store.work_dir(second) / "iter_1.pth").touch()
    elif change == "copying":
        # It was interrupted between the evaluation and the result.
        (store.work_dir(second) / "last").mkdir(parents=True)
        (store.work_dir(second) / "iter_2.pth").touch()
    elif change == "gone":
        name = "iter_2.pth" if rule == LAST else "best_gta5_mIoU_iter_1.pth"
        (store.work_dir(first) / name).unlink()
    elif change == "damaged":
        (store.work_dir(first) / "cell.json").write_text("{")
    found = trained_before(store, second, rule)
    assert (found is None) == (change not in ("none", "copying"))
    if found:
        assert found.id == first.id
        assert found.result == store.result(first)
        assert found.checkpoint.read_bytes() == b"weights"
        assert found.selected.read_bytes() == (b"weights" if rule == LAST else b"best weights")
    assert trained_before(store, first, LAST) is None


@pytest.mark.parametrize("rule", [LAST, BEST])
def test_the_result_is_of_the_training_and_of_the_new_evaluation(cells, store, rule):
    first, second = cells
    trained = trained_before(store, second, rule)
    step = evaluation(store, second, trained)
    work_dir = store.work_dir(second)
    # A test in the cell's own folder is that of the selected network.
    assert step.output == work_dir / "last" / "test.json"
    assert step.arguments[0] == "test"
    assert Path(step.arguments[2]).read_bytes() == b"weights"
    domains = ("gta5", "cityscapes", "night")
    write_json(step.output, {**result_of(second, "test", domains), "curves": None})
    write_confusions(work_dir / "last" / "test.npz", matrices(dict.fromkeys(domains, 0.5), 0))
    take_over(store, second, trained)
    found = store.result(second)
    assert list(found["domains"]) == list(domains)
    assert found["curves"] == CURVES
    assert (found["trained_in"], found["name"]) == (first.id, second.id)
    assert found["config"] == f"# {second.id}"
    assert found["command"] == "ibn-seg train && ibn-seg test"
    assert found["wall_time_s"] == 6
    assert list(read_confusions(work_dir / found["confusions"]).domains) == list(domains)
    assert selected_checkpoint(work_dir, found, LAST).read_bytes() == b"weights"
    files = {"result.json", "confusions.npz", "iter_2.pth", "last_checkpoint"}
    if rule == BEST:
        files.add("best_gta5_mIoU_iter_1.pth")
        assert selected_checkpoint(work_dir, found, rule).read_bytes() == b"best weights"
        # The validations of the training did not have the new target.
        assert selected(found, rule) == (1, {"gta5": 5.0, "cityscapes": 1.0})
    assert {path.name for path in work_dir.iterdir()} == files


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


@pytest.mark.slow
def test_a_network_that_is_best_on_the_source_is_only_evaluated_too(best_plans, tmp_path):
    (before,) = run_plan(best_plans[0], tmp_path, say=lambda line: None)
    (after,) = run_plan(best_plans[1], tmp_path, say=lambda line: None)
    assert after["state"] == "done"
    result, tested = (read_json(tmp_path / after[name]) for name in ("result", "test"))
    assert result["trained_in"] == before["id"]
    assert list(tested["domains"]) == list(after["mIoU"]) == ["gta5", "cityscapes", "night"]
    assert after["iteration"] == before["iteration"]
    assert after["mIoU"] == {**before["mIoU"], "night": before["mIoU"]["cityscapes"]}
    files = [tmp_path / row["checkpoint"] for row in (before, after)]
    assert files[0].read_bytes() == files[1].read_bytes()
