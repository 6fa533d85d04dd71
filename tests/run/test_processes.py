"""Real processes: torchrun on CPU, data workers, full disks."""

import contextlib
import fcntl
import json
import os
import pty
import resource
import socket
import struct
import subprocess
import sys
import termios

import numpy as np
import pytest
import torch

from ibn_seg.cli import run as run_cli
from ibn_seg.evaluation.stored import read_confusions
from ibn_seg.run import segmentation
from tests.helpers import truncate
from tests.tiny import ROOT, command, environment, run, write_experiment


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def launch(script, *args, cwd):
    """Run one of the dist_*.sh scripts on two CPU processes."""
    env = {**environment(), "PORT": str(free_port()), "PYTHON": sys.executable}
    return subprocess.run(
        ["bash", str(ROOT / "tools" / script), *map(str, args)], cwd=cwd,
        capture_output=True, text=True, check=False, env=env, timeout=240,
    )  # fmt: skip


def test_two_processes_by_torchrun(tiny, trained, tmp_path):
    """With SyncBN they train as one does with the whole batch, and the metric is complete."""
    options = {
        "model.backbone.norm_cfg.type": "SyncBN",
        "model.decode_head.norm_cfg.type": "SyncBN",
        "model.decode_head.dropout_ratio": 0,
    }
    done = launch(
        "dist_train.sh", tiny, 2, "--work-dir", tmp_path / "run", "--cfg-options",
        *(f"{key}={value}" for key, value in options.items()), cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "SyncBN" not in done.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["processes"] == 2
    assert result["iterations"] == 6
    whole = trained[1]
    for domain, scores in result["domains"].items():
        assert scores["images"] == whole["domains"][domain]["images"]
        # Every labelled pixel of every image is counted once.
        expected = np.sum(whole["domains"][domain]["confusion"], axis=1)
        assert np.array_equal(np.sum(scores["confusion"], axis=1), expected)
    states = torch.load(tmp_path / "run" / "iter_6.pth", weights_only=True)["random_states"]
    assert len(states) == 2
    # Nothing but the run is left in the folder in which it was started.
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    whole_batch = {**options, "train_dataloader.batch_size": 4}
    segmentation.train(tiny, work_dir=tmp_path / "one", cfg_options=whole_batch, quiet=True)
    one, two = (
        torch.load(tmp_path / name / "iter_6.pth", weights_only=True)["state_dict"]
        for name in ("one", "run")
    )
    torch.testing.assert_close(two, one, rtol=1e-3, atol=1e-4)

    tested = launch(
        "dist_test.sh", tiny, tmp_path / "run" / "iter_6.pth", 2, "--work-dir", tmp_path / "test",
        cwd=tmp_path,
    )  # fmt: skip
    assert tested.returncode == 0, tested.stderr
    assert json.loads((tmp_path / "test" / "test.json").read_text())["domains"] == result["domains"]
    weights = tmp_path / "run" / "iter_6.pth"
    segmentation.test(tiny, weights, work_dir=tmp_path / "alone", quiet=True)
    one, two = (tmp_path / name / "test_confusions.npz" for name in ("alone", "test"))
    assert one.read_bytes() == two.read_bytes()
    last = read_confusions(tmp_path / "run" / "confusions.npz")
    assert last.step == 6
    for domain, part in read_confusions(one).domains.items():
        assert np.array_equal(part.counts, last.domains[domain].counts)


def test_a_launcher_that_did_not_launch(tiny, tmp_path, monkeypatch, capsys):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert run_cli(["train", str(tiny), "--work-dir", str(tmp_path), "--launcher", "pytorch"]) == 2
    assert "--launcher pytorch: RANK is not set" in capsys.readouterr().err


def test_an_error_in_a_data_worker_is_one_line(tmp_path, capsys):
    config = write_experiment(tmp_path)
    for file in sorted((tmp_path / "gta5" / "images").glob("0000*.png")):
        truncate(file)
    args = ["train", str(config), "--work-dir", str(tmp_path / "run")]
    assert run_cli([*args, "--cfg-options", "train_dataloader.num_workers=1"]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"error: {tmp_path}/gta5/images/0000")
    assert not list((tmp_path / "run").glob("*.pth"))


def limit_file_size():
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(tiny, tmp_path):
    """The checkpoint (about a megabyte) does not fit; the configs and logs do."""
    done = subprocess.run(
        command("train", tiny, "--work-dir", tmp_path), preexec_fn=limit_file_size,
        capture_output=True, text=True, check=False, env=environment(), timeout=120,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "iter_2.pth: cannot be written (File too large)" in errors[0]
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.pth"))
    assert not (tmp_path / "result.json").exists()


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder closed to root too")
def test_an_unwritable_work_dir(tiny, capsys):
    assert run_cli(["train", str(tiny), "--work-dir", "/proc/ibn_seg"]) == 3
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: /proc/ibn_seg: cannot be written")


def on_a_terminal(*args):
    """Run ibn-seg with a terminal for stderr; return its exit code and what the terminal got."""
    ours, theirs = pty.openpty()
    size = struct.pack("HHHH", 40, 120, 0, 0)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
    env = {**environment(), "TERM": "xterm"}
    with subprocess.Popen(
        command(*args), stdout=subprocess.DEVNULL, stderr=theirs, env=env
    ) as child:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the terminal is gone when the child is
            while part := os.read(ours, 4096):
                shown += part
    os.close(ours)
    return child.returncode, shown.decode()


def test_a_terminal_shows_bars_with_the_time_left(tiny, tmp_path):
    code, shown = on_a_terminal("train", tiny, "--work-dir", tmp_path)
    assert code == 0, shown
    for part in ("IBN-a train", "6/6", "loss", "ETA", "IBN-a val", "IBN-a val at 6: gta5/mIoU"):
        assert part in shown
    assert "Traceback" not in shown


def test_without_a_terminal_there_are_lines(tiny, tmp_path):
    config = tmp_path / "impatient.py"
    hook = "dict(type='ProgressHook', label='x', interval_s=0.0)"
    config.write_text(f"_base_ = {str(tiny)!r}\ncustom_hooks = [{hook}]\n")
    done = run("train", config, "--work-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert [line.split()[:3] for line in lines if "ETA" in line and "train" in line] == [
        ["x", "train", f"{iteration}/6"] for iteration in range(1, 7)
    ]
    assert "\x1b" not in done.stderr
