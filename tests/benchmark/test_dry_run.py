"""A dry run says what must fail, before anything is begun; what can run is not held up."""

import re
import shutil

import pytest
import torch

from ibn_seg.benchmark import run_plan as task
from ibn_seg.benchmark.run_plan import check_plan, run_plan
from ibn_seg.cli import run as run_cli
from ibn_seg.errors import EnvError, UserError
from tests.benchmark.plans import write_plan, write_whole_plan

SCENES = """
name: scenes
segmentors: {all-MLP: "ibn_seg::demo/mlp_r18_1xb8-600_scenes-128x128"}
backbones: {ResNet-18: {}}
methods: {BN: {}, IBN-a: {model.backbone.ibn: a}}
seeds: [0, 1]
scenes: {counts}
"""


@pytest.fixture
def dry(tmp_path, capsys):
    """Return a function that dry-runs a plan: its exit code and what it says on stderr."""

    def call(plan, *more):
        before = sorted(tmp_path.rglob("*"))
        code = run_cli(
            ["benchmark", str(plan), "--results", str(tmp_path / "out"), "--dry-run", *more]
        )
        assert sorted(tmp_path.rglob("*")) == before
        return code, capsys.readouterr().err

    return call


def test_a_plan_that_can_run_passes_with_all_that_begins_from_it(tmp_path, dry):
    assert dry(write_whole_plan(tmp_path)) == (0, "")


def test_every_missing_set_is_named_once_for_all_its_cells(tmp_path, dry):
    plan = write_plan(tmp_path)
    shutil.rmtree(tmp_path / "gta5" / "labels")
    shutil.rmtree(tmp_path / "cityscapes")
    code, said = dry(plan)
    assert code == 2
    lines = said.splitlines()
    assert any("and 1 more: GTA5Dataset: folder" in line for line in lines)
    assert any("and 1 more: RawCityscapesDataset: data root" in line for line in lines)
    assert lines[-1].endswith("not all cells can run: mend what the lines above say")
    assert all(line.startswith(f"error: {plan}: ") for line in lines)


def test_one_wrong_method_is_named_alone(tmp_path, dry):
    plan = write_plan(tmp_path)
    plan.write_text(plan.read_text().replace("IBN-a: {}", "IBN-a: {model.backbone.depth: 19}"))
    code, said = dry(plan)
    assert code == 2
    assert re.search(r"error: \S+: IBN-a ResNet-18 gta5 seed 0: .*depth", said)
    assert len(said.splitlines()) == 2


def test_files_and_modules_that_a_config_names(tmp_path, dry):
    plan = write_plan(tmp_path)
    plan.write_text(plan.read_text().replace("IBN-a: {}", "IBN-a: {load_from: gone.pth}"))
    config = tmp_path / "tiny.py"
    imports = "imports=['ibn_seg.plugins.mmseg'"
    config.write_text(config.read_text().replace(imports, f"{imports}, 'no_module'"))
    code, said = dry(plan)
    assert code == 2
    assert "load_from: gone.pth does not exist" in said
    assert "no_module cannot be imported" in said


@pytest.mark.parametrize(
    ("counts", "lacking"),
    [
        ("{source: 202, target_train: 0, target_val: 1}", None),
        ("{source: 200, target_train: 0, target_val: 1}", "no frame of split 'val'"),
        ("{source: 202, target_train: 5, target_val: 0}", r"RawCityscapesDataset: folder '.*val'"),
    ],
)
def test_scenes_are_judged_by_the_numbers_that_the_plan_asks_for(tmp_path, dry, counts, lacking):
    plan = tmp_path / "plan.yaml"
    plan.write_text(SCENES.replace("{counts}", counts))
    code, said = dry(plan)
    assert code == (2 if lacking else 0)
    if lacking:
        assert re.search(lacking, said)
        assert f"and 3 more: {'GTA5' if 'frame' in lacking else 'RawCityscapes'}Dataset" in said
        assert str(tmp_path / "out" / "scenes") in said
    else:
        assert not said


@pytest.mark.parametrize(
    ("pairs", "lacking"),
    [
        ('["appearance", "domains:gta5,cityscapes"]', None),
        ('["domains:gta5,acdc"]', "unknown domain 'acdc'"),
        ('["null:cityscapes"]', "images of cityscapes on a side, and 9 are needed"),
    ],
)
def test_an_analysis_of_what_there_is_not(tmp_path, dry, pairs, lacking):
    few = 9 if lacking and "side" in lacking else 2
    plan = write_plan(tmp_path, f"analyses:\n  divergence: {{pairs: {pairs}, min_images: {few}}}\n")
    code, said = dry(plan)
    assert (code, bool(said)) == ((2, True) if lacking else (0, False))
    assert (lacking or "") in said


def test_gpus_count_where_the_cells_run(tmp_path, monkeypatch):
    plan = write_plan(tmp_path, "processes: 3\n")
    plan.write_text(
        plan.read_text().replace("IBN-a: {}", "IBN-a: {optim_wrapper.type: AmpOptimWrapper}")
    )
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    (line,) = check_plan(plan, tmp_path / "out")
    assert "AmpOptimWrapper needs a GPU" in line
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    (line,) = check_plan(plan, tmp_path / "out")
    assert "processes: a cell needs 3 GPUs, but there are 2" in line
    monkeypatch.setattr(task, "check_launcher", lambda name: None)
    assert check_plan(plan, tmp_path / "out", launcher="ray") == []


def test_a_launcher_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(__import__("sys").modules, "submitit", object())
    with pytest.raises(EnvError, match="there is no sbatch here"):
        check_plan(write_plan(tmp_path), tmp_path / "out", launcher="slurm")


def test_a_plan_of_failing_cells_alone_is_not_begun(tmp_path):
    plan, said = write_plan(tmp_path), []
    shutil.rmtree(tmp_path / "cityscapes")
    with pytest.raises(UserError, match="none of its 2 cells can run"):
        run_plan(plan, tmp_path / "out", say=said.append)
    assert len(said) == 1
    assert "RawCityscapesDataset" in said[0]
    assert not (tmp_path / "out" / "cells").exists()


def test_missing_targets_are_skipped_only_when_asked(tmp_path, dry):
    """One target's data are enough: an analysis and the index know of no other."""
    plan = write_plan(tmp_path)
    more = tmp_path / "more.py"
    more.write_text(f"""targets = [
        dict(type='RawCityscapesDataset', data_root='{tmp_path}/cityscapes', split='val'),
        dict(type='IDDDataset', data_root='{tmp_path}/idd', split='val')]
""")
    plan.write_text(plan.read_text() + f"targets: [{more}]\n")
    code, said = dry(plan)
    assert code == 2
    assert "and 1 more: IDDDataset: data root" in said
    code, said = dry(plan, "--skip-missing-targets")
    assert code == 0
    assert re.fullmatch(r"skipped target idd: IDDDataset: data root \S+.*\n", said)
    _, cells, _ = task.open_plan(plan, tmp_path / "out", True)
    assert [cell.targets for cell in cells] == [("cityscapes",)] * 2
    _, whole, _ = task.open_plan(plan, tmp_path / "out")
    assert {cell.id for cell in cells}.isdisjoint(cell.id for cell in whole)


def test_without_any_target_there_is_nothing_to_skip(tmp_path, dry):
    plan = write_plan(tmp_path)
    shutil.rmtree(tmp_path / "cityscapes")
    code, said = dry(plan, "--skip-missing-targets")
    assert code == 2
    assert said.splitlines()[-1] == (
        f"error: {plan}: all targets are missing: cityscapes: one is needed, see data/README.md"
    )
