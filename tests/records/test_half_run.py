"""Results that an earlier version left half done are gone on with, and what is done is kept.

`half_run.tar.xz` was written by version 0.1.0 (commit e8697b3): a plan of eight cells whose worker
was killed while it trained the second one. A newer version must never have to write it again.
"""

import json
import tarfile
from pathlib import Path

import pytest

pytest.importorskip("mmseg")

from tests.benchmark.plans import bench, states
from tests.helpers import write_cityscapes, write_gta5
from tests.tiny import run

DONE, INTERRUPTED = "546b864a46b0", "27dd7546b4be"


@pytest.fixture(scope="module")
def half_run(tmp_path_factory):
    """Unpack the plan and its results beside the data that they were made from."""
    folder = tmp_path_factory.mktemp("half")
    with tarfile.open(Path(__file__).with_name("half_run.tar.xz")) as archive:
        archive.extractall(folder, filter="data")
    for file in (folder / "tiny.py", folder / "target.py"):
        file.write_text(file.read_text().replace("/tmp/half/run", str(folder)))
    write_gta5(folder / "gta5")
    write_cityscapes(folder / "cityscapes")
    return folder


def test_checkpoint_is_resumed(half_run, tmp_path):
    cell = half_run / "results" / "cells" / INTERRUPTED
    work_dir = tmp_path / "moved"
    work_dir.mkdir()
    (work_dir / "iter_4.pth").write_bytes((cell / "iter_4.pth").read_bytes())
    config = half_run / "results" / "configs" / f"{INTERRUPTED}.py"
    config.write_text(config.read_text().replace("/tmp/half/run", str(half_run)))
    done = run("train", config, "--work-dir", work_dir, "--resume")
    assert done.returncode == 0, done.stderr
    result = json.loads((work_dir / "result.json").read_text())
    assert result["resumed_at"] == [4]
    assert result["iterations"] == 12


def test_results_are_gone_on_with(half_run, monkeypatch):
    results = half_run / "results"
    cell = results / "cells" / DONE
    before = {path.name: path.read_bytes() for path in cell.iterdir() if path.is_file()}
    monkeypatch.chdir(half_run)
    # The interrupted training, and a measurement of the network that was done.
    done = bench(half_run / "plan.yaml", results, "--max-cells", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert states(results).count("done") == 3
    assert {path.name: path.read_bytes() for path in cell.iterdir() if path.is_file()} == before
    result = json.loads((results / "cells" / INTERRUPTED / "result.json").read_text())
    assert result["resumed_at"] == [4]
