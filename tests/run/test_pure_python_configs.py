"""Configs in mmengine's pure Python style, full names and scopes, in every command."""

import re

import numpy as np
import pytest
from PIL import Image

from ibn_seg import cli
from ibn_seg.analyses.robustness.run import robustness
from ibn_seg.config import load_config
from ibn_seg.predict.predict_pictures import predict
from ibn_seg.run import segmentation
from ibn_seg.run.evaluation import evaluate
from ibn_seg.run.protocol import insert_step
from ibn_seg.run.setup import trained_network
from ibn_seg.swap.swap_config import swap
from tests.helpers import write_image

IMPORTS = """
from mmcv.transforms import LoadImageFromFile, RandomFlip, TestTimeAug
from mmengine.config import read_base
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.hooks import CheckpointHook, LoggerHook
from mmengine.optim import OptimWrapper, PolyLR
from mmengine.runner import TestLoop, ValLoop
from mmengine.visualization import LocalVisBackend
from mmseg.datasets.transforms import PackSegInputs, RandomCrop
from mmseg.models import EncoderDecoder, FCNHead, SegDataPreProcessor, SegTTAModel
from mmseg.models.losses import CrossEntropyLoss
from mmseg.visualization import SegLocalVisualizer
from torch.optim import SGD
from ibn_seg.datasets.multi_domain import MultiDomainDataset
from ibn_seg.datasets.cityscapes import RawCityscapesDataset
from ibn_seg.datasets.gta5 import GTA5Dataset
from ibn_seg.engine.loop import SeededIterLoop
from ibn_seg.evaluation.metric import MultiDomainIoU
from ibn_seg.plugins.mmengine import IBNResNet
from ibn_seg.transforms.loading import LoadUrbanLabels
"""
TOP = """
from mmengine.config import read_base
with read_base():
    from .base import *
train_cfg.update(max_iters=2, val_interval=2)
"""
SCOPES = {
    "LoadImageFromFile": "mmcv.LoadImageFromFile",
    "LoadUrbanLabels": "ibn_seg.transforms.loading.LoadUrbanLabels",
    "CheckpointHook": "mmengine.CheckpointHook",
    "MultiDomainIoU": "ibn_seg.evaluation.metric.MultiDomainIoU",
    "OptimWrapper": "mmengine.optim.OptimWrapper",
    "SegDataPreProcessor": "mmseg.SegDataPreProcessor",
}


SLOW_PURE, SLOW_NAMED = (pytest.param(n, marks=pytest.mark.slow) for n in ("pure.py", "named.py"))


@pytest.fixture(scope="module")
def spelled(tiny, tmp_path_factory):
    """The tiny experiment in both other spellings, each over a base, in a folder with a space."""
    folder = tmp_path_factory.mktemp("other spellings é")
    text = tiny.read_text()
    pure = re.sub(r"type='(?!BN')(\w+)'", r"type=\1", text)
    (folder / "base.py").write_text(IMPORTS + pure.replace("'mmseg'", "None", 1))
    (folder / "pure.py").write_text(TOP)
    for name, full in SCOPES.items():
        text = text.replace(f"type='{name}'", f"type='{full}'")
    (folder / "named.py").write_text(text.replace("max_iters=6", "max_iters=2"))
    return folder


def same_scores(one, other):
    assert one["metrics"] == other["metrics"]
    assert np.isfinite(one["targets_mIoU"])


@pytest.mark.parametrize("name", ["pure.py", SLOW_NAMED])
def test_training_its_dumped_config_and_resuming(spelled, tiny, tmp_path, name):
    options = {"train_cfg.max_iters": 2, "train_cfg.val_interval": 2}
    plain = segmentation.train(tiny, work_dir=tmp_path / "a", cfg_options=options, quiet=True)
    mine = segmentation.train(spelled / name, work_dir=tmp_path / "b", quiet=True)
    same_scores(mine, plain)
    dumped = tmp_path / "b" / name
    assert "AtomicCheckpointHook" in dumped.read_text()
    same_scores(segmentation.train(dumped, work_dir=tmp_path / "c", quiet=True), plain)
    longer = segmentation.train(
        dumped, work_dir=tmp_path / "b", resume=True, quiet=True,
        cfg_options={"train_cfg.max_iters": 3},
    )  # fmt: skip
    assert (longer["iterations"], longer["resumed_at"]) == (3, [2])
    assert load_config(dumped).to_dict()["model"] == load_config(spelled / name).to_dict()["model"]


@pytest.mark.parametrize("name", ["pure.py", SLOW_NAMED])
def test_what_looks_at_a_trained_network(spelled, tiny, trained, tmp_path, name):
    config, checkpoint = spelled / name, trained[0] / "iter_6.pth"
    plain = segmentation.test(tiny, checkpoint, work_dir=tmp_path / "a", quiet=True)
    mine = segmentation.test(
        config, checkpoint, work_dir=tmp_path / "b", protocol="native", quiet=True
    )
    same_scores(mine, plain)
    targets = [f"cityscapes={tiny.parent / 'cityscapes'}"]
    scored = evaluate(config, checkpoint, targets, work_dir=tmp_path / "c", quiet=True)
    assert scored["domains"]["cityscapes"] == plain["domains"]["cityscapes"]
    assert scored["segmentor"] == "FCN"
    changed = robustness(
        config, checkpoint, corruptions=["haze"], severities=[1], work_dir=tmp_path / "d",
        quiet=True,
    )  # fmt: skip
    assert changed["kind"] == "robustness"
    write_image(
        tmp_path / "a.png", np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    )
    labels = []
    for source, out in ((tiny, "e"), (config, "f")):
        with Image.open(predict(source, checkpoint, tmp_path / "a.png", tmp_path / out)[0]) as one:
            labels.append(np.asarray(one))
    assert np.array_equal(*labels)


@pytest.mark.parametrize("name", [SLOW_PURE, "named.py"])
def test_a_swapped_config_trains_with_our_checkpoints(spelled, tmp_path, name):
    swapped = tmp_path / "swapped.py"
    swap(spelled / name, "resnet18_ibn_b", swapped)
    segmentation.train(swapped, work_dir=tmp_path / "w", quiet=True)
    hook = load_config(tmp_path / "w" / "swapped.py").default_hooks.checkpoint
    assert hook.type == "AtomicCheckpointHook"
    network, _, _ = trained_network(swapped, tmp_path / "w" / "iter_2.pth")
    assert type(network.backbone).__name__ == "IBNResNet"


def test_a_config_from_another_folder_and_through_a_link(
    spelled, trained, tmp_path, monkeypatch, capsys
):
    for name in ("named.py", "pure.py"):
        (tmp_path / name).symlink_to(spelled / name)
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "a.png", np.zeros((40, 40, 3), np.uint8))
    rest = [str(trained[0] / "iter_6.pth"), "a.png", "--out", "p"]
    assert cli.run(["predict", str(spelled / "pure.py"), *rest]) == 0
    assert cli.run(["predict", "named.py", *rest]) == 0
    # Bases are sought beside a link, as mmengine does.
    capsys.readouterr()
    assert cli.run(["predict", "pure.py", *rest]) == 2
    assert f"give {(spelled / 'pure.py').resolve()} itself" in capsys.readouterr().err


def test_synchronised_norms_by_their_full_names(tiny, trained):
    for kind in ("torch.nn.SyncBatchNorm", "mmengine.SyncBN"):
        options = {"model.backbone.norm_cfg.type": kind}
        network, _, _ = trained_network(tiny, trained[0] / "iter_6.pth", options)
        assert "SyncBatchNorm" not in repr(network.backbone)


def test_a_class_of_the_users_own_is_left_alone():
    part = {"pipeline": [{"type": "my_code.LoadAnnotations"}, {"type": "mmseg.PackSegInputs"}]}
    insert_step(part, {"type": "New"}, after=("LoadAnnotations",))
    assert [step["type"] for step in part["pipeline"]][-1] == "New"
