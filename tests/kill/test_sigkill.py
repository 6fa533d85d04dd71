"""SIGKILL during a real training; the resumed run ends as if nothing had happened."""

import json
import signal
import subprocess
import time

import pytest
import torch

from tests.tiny import command, environment, run, write_experiment

OPTIONS = [
    "--cfg-options", "train_cfg.max_iters=40", "train_cfg.val_interval=20",
    "param_scheduler.0.end=40", "default_hooks.checkpoint.interval=5",
    "default_hooks.checkpoint.max_keep_ckpts=2",
]  # fmt: skip


def train(config, work_dir, *more):
    return ("train", config, "--work-dir", work_dir, *more, *OPTIONS)


def kill_after(args, work_dir, name):
    """Start a training and kill it once a checkpoint has appeared."""
    process = subprocess.Popen(
        command(*args), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 120
    while not (work_dir / name).exists():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


@pytest.mark.slow
def test_killed_twice_and_resumed_equals_undisturbed(tmp_path):
    config = write_experiment(tmp_path)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run(*train(config, whole)).returncode == 0
    kill_after(train(config, killed), killed, "iter_10.pth")
    kill_after(train(config, killed, "--resume"), killed, "iter_25.pth")
    done = run(*train(config, killed, "--resume"))
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((run / "result.json").read_text()) for run in (whole, killed))
    for key in ("curves", "domains", "targets_mIoU", "gap", "threads"):
        assert first[key] == second[key], key
    assert len(second["resumed_at"]) == 2
    files = [run / "confusions.npz" for run in (whole, killed)]
    assert files[0].read_bytes() == files[1].read_bytes()
    a, b = (torch.load(run / "iter_40.pth", weights_only=True) for run in (whole, killed))
    assert all(torch.equal(a["state_dict"][key], b["state_dict"][key]) for key in a["state_dict"])
    assert sorted(path.name for path in killed.glob("*.pth")) == ["iter_35.pth", "iter_40.pth"]
    assert not list(killed.glob(".*"))
