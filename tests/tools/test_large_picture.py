"""The benchmark of large pictures, on a picture of one window and a half."""

import subprocess
import sys

import pytest
import torch

pytest.importorskip("mmseg")

from tests.networks import segmentor
from tests.tiny import ROOT, environment


@pytest.mark.slow
def test_its_table(tmp_path):
    script = ROOT / "tools" / "benchmark" / "large_picture.py"
    config, checkpoint = "ibn_seg::demo/mlp_r18_1xb8-600_scenes-128x128", tmp_path / "net.pth"
    torch.save({"state_dict": segmentor(config).state_dict(), "meta": {}}, checkpoint)
    arguments = (config, checkpoint, "--size", "4096x3072", "--threads", "2")
    done = subprocess.run(
        [sys.executable, str(script), *map(str, arguments)],
        capture_output=True, text=True, env=environment(), timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if "|" in line][2:]
    (whole, whole_mib, *_), (windows, windows_mib, *_, differing) = rows
    assert (whole, windows) == ("whole", "windows")
    assert float(windows_mib) < float(whole_mib)
    count, total = map(int, differing.split(" of "))
    assert total == 4096 * 3072
    assert count <= total * 1e-4
