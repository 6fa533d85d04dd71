"""The costs of methods, measured in turns."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("mmseg")

from tests.tiny import ROOT, environment


@pytest.mark.slow
def test_every_part_is_measured_and_a_table_printed(tmp_path):
    tool = [sys.executable, str(ROOT / "tools/benchmark/method_costs.py"), str(tmp_path / "work")]
    options = ["--repeats", "2", "--threads", "1", "--methods", "ISW,DSU"]
    done = subprocess.run(
        [*tool, *options, "--json", str(tmp_path / "costs.json")], env=environment(),
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "costs.json").read_text())["methods"]
    assert list(found) == ["BN", "ISW", "DSU"]
    assert all(
        len(one[part]) == 2 for one in found.values() for part in ("read", "learn", "predict")
    )
    # ISW's three norms have neither scale nor shift; the stem of BN has both, of 64 channels.
    assert found["ISW"]["parameters"] == found["BN"]["parameters"] - 128
    assert found["DSU"]["parameters"] == found["BN"]["parameters"]
    # DSU keeps its noisy maps, and ISW its covariances.
    assert min(found["DSU"]["saved_mib"], found["ISW"]["saved_mib"]) > found["BN"]["saved_mib"]
    rows = [line for line in done.stdout.splitlines() if line.startswith("| BN ")]
    assert rows[0].startswith("| BN | 1.000 (1.000-1.000) | 1.000 ")
