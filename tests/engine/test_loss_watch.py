"""What is said of a training whose loss becomes NaN or infinite."""

import math

import pytest

from ibn_seg.cli import run
from ibn_seg.engine.loss_watch import LossWatchHook
from tests.engine.toys import assert_same, run_toy
from tests.tiny import write_experiment

# The toy's score would be no number either, which no result can hold.
ALONE = {"val_dataloader": None, "val_cfg": None, "val_evaluator": None}


def warnings_in(text):
    return [line for line in text.splitlines() if "training goes on" in line]


@pytest.mark.parametrize(("rate", "interval"), [(1e25, 1), (1e12, 1), (1e25, 50)])
def test_the_first_iteration_without_a_finite_loss_is_named_once(tmp_path, capfd, rate, interval):
    changes = ALONE | {
        "optim_wrapper.optimizer.lr": rate,
        "default_hooks.logger.interval": interval,
    }
    loss = run_toy(tmp_path, **changes)["loss"]
    first = next(index for index, value in enumerate(loss) if not math.isfinite(value))
    assert first > 0
    assert len(loss) == 12, "training goes on"
    (line,) = warnings_in(capfd.readouterr().err)
    assert f"iteration {first + 1}: loss is {loss[first]}, and training goes on" in line
    assert "lower the learning rate" in line


def test_nothing_is_said_of_a_sound_run(tmp_path, capfd):
    assert all(map(math.isfinite, run_toy(tmp_path / "one")["loss"]))
    assert not warnings_in(capfd.readouterr().err)


def test_the_hook_changes_nothing_of_a_run(tmp_path, monkeypatch):
    watched = run_toy(tmp_path / "watched")
    monkeypatch.setattr(LossWatchHook, "after_train_iter", lambda *args, **kwargs: None)
    assert_same(watched, run_toy(tmp_path / "alone"))


def test_a_resumed_run_says_it_again(tmp_path, capfd):
    """Of its own iterations: the weights that it goes on with are no numbers."""
    changes = ALONE | {"optim_wrapper.optimizer.lr": 1e25}
    run_toy(tmp_path / "run", **changes)
    capfd.readouterr()
    run_toy(tmp_path / "run", resume=tmp_path / "run" / "iter_8.pth", **changes)
    (line,) = warnings_in(capfd.readouterr().err)
    assert "iteration 9: loss is nan" in line


def test_the_command_says_it_in_one_line(tmp_path, capfd):
    config = write_experiment(tmp_path)
    options = ["optim_wrapper.optimizer.lr=1e30", "train_cfg.max_iters=3"]
    args = ["train", str(config), "--work-dir", str(tmp_path / "run"), "--cfg-options", *options]
    assert run(args) == 0
    (line,) = warnings_in(capfd.readouterr().err)
    assert "iteration 2: loss is nan" in line
