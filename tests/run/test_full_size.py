"""The configs for the real data sets, unchanged, on files of the real sizes."""

import json
import os
import sys

import pytest

pytest.importorskip("mmseg")

from ibn_seg.scenes import cityscapes_frames, gta5_frames, write_frames
from tests.memory import run_measured
from tests.tiny import environment

CONFIGS = (
    "deeplabv3plus/deeplabv3plus_r50-d16_4xb4-40k_gta5-768x768",
    "ibn_paper/fcn_r50-ibn-a-d8_4xb4-25k_gta5-512x512",
)


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """Eight frames in GTA5's layout and size, four in Cityscapes'."""
    folder = tmp_path_factory.mktemp("full")
    gta5, cityscapes = folder / "gta5", folder / "cityscapes"
    source = gta5_frames(gta5, 6) + gta5_frames(gta5, 2, start=201)
    target = cityscapes_frames(cityscapes, "train", 2) + cityscapes_frames(cityscapes, "val", 2)
    write_frames(source, seed=0, size=(1914, 1052), workers=1)
    write_frames(target, seed=0, size=(2048, 1024), workers=1)
    return {"IBN_SEG_GTA5": str(gta5), "IBN_SEG_CITYSCAPES": str(cityscapes)}


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_two_iterations_and_evaluation_at_full_size(name, roots, tmp_path):
    command = [
        sys.executable, "-m", "ibn_seg", "train", f"ibn_seg::{name}", "--work-dir", str(tmp_path),
        "--cfg-options", "model.backbone.init_cfg=None", "train_cfg.max_iters=2",
        "train_dataloader.batch_size=2",
    ]  # fmt: skip
    variables = {**environment(), **roots, "OMP_NUM_THREADS": str(os.cpu_count())}
    done, peak = run_measured(command, cwd=tmp_path, env=variables)
    assert done.returncode == 0, done.stdout
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["iterations"] == 2
    assert {name: scores["images"] for name, scores in result["domains"].items()} == {
        "gta5": 2, "cityscapes": 2,
    }  # fmt: skip
    pixels = sum(map(sum, result["domains"]["cityscapes"]["confusion"]))
    assert 1024 * 2048 < pixels <= 2 * 1024 * 2048
    print(f"{name}: peak {peak:.0f} MiB (summed PSS of the process tree)")
