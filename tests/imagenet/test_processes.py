"""Two CPU processes, started by torchrun."""

import json
import subprocess
import sys

import pytest
import torch

pytest.importorskip("mmengine")
pytest.importorskip("torchvision")

from mmengine.config import Config

from ibn_seg.imagenet.run_imagenet import test as evaluate
from tests.imagenet.conftest import interrupted, without_time
from tests.tiny import environment

MODEL = "resnet18_ibn_a"
RECIPE = [
    "--epochs", "3", "--batch-size", "12", "--lr", "0.02", "--schedule", "cosine",
    "--warmup-epochs", "1", "--ema", "0.3", "--image-size", "32", "--val-batch-size", "10",
]  # fmt: skip


def torchrun(command, shapes, work_dir, *options):
    """Run `ibn-seg imagenet` in two processes."""
    line = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2",
        "-m", "ibn_seg", "imagenet", command, "--launcher", "pytorch", "--model", MODEL,
        "--data", shapes, "--work-dir", work_dir, "--workers", "0", *options,
    ]  # fmt: skip
    done = subprocess.run(
        [*map(str, line)], cwd=work_dir.parent, capture_output=True, text=True, check=False,
        env=environment(), timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def distributed(shapes, tmp_path_factory):
    """The work dir of a training by two processes, what it printed, and its result."""
    work_dir = tmp_path_factory.mktemp("distributed") / "run"
    done = torchrun("train", shapes, work_dir, *RECIPE)
    return work_dir, done.stdout, json.loads((work_dir / "result.json").read_text())


def test_two_processes_train_one_network(distributed, trained, shapes, tmp_path):
    """They share the batch, count each held-out picture once, and save what they validated."""
    work_dir, printed, result = distributed
    assert result["processes"] == 2
    assert printed.count("top-1 error") == 1
    # The same pictures in the same order as one process, but a batch norm for half the batch each.
    alone = trained[1]
    assert result["experiment"] == alone["experiment"]
    assert result["curves"]["lr"] == alone["curves"]["lr"]
    assert result["iterations"] == alone["iterations"]
    shares = [
        Config.fromstring(run["config"], ".py").train_dataloader.batch_size
        for run in (result, alone)
    ]
    assert shares == [6, 12]
    tested = evaluate(
        MODEL, shapes, checkpoint=work_dir / "iter_9.pth", work_dir=tmp_path / "test", workers=0,
        quiet=True,
    )  # fmt: skip
    assert tested["processes"] == 1
    assert tested["errors"] == result["errors"]
    assert tested["images"] == result["images"] == 29
    # Nothing but the run is left in the folder in which it was started.
    assert [path.name for path in work_dir.parent.iterdir()] == ["run"]


@pytest.mark.slow
def test_two_processes_test_like_one(distributed, shapes, tmp_path):
    checkpoint = distributed[0] / "iter_9.pth"
    names = ["none", "rgb+50", "r+50", "std1.5"]
    options = [word for name in names for word in ("--transform", name)]
    torchrun("test", shapes, tmp_path / "two", "--checkpoint", checkpoint, *options)
    two = json.loads((tmp_path / "two" / "test.json").read_text())
    one = evaluate(
        MODEL, shapes, checkpoint=checkpoint, transforms=names, work_dir=tmp_path / "one", workers=0
    )
    assert (two["processes"], one["processes"]) == (2, 1)
    assert two["errors"] == one["errors"]


@pytest.mark.slow
def test_two_processes_resume_exactly(distributed, shapes, tmp_path):
    work_dir, _, result = distributed
    copy = interrupted(work_dir, tmp_path / "run", last=6)
    torchrun("train", shapes, copy, *RECIPE, "--resume")
    again = json.loads((copy / "result.json").read_text())
    assert again["resumed_at"] == [6]
    assert without_time(again) == without_time(result)
    a, b = (torch.load(run / "iter_9.pth", weights_only=True) for run in (work_dir, copy))
    for part in ("state_dict", "ema_state_dict"):
        for key, value in a[part].items():
            assert torch.equal(value, b[part][key]), f"{part}: {key}"
