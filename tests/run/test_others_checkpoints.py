"""Checkpoints that other programs wrote, in every command that reads a trained network."""

import argparse
import shutil

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from ibn_seg.cli import run
from ibn_seg.engine import find_checkpoint
from ibn_seg.engine.fine_tuning import as_mmengines
from ibn_seg.errors import UserError
from ibn_seg.io import RESTRICTED_SINCE, load_checkpoint
from ibn_seg.models import ResNet
from ibn_seg.models.weights import load_backbone_weights
from ibn_seg.run import segmentation
from ibn_seg.run.setup import trained_network
from tests.helpers import write_image

pytestmark = pytest.mark.skipif(
    torch.__version__ < RESTRICTED_SINCE, reason="an older PyTorch cannot be told of classes"
)


class Hyperparameters(dict):
    """A class that only the program has which wrote the checkpoint."""


def mmengines(content):
    """As mmengine's own hook writes it, with `save_best` and mmseg's `IoUMetric`."""
    hub = {
        "log_scalars": {"train/loss": HistoryBuffer([0.5, 0.25], [1, 1])},
        "runtime_info": {"iter": 6, "best_score": np.float32(41.5), "best_ckpt": "best.pth"},
        "resumed_keys": {"train/loss": True, "iter": True, "best_score": True},
    }
    return {**content, "message_hub": hub}


def lightnings(content):
    weights = {f"model.{key}": value for key, value in content["state_dict"].items()}
    return {
        "state_dict": {**weights, "criterion.weight": torch.ones(19)},
        "hyper_parameters": Hyperparameters(lr=0.1, net=torch.nn.ReLU()),
        "pytorch-lightning_version": "2.1.0",
        "epoch": 3,
    }


def distributed(content):
    weights = {f"module.{key}": value for key, value in content["state_dict"].items()}
    return {"model": weights, "args": argparse.Namespace(lr=0.1), "epoch": 3}


def arrays(content):
    weights = {key: value.numpy() for key, value in content["state_dict"].items()}
    return {"model": weights, "epoch": 3}


WRITERS = [mmengines, lightnings, distributed, arrays]


@pytest.fixture(scope="module", params=WRITERS, ids=lambda writer: writer.__name__)
def theirs(request, trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("theirs") / "theirs.pth"
    torch.save(request.param(load_checkpoint(trained[0] / "iter_6.pth")), path)
    return path


def test_the_reader_of_all_commands_takes_it(tiny, trained, theirs):
    """Predict, export and the like build their networks by this function."""
    network, _, _ = trained_network(tiny, theirs)
    weights = load_checkpoint(trained[0] / "iter_6.pth")["state_dict"]
    assert all(torch.equal(value, weights[key]) for key, value in network.state_dict().items())


def test_predict_and_test_take_mmengines(tiny, trained, tmp_path):
    picture = write_image(tmp_path / "a.png", np.zeros((48, 64, 3), np.uint8))
    own = trained[0] / "iter_6.pth"
    torch.save(mmengines(load_checkpoint(own)), tmp_path / "theirs.pth")
    labels, scores = [], []
    for name, checkpoint in (("ours", own), ("theirs", tmp_path / "theirs.pth")):
        scores.append(segmentation.test(tiny, checkpoint, work_dir=tmp_path / name, quiet=True))
        command = ["predict", str(tiny), str(checkpoint), str(picture), "--out", str(tmp_path)]
        assert run(command) == 0
        labels.append((tmp_path / "a_trainIds.png").read_bytes())
    assert labels[0] == labels[1]
    assert scores[0]["domains"] == scores[1]["domains"]


def test_a_backbone_reads_mmengines(trained, tmp_path):
    content = load_checkpoint(trained[0] / "iter_6.pth")
    torch.save(mmengines(content), tmp_path / "a.pth")
    network = ResNet(18, ibn="a", base_channels=8)
    report = load_backbone_weights(network, tmp_path / "a.pth")
    assert "decode_head.*" in str(report)
    for key, value in network.state_dict().items():
        assert torch.equal(value, content["state_dict"][f"backbone.{key}"])


def test_what_is_resumed_from_holds_no_stand_ins(trained, tmp_path):
    """Hyperparameters may be left out of weights; a run goes on from all that it was."""
    work_dir = shutil.copytree(trained[0], tmp_path / "run")
    content = load_checkpoint(work_dir / "iter_6.pth")
    torch.save(mmengines(content), work_dir / "iter_6.pth")
    assert find_checkpoint(work_dir) == work_dir / "iter_6.pth"
    torch.save({**content, "extra": Hyperparameters(lr=0.1)}, work_dir / "iter_6.pth")
    assert load_checkpoint(work_dir / "iter_6.pth")["state_dict"].keys()
    with pytest.raises(UserError, match=r"refused.*Hyperparameters"):
        load_checkpoint(work_dir / "iter_6.pth", stand_ins=False)


def test_hooks_get_the_parts_that_mmengine_promises():
    weights = {"a.weight": torch.ones(2)}
    whole = {"state_dict": weights, "meta": {"iter": 1}}
    assert as_mmengines(whole) is whole
    assert as_mmengines({"state_dict": weights, "meta": None})["meta"] == {}
    assert as_mmengines({"state_dict": weights, "meta": [1], "x": 2})["x"] == 2
    for bare in (weights, {f"module.{key}": value for key, value in weights.items()}):
        found = as_mmengines(bare)
        assert found["state_dict"].keys() == weights.keys()
        assert found["meta"] == {}
    assert as_mmengines([weights]) is as_mmengines(torch.ones(2)) is as_mmengines({}) is None


def test_a_training_with_averaged_weights_begins_from_a_bare_state_dict(tiny, trained, tmp_path):
    """`EMAHook` of mmengine looks for `state_dict` in what is loaded."""
    torch.save(load_checkpoint(trained[0] / "iter_6.pth")["state_dict"], tmp_path / "bare.pth")
    options = {
        "load_from": str(tmp_path / "bare.pth"), "custom_hooks": [{"type": "EMAHook"}],
        "train_cfg.max_iters": 1,
    }  # fmt: skip
    assert segmentation.train(tiny, work_dir=tmp_path, cfg_options=options, quiet=True)["domains"]


def test_averages_begin_from_the_weights_as_they_were_fitted(tiny, tmp_path, capfd):
    """The hook would refuse batch norms for a network of IBN, which the training splits."""
    short = {"train_cfg.max_iters": 1, "default_hooks.checkpoint.interval": 1}
    plain = {**short, "model.backbone.ibn": None}
    segmentation.train(tiny, work_dir=tmp_path / "bn", cfg_options=plain, quiet=True)
    options = {
        **short, "load_from": str(tmp_path / "bn" / "iter_1.pth"),
        "custom_hooks": [{"type": "SharedEMAHook", "momentum": 0.5}],
    }  # fmt: skip
    capfd.readouterr()
    segmentation.train(tiny, work_dir=tmp_path / "a", cfg_options=options, quiet=True)
    printed = capfd.readouterr()
    assert "split" in printed.err
    assert "do not match" not in printed.out


def test_what_holds_no_weights_is_one_line(tiny, tmp_path):
    torch.save([torch.ones(2)], tmp_path / "list.pth")
    options = {"load_from": str(tmp_path / "list.pth")}
    with pytest.raises(UserError, match="holds no model weights"):
        segmentation.train(tiny, work_dir=tmp_path, cfg_options=options, quiet=True)
