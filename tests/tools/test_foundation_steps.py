"""Training steps of ViTs against timm's own, in a small form."""

import json
import subprocess
import sys

import pytest

from tests.tiny import ROOT, environment


@pytest.mark.slow
def test_every_tuning_is_measured_beside_timm(tmp_path):
    done = subprocess.run(
        [
            sys.executable, str(ROOT / "tools/benchmark/foundation_steps.py"), "--models",
            "vit_tiny_patch16_224", "--tunings", "full,frozen", "--size", "64", "--repeats", "2",
            "--threads", "1", "--json", str(tmp_path / "steps.json"),
        ],
        env=environment(), cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "steps.json").read_text())["models"]["vit_tiny_patch16_224"]
    assert list(rows) == ["timm", "full", "frozen"]
    assert rows["timm"]["trained"] == rows["full"]["trained"] > rows["frozen"]["trained"] > 0
    assert rows["full"]["peak_mib"] > rows["frozen"]["peak_mib"]
    assert "| vit_tiny_patch16_224 | timm | 1.000 | 1.000-1.000 |" in done.stdout
