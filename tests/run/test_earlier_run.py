"""What a training does in a folder that holds, or is used by, another one."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest
import torch

from ibn_seg.cli import run as run_cli
from ibn_seg.engine.folder_lock import LOCK, folder_lock
from ibn_seg.errors import UserError
from ibn_seg.run import segmentation
from tests.tiny import environment

IBN_B = {"model.backbone.ibn": "b"}
ONE = {"train_cfg.max_iters": 1}


def contents(folder):
    return {p: p.read_bytes() for p in folder.iterdir() if p.is_file()}


@pytest.fixture
def copy(trained, tmp_path):
    return shutil.copytree(trained[0], tmp_path / "copy")


def damage(folder):
    for path in folder.glob("*.pth"):
        path.write_bytes(path.read_bytes()[:-2000])


def strip(folder):
    """Leave weights alone, as a finished cell of a benchmark does."""
    for path in folder.glob("*.pth"):
        torch.save({"state_dict": torch.load(path, weights_only=True)["state_dict"]}, path)


def best_only(folder):
    (folder / "iter_6.pth").rename(folder / "best_gta5_mIoU_iter_6.pth")
    for path in folder.glob("iter_*.pth"):
        path.unlink()


def by_epochs(folder):
    damage(folder)
    for path in folder.glob("iter_*.pth"):
        path.rename(path.with_name(path.name.replace("iter", "epoch")))


def elsewhere(folder):
    other = folder.parent / "other"
    other.mkdir()
    for path in folder.glob("iter_*.pth"):
        path.rename(other / path.name)
    (folder / "last_checkpoint").write_text(str(other / "iter_6.pth"))


@pytest.mark.parametrize("spoil", [damage, strip, best_only, by_epochs, elsewhere])
def test_resume_refuses_where_no_checkpoint_can_be_used(copy, tiny, capsys, spoil):
    spoil(copy)
    before = contents(copy)
    assert run_cli(["train", str(tiny), "--work-dir", str(copy), "--resume"]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: cannot resume: ")
    assert contents(copy) == before


@pytest.mark.parametrize("template", ["net-{}.pth", "net-{}.pt"])
def test_checkpoints_of_other_names_and_places_are_found(tiny, tmp_path, template):
    options = {
        "default_hooks.checkpoint.filename_tmpl": template,
        "default_hooks.checkpoint.out_dir": str(tmp_path / "weights"),
    }
    run = tmp_path / "run"
    segmentation.train(tiny, work_dir=run, cfg_options=options, quiet=True)
    (tmp_path / "weights" / "run" / template.format(6)).unlink()
    result = segmentation.train(tiny, work_dir=run, cfg_options=options, quiet=True, resume=True)
    assert result["resumed_at"] == [4]


def test_a_damaged_record_of_validations_is_not_replaced(copy, tiny):
    for text in ("[{", '{"iter": 3}', '[{"metrics": {}}]'):
        (copy / "validations.json").write_text(text)
        with pytest.raises(UserError, match="no list of validations"):
            segmentation.train(tiny, work_dir=copy, resume=True, quiet=True)
        assert (copy / "validations.json").read_text() == text


@pytest.mark.parametrize("left", ["all", "the result", "the checkpoints"])
def test_a_run_of_another_network_is_not_replaced(copy, tiny, capsys, left):
    if left == "the result":
        for path in copy.glob("*.pth"):
            path.unlink()
    elif left == "the checkpoints":
        (copy / "result.json").unlink()
    before = contents(copy)
    base = copy.parent / "derived.py"
    base.write_text(f"_base_ = {str(copy / 'tiny.py')!r}\nmodel = dict(backbone=dict(ibn='b'))\n")
    assert run_cli(["train", str(base), "--work-dir", str(copy)]) == 2
    told, line = capsys.readouterr().err.strip().splitlines()
    assert told.startswith("experiment.method is 'IBN-a', but model.backbone.ibn is 'b'")
    assert line.startswith(f"error: {copy}: holds a run of IBN-a: IBNResNet-18 (ibn a), FCNHead")
    assert "of IBN-a: IBNResNet-18 (ibn b), FCNHead (model.backbone.ibn 'a' -> 'b')" in line
    assert contents(copy) == before


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"model.backbone.norm_cfg.type": "SyncBN", "model.decode_head.norm_cfg.type": "SyncBN"},
        {"model.test_cfg.mode": "whole", "model.decode_head.dropout_ratio": 0.2},
        {"optim_wrapper.optimizer.lr": 0.5},
        {"randomness.seed": 3},
    ],
)
def test_the_same_network_is_trained_again_as_ever(copy, tiny, capsys, options):
    result = segmentation.train(tiny, work_dir=copy, cfg_options=options | ONE, quiet=True)
    assert result["iterations"] == 1
    said = capsys.readouterr().err
    assert "holds a run with other settings" in said
    assert ("lr 0.01 -> 0.5" in said) is ("optim_wrapper.optimizer.lr" in options)
    assert ("seed 0 -> 3" in said) is ("randomness.seed" in options)


def test_nothing_is_said_of_the_same_run(trained, tiny, capsys):
    from ibn_seg.run import earlier_run, setup

    cfg = setup.prepare(
        tiny, work_dir=trained[0], cfg_options=None, launcher="none", quiet=True
    )  # fmt: skip
    setup.set_training(cfg, seed=None, amp=False)
    earlier_run.set_resume(cfg, resume=False)
    assert capsys.readouterr().err == ""


def test_what_a_resumed_run_does_otherwise_is_recorded(copy, tiny, capsys):
    for name in ("iter_6.pth", "result.json"):
        (copy / name).unlink()
    options = {"train_dataloader.batch_size": 4, "param_scheduler.0.end": 8,
               "train_cfg.max_iters": 8}  # fmt: skip
    result = segmentation.train(tiny, work_dir=copy, cfg_options=options, resume=True, quiet=True)
    (entry,) = result["resumed_with"]
    assert entry["iter"] == 4
    assert set(entry["changed"]) == {
        "train_dataloader.batch_size 2 -> 4", "param_scheduler.0.end 6 -> 8",
        "train_cfg.max_iters 6 -> 8",
    }  # fmt: skip
    assert "batch_size 2 -> 4" in capsys.readouterr().err
    # The written config is what was asked for: one over it does not go on from this run.
    assert re.search("load_from ?= ?None", (copy / "tiny.py").read_text())
    assert re.search("load_from ?= ?None", result["config"])
    checkpoint = torch.load(copy / "iter_8.pth", weights_only=True)
    assert checkpoint["meta"]["run"]["resumed_with"] == result["resumed_with"]


def test_the_seed_is_that_of_the_checkpoint(tiny, tmp_path, capsys):
    segmentation.train(tiny, work_dir=tmp_path, seed=4, cfg_options=ONE, quiet=True)
    args = ["train", str(tiny), "--work-dir", str(tmp_path), "--resume"]
    assert run_cli([*args, "--seed", "5"]) == 2
    assert "began with seed 4, now it is 5" in capsys.readouterr().err
    assert run_cli([*args, "--cfg-options", "train_cfg.max_iters=2"]) == 0
    assert json.loads((tmp_path / "result.json").read_text())["seed"] == 4
    assert "seed=4" in (tmp_path / "tiny.py").read_text()


@pytest.mark.parametrize("named", [False, True])
def test_a_seed_of_the_config_that_has_no_effect_is_said(tiny, tmp_path, capsys, named):
    began, went_on = tmp_path / "began", tmp_path / ("on" if named else "began")
    segmentation.train(tiny, work_dir=began, seed=4, cfg_options=ONE, quiet=True)
    capsys.readouterr()
    path = began / "iter_1.pth"
    args = ["train", str(tiny), "--work-dir", str(went_on)]
    args += [] if named else ["--resume"]
    options = ["--cfg-options", "train_cfg.max_iters=2"]
    options += [f"load_from={path}", "resume=True"] if named else []
    assert run_cli([*args, *options, "randomness.seed=5"]) == 0
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if "own seed" in line] == [
        f"{path}: goes on with the run's own seed 4; randomness.seed=5 has no effect"
    ]
    assert json.loads((went_on / "result.json").read_text())["seed"] == 4
    shutil.rmtree(went_on) if named else (went_on / "iter_2.pth").unlink()
    assert run_cli([*args, *options, "randomness.seed=4"]) == 0
    assert run_cli([*args, *options, "randomness.seed=5", "--seed", "4"]) == 0
    assert "own seed" not in capsys.readouterr().err
    assert run_cli([*args, *options, "--seed", "5"]) == 2
    assert "iter_" in (line := capsys.readouterr().err)
    assert "began with seed 4, now it is 5: resume with --seed 4" in line


def test_another_learning_rate_is_listed_among_what_changed(copy, tiny, capsys):
    for name in ("iter_6.pth", "result.json"):
        (copy / name).unlink()
    options = {"optim_wrapper.optimizer.lr": 0.5}
    result = segmentation.train(tiny, work_dir=copy, cfg_options=options, resume=True, quiet=True)
    assert result["resumed_with"] == [
        {"iter": 4, "changed": ["optim_wrapper.optimizer.lr 0.01 -> 0.5"]}
    ]
    assert "; changed since the beginning: lr 0.01 -> 0.5\n" in capsys.readouterr().err


def test_a_copy_removes_nothing_of_the_run_it_was_copied_from(tiny, tmp_path):
    """A checkpoint names the best one by the folder in which it was written."""
    best = {"default_hooks.checkpoint.save_best": "gta5/mIoU", "train_cfg.val_interval": 1,
            "default_hooks.checkpoint.rule": "less"}  # fmt: skip
    old, new = tmp_path / "old", tmp_path / "new"
    segmentation.train(tiny, work_dir=old, cfg_options=best | ONE, quiet=True)
    shutil.copytree(old, new)
    checkpoint = torch.load(new / "iter_1.pth", weights_only=True)
    checkpoint["message_hub"]["runtime_info"]["best_score"] = 1000.0
    torch.save(checkpoint, new / "iter_1.pth")
    before = contents(old)
    result = segmentation.train(
        tiny, work_dir=new, cfg_options=best | {"train_cfg.max_iters": 2}, quiet=True, resume=True
    )
    assert result["checkpoint"] == str(new / "iter_2.pth")
    assert contents(old) == before
    assert [p.name for p in new.glob("best*")] == ["best_gta5_mIoU_iter_2.pth"]


HOLD = """
import sys
from ibn_seg.engine.folder_lock import folder_lock
with folder_lock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_training_at_a_time_and_none_is_kept_out_by_a_killed_one(copy, tiny, capsys):
    before = contents(copy)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(copy)], env=environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert holder.stdout.readline() == "held\n"
        assert run_cli(["train", str(tiny), "--work-dir", str(copy), "--resume"]) == 2
        line = capsys.readouterr().err.strip()
        assert line.startswith(f"error: {copy}: another training runs in this folder (process ")
        assert f"process {holder.pid} on " in line
        assert {k: v for k, v in contents(copy).items() if k.name != LOCK} == before
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    assert (copy / LOCK).exists()
    with folder_lock(copy):
        pass
    assert not (copy / LOCK).exists()


def test_a_cell_of_a_benchmark_has_its_own_lock(tmp_path, monkeypatch):
    monkeypatch.setenv("IBN_SEG_LEASE", str(tmp_path / "000001"))
    with folder_lock(tmp_path):
        assert os.listdir(tmp_path) == []


TORCHRUN = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        (TORCHRUN, 2),
        ({**TORCHRUN, "WORLD_SIZE": "1"}, 0),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_LOCALID": "0"}, 0),
        ({"WORLD_SIZE": "2"}, 0),
    ],
)
def test_torchrun_without_a_launcher_is_said(tiny, tmp_path, monkeypatch, capsys, variables, code):
    for name in TORCHRUN:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    args = ["train", str(tiny), "--work-dir", str(tmp_path / "run"), "--cfg-options"]
    assert run_cli([*args, "train_cfg.max_iters=1"]) == code
    assert ("--launcher pytorch" in capsys.readouterr().err) is (code == 2)
    assert (tmp_path / "run").exists() is (code == 0)


def test_an_earlier_result_does_not_stand_for_an_interrupted_training(tiny, tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    (tmp_path / "result.json").write_text("{}")
    monkeypatch.setattr("ibn_seg.engine.SeededIterLoop.run_iter", interrupt)
    with pytest.raises(KeyboardInterrupt):
        segmentation.train(tiny, work_dir=tmp_path, quiet=True)
    assert not (tmp_path / "result.json").exists()


def test_the_protocol_of_a_training_is_that_of_its_validation(tiny, tmp_path):
    options = {**ONE, "test_evaluator.protocol": "synthia16"}
    result = segmentation.train(tiny, work_dir=tmp_path, cfg_options=options, quiet=True)
    assert result["protocol"] == "native"
