import shutil
import time

import pytest
import torch

from ibn_seg.engine import StrictRunner, find_checkpoint
from ibn_seg.errors import UserError
from tests.engine.toys import assert_same, run_toy, toy_config


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, run_toy(folder)


def stopped_after(source, work_dir, step):
    """Make a work dir as a kill after a checkpoint leaves it: nothing newer than the checkpoint."""
    work_dir.mkdir()
    shutil.copy(source / f"iter_{step}.pth", work_dir)
    return work_dir / f"iter_{step}.pth"


def test_the_same_seed_gives_the_same_run(undisturbed, tmp_path):
    assert_same(undisturbed[1], run_toy(tmp_path))


def test_another_seed_gives_another_run(undisturbed, tmp_path):
    assert run_toy(tmp_path, randomness=dict(seed=4))["loss"] != undisturbed[1]["loss"]


@pytest.mark.parametrize("step", [4, 8, 12])
def test_resumed_equals_undisturbed(undisturbed, tmp_path, step):
    folder, expected = undisturbed
    checkpoint = stopped_after(folder, tmp_path / "run", step)
    if step > 5:
        shutil.copy(folder / "validations.json", tmp_path / "run")
    resumed = run_toy(tmp_path / "run", resume=checkpoint)
    assert_same(expected, resumed)
    assert resumed["record"].resumed_at == [step]


def test_resumed_with_workers_and_another_seed_in_the_config(undisturbed, tmp_path):
    """The seed of the checkpoint holds, and workers do not change the samples."""
    checkpoint = stopped_after(undisturbed[0], tmp_path / "run", 4)
    changes = {"train_dataloader.num_workers": 1, "randomness": dict(seed=9)}
    assert_same(undisturbed[1], run_toy(tmp_path / "run", resume=checkpoint, **changes))


def test_validation_does_not_change_training(undisturbed, tmp_path):
    often = run_toy(tmp_path, **{"train_cfg.val_interval": 1})
    assert often["loss"] == undisturbed[1]["loss"]
    assert [v["iter"] for v in often["validations"]] == list(range(1, 13))
    assert [v["iter"] for v in undisturbed[1]["validations"]] == [5, 10, 12]


def test_a_validation_cut_by_a_kill_is_made_up_for(tmp_path):
    """Checkpoint and validation fall on iteration 4; the kill came between the two."""
    expected = run_toy(tmp_path / "whole", **{"train_cfg.val_interval": 4})
    checkpoint = stopped_after(tmp_path / "whole", tmp_path / "cut", 4)
    resumed = run_toy(tmp_path / "cut", resume=checkpoint, **{"train_cfg.val_interval": 4})
    assert_same(expected, resumed)


def test_resuming_late_reads_only_what_is_trained_on(tmp_path):
    """At iteration 30,000: in seconds, and no sample is read in vain."""
    run_toy(tmp_path / "first", **{"train_cfg.max_iters": 1})
    checkpoint = torch.load(tmp_path / "first" / "iter_1.pth", weights_only=True)
    checkpoint["meta"]["iter"] = 30_000
    late = tmp_path / "late.pth"
    torch.save(checkpoint, late)
    log = tmp_path / "read.txt"
    changes = {
        "train_cfg.max_iters": 30_003,
        "train_cfg.val_interval": 1_000_000,
        "train_dataloader.dataset.log": str(log),
        "train_dataloader.dataset.length": 1000,
    }
    begin = time.monotonic()
    run_toy(tmp_path / "late", resume=late, **changes)
    assert time.monotonic() - begin < 10
    read = [int(line) for line in log.read_text().split()]
    assert len(read) == 3 * 4
    # Position 120,000 opens epoch 120 of 1000 samples.
    from ibn_seg.engine.sampling import permutation

    assert read == permutation(1000, 3, 120)[:12].tolist()


@pytest.mark.parametrize("by_epoch", [True, False])
def test_a_schedule_of_epochs_that_has_no_effect_is_said(tmp_path, capsys, by_epoch):
    schedule = [dict(type="PolyLR", begin=0, end=12, by_epoch=by_epoch)]
    run = run_toy(tmp_path, param_scheduler=schedule)
    said = "PolyLR counts epochs and has no effect" in capsys.readouterr().err
    assert (said, len(set(run["lr"])) == 1) == (by_epoch, by_epoch)


def test_a_batch_sampler_is_refused(tmp_path):
    cfg = toy_config(tmp_path, **{"train_dataloader.batch_sampler": dict(type="X")})
    runner = StrictRunner.from_cfg(cfg)
    with pytest.raises(UserError, match=r"train_dataloader\.batch_sampler"):
        runner.train()
    runner.close()


def test_find_checkpoint_gives_the_last_one(undisturbed):
    assert find_checkpoint(undisturbed[0]).name == "iter_12.pth"
