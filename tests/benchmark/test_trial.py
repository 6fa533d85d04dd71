"""A dry run says of a training what `ibn-seg train` says, and leaves nothing behind."""

import random
import warnings

import cv2
import numpy as np
import pytest
import torch
import yaml
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, DefaultScope
from mmseg.models.decode_heads import FCNHead
from mmseg.registry import MODELS

from ibn_seg.benchmark import needs
from ibn_seg.benchmark.run_plan import check_plan
from ibn_seg.errors import UserError
from ibn_seg.models import sources
from ibn_seg.run import segmentation
from tests.benchmark.plans import write_plan

# What each method gets, and what the line must say. Checkpoints and workers are no part of a
# training's identity, which has to be another.
CHECKPOINT = "default_hooks.checkpoint"
WRONG = {
    "optimiser": ({"optim_wrapper.optimizer.type": "SGDD"},
                  "unknown optimizer (optim_wrapper.optimizer.type) 'SGDD': did you mean 'SGD'?"),
    "argument": ({"optim_wrapper.optimizer.momentun": 0.9},
                 "optim_wrapper.optimizer: SGD has no argument 'momentun'"),
    "step": ({"optim_wrapper.clip_grad": {"max_norm": "a"}}, "optim_wrapper: OptimWrapper fails"),
    "schedule": ({"param_scheduler.0.powr": 1}, "param_scheduler[0]: PolyLR has no argument"),
    "hook": ({"custom_hooks": [{"type": "EMAHok"}]},
             "unknown hook type (custom_hooks[0].type) 'EMAHok': did you mean 'EMAHook'?"),
    "hook's argument": ({"custom_hooks": [{"type": "EMAHook", "momentun": 0.1}]},
                        "custom_hooks[0]: EMAHook has no argument 'momentun'"),
    "average": ({"custom_hooks": [{"type": "EMAHook", "ema_type": "Mean"}]},
                "unknown model type (custom_hooks[0].ema_type) 'Mean': allowed: Exponential"),
    "priority": ({"custom_hooks": [{"type": "EMAHook", "priority": "HIGHISH"}]},
                 "custom_hooks[0]: EMAHook has priority='HIGHISH': did you mean 'HIGH'?"),
    "weights": ({"model.backbone.init_cfg": {"type": "Pretrained", "checkpoint": "gone.pth"}},
                "gone.pth: no such checkpoint"),
    "name of weights": ({"model.backbone.init_cfg": {
        "type": "Pretrained", "checkpoint": "ibn://resnet18_ibn_c"}},
        "unknown model 'resnet18_ibn_c'"),
    "channels": ({"model.decode_head.in_channels": 32},
                 "model.decode_head: FCNHead gets 64 channels in its layer convs.0.conv, which is "
                 "for 32: set in_channels from 32 to that"),
    "maps": ({"model.decode_head.in_index": 2}, "model.decode_head: FCNHead has in_index=2"),
    "no loss": ({"model.decode_head.loss_decode": []}, "model has no loss to learn from"),
    "loss": ({"model.decode_head.loss_decode.loss_name": "ce"},
             "model.decode_head.loss_decode.loss_name is 'ce'"),
    "few classes": ({"model.decode_head.num_classes": 18}, "model.decode_head.num_classes = 18, "
                    "and train_dataloader.dataset has 19 classes"),
    "batch": ({"train_dataloader.batch_size": 0},
              "train_dataloader cannot be built: batch_size should be a positive integer"),
    "workers": ({"train_dataloader.num_workers": -1, "optim_wrapper.optimizer.lr": 0.1},
                "train_dataloader cannot be built: num_workers option should be non-negative"),
    "score": ({f"{CHECKPOINT}.save_best": "acdc/mIoU", f"{CHECKPOINT}.rule": "greater",
               "optim_wrapper.optimizer.lr": 0.2},
              f"unknown score in {CHECKPOINT}.save_best 'acdc/mIoU'"),
    "mask too late": ({"model.backbone.ibn": "isw", "custom_hooks": [
        {"type": "SensitiveCovarianceHook", "begin": 99}]},
        "ISW: its mask is built before iteration 99, and the run has 6"),
    "loss without a layer": ({"custom_hooks": [{"type": "MethodHook", "whitening": 0.6}]},
                             "MethodHook: whitening=0.6, and the network has no layer"),
    "test_cfg": ({"model.test_cfg.mode": "slid"}, "unknown model.test_cfg.mode 'slid'"),
    "windows": ({"model.test_cfg": {"mode": "slide", "crop_size": [32, 32], "stride": [32, 48]}},
                "model.test_cfg.stride=(32, 48) is larger than crop_size=(32, 32)"),
}  # fmt: skip


@HOOKS.register_module()
class TellingHook(Hook):
    """Writes a file as soon as a run begins."""

    def __init__(self, path: str) -> None:
        self.path = path

    def before_run(self, runner: object) -> None:
        with open(self.path, "w"):
            pass


@MODELS.register_module()
class OneSizeHead(FCNHead):
    """Takes maps of one size, as networks do that learn a value for each place."""

    side = 0

    def forward(self, inputs: tuple) -> torch.Tensor:
        assert inputs[-1].shape[-1] == self.side, f"maps must be {self.side} wide"
        return super().forward(inputs)


@pytest.fixture
def plan(tmp_path):
    """Return a function that writes a plan of given methods, by name."""
    path = write_plan(tmp_path)
    content = yaml.safe_load(path.read_text())

    def write(methods):
        path.write_text(yaml.safe_dump({**content, "methods": methods}, sort_keys=False))
        return path

    return write


def lines_by_method(plan, results):
    """Return the reasons of a dry run; every method has one at most."""
    lines = check_plan(plan, results)
    found = dict(line.split(" ResNet-18 gta5 seed 0: ", 1) for line in lines)
    assert len(found) == len(lines)
    return found


def test_every_method_that_cannot_be_trained_is_named_with_the_reason(tmp_path, plan):
    methods = {name: options for name, (options, _) in WRONG.items()}
    found = lines_by_method(plan({"right": {}, **methods}), tmp_path / "out")
    assert set(found) == set(WRONG)
    for name, (_, words) in WRONG.items():
        assert found[name].startswith(words), name


@pytest.mark.parametrize("name", ["step", "channels", "score"])
def test_the_line_is_that_of_a_training(tmp_path, plan, name):
    options = WRONG[name][0]
    with pytest.raises(UserError) as caught:
        segmentation.train(
            tmp_path / "tiny.py", work_dir=tmp_path / "run", cfg_options=options, quiet=True
        )
    assert lines_by_method(plan({name: options}), tmp_path / "out") == {name: caught.value.line}


def test_trainings_that_differ_in_seed_or_share_are_tried_once(tmp_path, plan, monkeypatch):
    tried = []
    original = needs.try_training
    monkeypatch.setattr(needs, "try_training", lambda *a: (tried.append(1), original(*a)))
    shared = {"train_dataloader.dataset.share": 0.5}
    path = plan({"all": {}, "half": shared, "rate": {"optim_wrapper.optimizer.lr": 0.1}})
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**content, "seeds": [0, 1, 2]}))
    assert check_plan(path, tmp_path / "out") == []
    assert len(tried) == 2


def test_nothing_of_the_process_is_left_otherwise(tmp_path, plan, capsys):
    path = plan({"exact": {"randomness.deterministic": True, "env_cfg.cudnn_benchmark": True}})

    def state():
        scope = DefaultScope.get_current_instance()
        return (
            scope and scope.instance_name, random.getstate(), str(np.random.get_state()),
            torch.get_rng_state().tolist(), torch.get_num_threads(), cv2.getNumThreads(),
            torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark,
            torch.backends.cudnn.deterministic, list(warnings.filters),
        )  # fmt: skip

    DefaultScope.get_instance("ours", scope_name="mmengine")
    cv2.setNumThreads(2)
    before, files = state(), sorted(tmp_path.rglob("*"))
    assert check_plan(path, tmp_path / "out") == []
    assert state() == before
    assert sorted(tmp_path.rglob("*")) == files
    assert capsys.readouterr() == ("", "")


def test_what_a_training_would_write_or_fetch_is_left_alone(tmp_path, plan, monkeypatch):
    def fetch(*_):
        raise AssertionError("a download")

    monkeypatch.setattr(sources, "download", fetch)
    crop = {
        "type": "LoadRandomCrop",
        "scale": [64, 32],
        "crop_size": [32, 32],
        "ratio_range": [0.5, 2.0],
    }
    rare = {"type": "RareClassSampler", "statistics": str(tmp_path / "labels.json")}
    path = plan({
        "URL": {"model.backbone.init_cfg": {"type": "Pretrained", "checkpoint": "http://a/b.pth"}},
        "start": {"load_from": "http://a/b.pth"},
        "folder": {f"{CHECKPOINT}.out_dir": str(tmp_path / "elsewhere")},
        "hook": {"custom_hooks": [{"type": "TellingHook", "path": str(tmp_path / "told")}]},
        "sampler": {"train_dataloader.sampler": rare, "train_dataloader.dataset.pipeline": [
            crop, {"type": "PackSegInputs"}]},
    })  # fmt: skip
    files = sorted(tmp_path.rglob("*"))
    assert check_plan(path, tmp_path / "out") == []
    assert sorted(tmp_path.rglob("*")) == files


@pytest.mark.parametrize(("side", "words"), [(3, None), (5, "maps must be 5 wide")])
def test_pictures_of_the_size_that_is_trained_on_decide(tmp_path, plan, monkeypatch, side, words):
    """The crops make maps of 96 / 32 = 3 columns, the small pictures that are tried first of 2."""
    monkeypatch.setattr(OneSizeHead, "side", side)
    options = {
        "model.decode_head.type": "OneSizeHead", "model.data_preprocessor.size": [96, 96],
        "train_dataloader.dataset.pipeline.2.crop_size": 96,
    }  # fmt: skip
    found = lines_by_method(plan({"one": options}), tmp_path / "out")
    assert found.keys() == ({"one"} if words else set())
    assert words is None or words in found["one"]
