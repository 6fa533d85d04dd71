"""Ctrl-C during a real training: one line, exit code 130, and a checkpoint to go on from."""

import signal
import subprocess
import time

from ibn_seg.engine import find_checkpoint
from tests.tiny import command, environment, write_experiment


def test_interrupted(tmp_path):
    config, work_dir = write_experiment(tmp_path), tmp_path / "run"
    args = ("train", config, "--work-dir", work_dir, "--cfg-options", "train_cfg.max_iters=2000")
    # A shell's background job, as this test run may be, ignores Ctrl-C, and so do its children.
    process = subprocess.Popen(
        command(*args), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        end = time.monotonic() + 60
        while not (work_dir / "iter_4.pth").exists() and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "interrupted"
    assert "Traceback" not in errors
    assert find_checkpoint(work_dir) is not None
