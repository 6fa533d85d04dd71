"""Tests by labels alone and in mixed precision: what they change and what not."""

import contextlib

import pytest
import torch

from ibn_seg import cli
from ibn_seg.config import load_config
from ibn_seg.engine import full_size_labels as labels
from ibn_seg.errors import EnvError
from ibn_seg.run import segmentation, setup


@pytest.fixture(scope="module")
def checkpoint(trained):
    return trained[0] / "iter_6.pth"


@pytest.fixture
def blocks(monkeypatch):
    """The networks that predicted labels alone."""
    found, labels_only = [], labels.labels_only

    @contextlib.contextmanager
    def noted(network):
        found.append(network)
        with labels_only(network):
            yield

    monkeypatch.setattr(labels, "labels_only", noted)
    return found


def test_labels_alone_give_the_scores_of_mmengines_way(
    tiny, checkpoint, tmp_path, blocks, monkeypatch
):
    ours = segmentation.test(tiny, checkpoint, work_dir=tmp_path / "ours", quiet=True)
    assert len(blocks) == 1
    monkeypatch.setattr(labels, "can_skip_logits", lambda network: False)
    theirs = segmentation.test(tiny, checkpoint, work_dir=tmp_path / "theirs", quiet=True)
    assert len(blocks) == 1
    assert ours["domains"] == theirs["domains"]
    assert ours["metrics"] == theirs["metrics"]


def test_validation_while_training(tiny, tmp_path, blocks):
    segmentation.train(
        tiny, work_dir=tmp_path, quiet=True,
        cfg_options={"train_cfg.max_iters": 2, "train_cfg.val_interval": 1},
    )  # fmt: skip
    assert len(blocks) == 2


@pytest.mark.parametrize(
    "options",
    [
        {"tta": True},
        {"show_dir": "pictures"},
        {"cfg_options": {"test_evaluator": [dict(type="IoUMetric"), dict(type="MultiDomainIoU")]}},
    ],
    ids=["augmentation", "pictures", "a metric of mmseg"],
)
def test_whoever_may_want_logits_gets_them(tiny, checkpoint, tmp_path, blocks, options):
    if "show_dir" in options:
        options = {"show_dir": tmp_path / "pictures"}
    segmentation.test(tiny, checkpoint, work_dir=tmp_path, quiet=True, **options)
    assert not blocks


def test_an_error_while_scoring_is_one_error(tiny, checkpoint, tmp_path, blocks, capsys):
    args = ["test", tiny, checkpoint, "--work-dir", tmp_path, "--cfg-options"]
    assert cli.run([*map(str, args), "test_evaluator.ignore_index=3"]) == 2
    assert "label value 255 is neither a class nor ignored" in capsys.readouterr().err
    assert "postprocess_result" not in vars(blocks[0])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("command", ["test", "evaluate"])
def test_amp_without_a_gpu(tiny, checkpoint, tmp_path, capsys, command):
    args = [command, tiny, checkpoint, "--work-dir", tmp_path / "run", "--amp"]
    if command == "evaluate":
        args += ["--targets", f"gta5={tiny.parent}/gta5"]
    assert cli.run([*map(str, args)]) == EnvError("").exit_code
    assert "--amp needs a GPU, and PyTorch sees none" in capsys.readouterr().err


def test_amp_is_not_for_predictions_in_files(tmp_path, capsys):
    args = ["evaluate", "--predictions", str(tmp_path), "--method", "x", "--targets", "gta5"]
    assert cli.run([*args, "--amp"]) == 2
    assert "error: --amp is given with --predictions" in capsys.readouterr().err


def test_amp_with_a_gpu(tiny, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    cfg = load_config(tiny)
    setup.speed_up_testing(cfg, amp=True)
    assert cfg.test_cfg.fp16 is True
