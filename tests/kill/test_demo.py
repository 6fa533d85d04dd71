"""SIGKILL during the second network of the demo; the same command ends with the same numbers."""

import json
import signal
import subprocess
import sys
import time

import pytest

from tests.tiny import environment

CODE = """
import sys
from ibn_seg.demo.train_and_report import DemoPlan, demo
demo(sys.argv[1], DemoPlan(iterations=60, source_frames=205, target_train=0, target_val=4))
"""


def start(folder) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", CODE, str(folder)],
        env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def results(folder) -> dict:
    return {path.parent.name: json.loads(path.read_text()) for path in folder.glob("*/result.json")}


@pytest.mark.slow
def test_killed_in_the_second_network_equals_undisturbed(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(whole).wait(timeout=900) == 0
    process = start(killed)
    end = time.monotonic() + 600
    # The checkpoint of iteration 50 of 60: the last ten are lost and trained again.
    while not (killed / "ibn-a_seed0" / "iter_50.pth").exists():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert set(results(killed)) == {"bn_seed0"}
    assert start(killed).wait(timeout=900) == 0
    first, second = results(whole), results(killed)
    assert set(first) == set(second) == {"bn_seed0", "ibn-a_seed0", "ibn-b_seed0"}
    for name, result in first.items():
        for key in ("curves", "domains", "targets_mIoU", "gap", "threads"):
            assert result[key] == second[name][key], (name, key)
    assert second["ibn-a_seed0"]["resumed_at"] == [50]
    assert second["bn_seed0"]["resumed_at"] == []
