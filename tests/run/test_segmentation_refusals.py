"""Configs, folders and checkpoints that training and testing refuse."""

import math

import pytest
import torch

from ibn_seg import cli
from ibn_seg.config import load_config
from ibn_seg.errors import EnvError, UserError
from ibn_seg.run import segmentation
from tests.helpers import Malicious


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"model.backbone.type": "IBNResNetX"}, r"unknown backbone .*did you mean 'IBNResNet'"),
        ({"model.backbone.ibn": "c"}, r"ibn.*'c'"),
        ({"train_dataloader.dataset.type": "GTA6Dataset"}, r"'GTA6Dataset'.*'GTA5Dataset'"),
        ({"model.decode_head.type": "FCNHaed"}, r"model\.decode_head\.type.*'FCNHead'"),
        ({"val_evaluator.type": "MultiDomainIou"}, r"'MultiDomainIou'.*'MultiDomainIoU'"),
        ({"train_cfg.type": "SeedIterLoop"}, r"'SeededIterLoop'"),
        ({"train_cfg.max_iters": 2.5}, r"train_cfg\.max_iters = 2\.5: give a whole number"),
        ({"train_cfg.max_iters": math.inf}, r"train_cfg\.max_iters = inf: give a whole number"),
        ({"model.decode_head.chanels": 3}, r"model\.decode_head: FCNHead has no.*'chanels'"),
        ({"train_dataloader.dataset.data_root": "/nowhere"}, "/nowhere"),
        ({"default_hooks.checkpoint.filename_tmpl": 3}, r"filename_tmpl is 3: it must be a text"),
        ({"default_hooks.checkpoint.filename_tmpl": "last.pth"}, r"'last\.pth': name a file with"),
        ({"default_hooks.checkpoint.filename_tmpl": "run/{}.pth"}, r"its folder is out_dir"),
        ({"default_hooks.checkpoint.out_dir": 3}, r"out_dir is 3: it must be a path"),
        ({"experiment.method": 3}, r"experiment\.method is 3: it must be a text"),
        (
            {"train_cfg": dict(type="EpochBasedTrainLoop", max_epochs=2, _delete_=True)},
            r"counts epochs, but train_dataloader\.sampler InfiniteSampler never ends",
        ),
    ],
)
def test_a_wrong_config_is_one_line(tiny, tmp_path, options, expected):
    with pytest.raises(UserError, match=expected) as caught:
        segmentation.train(tiny, work_dir=tmp_path, cfg_options=options, quiet=True)
    assert "\n" not in caught.value.line
    assert not list(tmp_path.rglob("*.pth"))
    assert not (tmp_path / "result.json").exists()


def test_training_without_a_training_part(tiny, tmp_path):
    cfg = load_config(tiny)
    cfg.pop("train_dataloader")
    with pytest.raises(UserError, match="train_dataloader is missing"):
        segmentation.train(cfg, work_dir=tmp_path)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("val_evaluator", "val_evaluator is missing: val_dataloader and val_cfg need it"),
        ("val_cfg", "val_cfg is missing"),
        ("test_dataloader", "test_dataloader is missing"),
        ("optim_wrapper.optimizer", r"optim_wrapper\.optimizer is missing"),
    ],
)
def test_training_with_half_of_a_part(tiny, tmp_path, key, words):
    with pytest.raises(UserError, match=words):
        segmentation.train(tiny, work_dir=tmp_path, cfg_options={key: None}, quiet=True)


def test_a_test_without_its_loop_has_the_usual_one(tiny, trained, tmp_path):
    checkpoint, options = trained[0] / "iter_6.pth", {"test_cfg": None}
    result = segmentation.test(tiny, checkpoint, work_dir=tmp_path, cfg_options=options, quiet=True)
    assert result["targets_mIoU"] is not None


def test_amp_without_a_gpu(tiny, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(EnvError, match="--amp needs a GPU"):
        segmentation.train(tiny, work_dir=tmp_path, amp=True)


@pytest.mark.parametrize("below", ["", "run"])
@pytest.mark.parametrize(
    ("name", "what"), [("file", "is a file, not a folder"), ("link", "is a broken link")]
)
def test_a_folder_that_cannot_be(tiny, trained, tmp_path, name, what, below, capsys):
    """Whatever command is to write there: one line, exit code 3, and nothing is written."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("nowhere")
    network = [tiny, trained[0] / "iter_6.pth"]
    targets = ["--targets", f"gta5={tiny.parent}/gta5", "--work-dir", tmp_path / "run"]
    there = tmp_path / name / below
    for args in (
        ["train", tiny, "--work-dir", there],
        ["test", *network, "--work-dir", there],
        ["test", *network, "--work-dir", tmp_path / "run", "--out", there],
        ["evaluate", *network, *targets, "--out", there],
        ["predict", *network, tiny.parent / "gta5", "--device", "cpu", "--out", there],
    ):
        assert cli.run([str(arg) for arg in args]) == 3
        (line,) = [li for li in capsys.readouterr().err.splitlines() if "predict " not in li]
        assert line.startswith(f"error: {there}")
        assert f"cannot be written ({tmp_path / name} {what}): choose another folder" in line
    assert {path.name for path in tmp_path.iterdir()} <= {"file", "link", "run"}
    assert (tmp_path / "file").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"model.backbone.depth": 34}, "ResNet-18, the config's is ResNet-34"),
        ({"model.backbone.ibn": None}, "norm placement is IBN-a, the config's is BN"),
        ({"model.backbone.ibn": "b"}, "norm placement is IBN-a, the config's is IBN-b"),
        ({"model.backbone.ibn_ratio": 0.25}, "its IBN ratio is 0.5, the config's is 0.25"),
        ({"model.decode_head.num_classes": 5}, "its head is for 19 classes, the config's for 5"),
        ({"model.decode_head.num_classes": 5}, r"another shape.*\(19, .*instead of \(5, "),
    ],
)
def test_a_checkpoint_of_another_network(trained, tiny, tmp_path, options, expected):
    with pytest.raises(UserError, match=expected):
        segmentation.test(
            tiny, trained[0] / "iter_6.pth", work_dir=tmp_path, cfg_options=options, quiet=True
        )
    assert not (tmp_path / "test.json").exists()


def test_a_checkpoint_of_something_else(tiny, tmp_path):
    torch.save({"a": 1}, tmp_path / "a.pth")
    with pytest.raises(UserError, match="holds no model weights"):
        segmentation.test(tiny, tmp_path / "a.pth", work_dir=tmp_path, quiet=True)


def test_a_malicious_checkpoint_is_not_executed(tiny, tmp_path):
    trap = tmp_path / "executed"
    torch.save({"state_dict": {"a": Malicious(str(trap))}}, tmp_path / "evil.pth")
    with pytest.raises(UserError, match="refused"):
        segmentation.test(tiny, tmp_path / "evil.pth", work_dir=tmp_path / "run")
    options = {"load_from": str(tmp_path / "evil.pth")}
    with pytest.raises(UserError, match="refused"):
        segmentation.train(tiny, work_dir=tmp_path / "run", cfg_options=options, quiet=True)
    assert not trap.exists()


def test_augmentation_is_refused_with_summed_probabilities(tiny, trained, tmp_path):
    """mmseg leaves the logits of one augmentation, which would be scored without a word."""
    options = {"test_evaluator.merge": "soft"}
    with pytest.raises(UserError, match=r"--tta: test_evaluator\.merge is 'soft'.*merge='hard'"):
        segmentation.test(
            tiny, trained[0] / "iter_6.pth", work_dir=tmp_path, tta=True, cfg_options=options
        )
