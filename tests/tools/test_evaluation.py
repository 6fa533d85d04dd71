"""The benchmark of the evaluation, at a tiny size."""

import subprocess
import sys

import pytest

pytest.importorskip("mmseg")

from tests.tiny import ROOT, environment

ROWS = ("mmseg", "ours", "ours, channels_last", "ours, --fuse", "ours, channels_last, --fuse")


@pytest.mark.slow
def test_its_tables(tmp_path):
    script = ROOT / "tools" / "benchmark" / "evaluation.py"
    options = ("--images", "1", "--rounds", "1", "--size", "256x128", "--threads", "1")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), *options],
        capture_output=True, text=True, env=environment(), timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if "|" in line]
    header, times, differences = lines[0], lines[2:7], lines[9:]
    assert header[1:5] == [
        f"{step}, ms" for step in ("decode", "network", "upsampling + argmax", "metric")
    ]
    assert tuple(row[0] for row in times) == ROWS
    assert all(float(value) > 0 for row in times for value in row[1:])
    assert tuple(row[0] for row in differences) == ROWS[1:]
    # The same arithmetic gives the same labels.
    assert (float(differences[0][1]), float(differences[0][2])) == (0, 0)
    assert all(float(row[1]) <= 1e-3 for row in differences)
