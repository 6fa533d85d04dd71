"""A tiny ViT and a tiny ConvNeXt: trained from a config, resumed, tested, predicted, exported."""

import os
import shutil
from pathlib import Path

import pytest
import torch

pytest.importorskip("timm")

from ibn_seg import cli
from ibn_seg.errors import UserError
from ibn_seg.run import segmentation
from ibn_seg.run.setup import trained_network
from tests.foundation.made import SIZES, tiny
from tests.kill import test_sigkill as kill
from tests.tiny import run as process
from tests.tiny import write_experiment

OLD_BACKBONE = """dict(
        type='IBNResNet', depth=18, ibn='a', base_channels=8, out_indices=(3, ),
        norm_cfg=norm_cfg)"""
OLD_HEAD = "type='FCNHead', in_channels=64, in_index=0, channels=16, num_convs=1,"
NEW_HEAD = "type='FCNHead', in_channels=32, in_index=2, channels=16, num_convs=1,"
VIT = {
    "type": "TimmBackbone", "model": "vit_small_patch14_reg4_dinov2", "patch_size": 16,
    "img_size": 32, "timm_args": SIZES, "tuning": {"mode": "lora", "rank": 2},
}  # fmt: skip
CONVNEXT = {
    "type": "TimmBackbone", "model": "convnext_atto", "drop_path_rate": 0.1,
    "timm_args": {"depths": [1, 1, 1, 1], "dims": [8, 16, 32, 32]},
}  # fmt: skip
OPTIMISER = {
    "type": "OptimWrapper", "optimizer": {"type": "AdamW", "lr": 0.001, "weight_decay": 0.05},
    "constructor": "LayerDecayConstructor",
    "paramwise_cfg": {"layer_decay": 0.8, "backbone_lr_mult": 0.5},
}  # fmt: skip
SMALL = [{"type": "SmallCheckpointHook"}]


def write(folder: Path, backbone: dict, **more: object) -> Path:
    """Write the tiny experiment with another backbone and AdamW; return the config's path."""
    folder.mkdir(parents=True, exist_ok=True)
    config = write_experiment(folder)
    text = config.read_text()
    assert OLD_BACKBONE in text
    assert OLD_HEAD in text
    text = text.replace(OLD_BACKBONE, repr(backbone)).replace(OLD_HEAD, NEW_HEAD)
    text = text.replace("experiment = dict(method='IBN-a'", "experiment = dict(method='tuned'")
    lines = [f"{key} = {value!r}" for key, value in {"optim_wrapper": OPTIMISER, **more}.items()]
    config.write_text("\n".join([text, *lines, ""]))
    return config


def base_file(folder: Path, seed: int = 0) -> str:
    """Write weights for the ViT as timm would give them; return their path."""
    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    network = tiny("reg4", img_size=32, norm=True).network
    torch.save(network.state_dict(), folder / f"base{seed}.pth")
    return str(folder / f"base{seed}.pth")


@pytest.fixture(scope="module", params=["vit", "convnext"])
def run(request, tmp_path_factory):
    """The config, the work dir and the result of an undisturbed training."""
    folder = tmp_path_factory.mktemp(request.param)
    vit = request.param == "vit"
    backbone = {**VIT, "pretrained": base_file(folder)} if vit else CONVNEXT
    config = write(folder, backbone, **({"custom_hooks": SMALL} if vit else {}))
    torch.set_num_threads(1)
    result = segmentation.train(config, work_dir=folder / "whole", quiet=True)
    return config, folder / "whole", result


def state(path: Path) -> dict:
    return torch.load(path, weights_only=True)["state_dict"]


def test_a_resumed_run_equals_the_undisturbed(run, tmp_path):
    """What a kill behind iteration 4 leaves is resumed; see also the slow test."""
    config, whole, result = run
    cut = tmp_path / "cut"
    shutil.copytree(whole, cut)
    for name in ("iter_6.pth", "result.json", "small.pth"):
        (cut / name).unlink(missing_ok=True)
    (cut / "last_checkpoint").write_text(str(cut / "iter_4.pth"))
    again = segmentation.train(config, work_dir=cut, resume=True, quiet=True)
    assert len(again["resumed_at"]) == 1
    assert again["domains"] == result["domains"]
    first, second = state(whole / "iter_6.pth"), state(cut / "iter_6.pth")
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert first.keys() == second.keys()


def test_only_adapters_and_head_change(run):
    config, whole, _ = run
    network, _, _ = trained_network(config, whole / "iter_6.pth")
    trained = {f"backbone.{name}" for name in network.backbone.trainable_names()}
    first, last = state(whole / "iter_2.pth"), state(whole / "iter_6.pth")
    changed = {key for key in last if not torch.equal(first[key], last[key])}
    assert {key for key in changed if key.startswith("backbone.")} <= trained
    assert any(key.startswith("backbone.") for key in changed)


def test_it_comes_to_the_leaderboard(run, tmp_path):
    config, whole, _ = run
    tested, page = tmp_path / "tested", tmp_path / "board.html"
    segmentation.test(config, whole / "iter_6.pth", work_dir=tested, quiet=True)
    assert cli.run(["leaderboard", str(tested), "-o", str(page)]) == 0
    assert "tuned" in page.read_text()


def test_it_predicts(run, tmp_path):
    config, whole, _ = run
    pictures = config.parent / "cityscapes" / "leftImg8bit" / "val"
    arguments = ["predict", str(config), str(whole / "iter_6.pth"), str(pictures)]
    assert cli.run([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert len(list((tmp_path / "out").rglob("*.png"))) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("backbone", [VIT, CONVNEXT], ids=["vit", "convnext"])
def test_killed_and_resumed_equals_undisturbed(tmp_path, backbone):
    config = write(tmp_path, backbone)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert process(*kill.train(config, whole)).returncode == 0
    kill.kill_after(kill.train(config, killed), killed, "iter_10.pth")
    done = process(*kill.train(config, killed, "--resume"))
    assert done.returncode == 0, done.stderr
    first, second = state(whole / "iter_40.pth"), state(killed / "iter_40.pth")
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.slow
def test_it_is_exported(run, tmp_path):
    pytest.importorskip("onnxruntime")
    config, whole, _ = run
    arguments = ["export", "--config", str(config), "--checkpoint", str(whole / "iter_6.pth")]
    options = ["--size", "64x96", "--fixed-size", "-o", str(tmp_path / "n.onnx")]
    assert cli.run([*arguments, *options]) == 0


def test_a_small_checkpoint_needs_its_base(tmp_path):
    base, other = base_file(tmp_path), base_file(tmp_path, 1)
    config = write(tmp_path, {**VIT, "pretrained": base}, custom_hooks=SMALL)
    options = {"train_cfg.max_iters": 2, "param_scheduler.0.end": 2, "val_dataloader": None,
               "val_cfg": None, "val_evaluator": None}  # fmt: skip
    segmentation.train(config, work_dir=tmp_path / "run", quiet=True, cfg_options=options)
    small, whole = tmp_path / "run" / "small.pth", tmp_path / "run" / "iter_2.pth"
    assert os.path.getsize(small) < os.path.getsize(whole) / 2
    assert not any("patch_embed" in key for key in state(small))
    ours, theirs = (trained_network(config, path)[0].state_dict() for path in (small, whole))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    for pretrained, line in (
        (other, r"small.pth: is of the base [0-9a-f]{8} \(.*base0.pth\), the config's is"),
        (None, r"small.pth: holds the tuned part of vit_small_patch14_reg4_dinov2 alone"),
    ):
        with pytest.raises(UserError, match=line):
            trained_network(config, small, {"model.backbone.pretrained": pretrained})
    with pytest.raises(UserError, match=r"does not fit the config: .* tensors differ"):
        trained_network(config, small, {"model.backbone.tuning": {"mode": "soma", "rank": 2}})


def test_two_half_batches_equal_a_whole_one(tmp_path):
    """In a tuned ViT and a head without batch norm: `accumulative_counts` adds up gradients."""
    sgd = {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.5}}
    config = write(tmp_path, {**VIT, "pretrained": base_file(tmp_path)}, optim_wrapper=sgd)
    options = {"param_scheduler": None, "val_dataloader": None, "val_cfg": None,
               "val_evaluator": None, "model.decode_head.norm_cfg": None,
               "model.decode_head.dropout_ratio": 0}  # fmt: skip
    for name, batch, counts in (("whole", 4, 1), ("halves", 2, 2)):
        steps = 8 // batch  # the same eight pictures, in two steps of the optimiser
        more = {"train_dataloader.batch_size": batch, "train_cfg.max_iters": steps,
                "optim_wrapper.accumulative_counts": counts}  # fmt: skip
        segmentation.train(
            config, work_dir=tmp_path / name, cfg_options={**options, **more}, quiet=True
        )
    first = state(tmp_path / "whole" / "iter_2.pth")
    second = state(tmp_path / "halves" / "iter_4.pth")
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-6)
    start = state(tmp_path / "halves" / "iter_2.pth")  # behind the first step
    moved = [key for key in first if not torch.allclose(start[key], first[key], atol=1e-5)]
    assert any("lora" in key for key in moved)
    assert any(key.startswith("decode_head") for key in moved)


@pytest.mark.parametrize(
    ("backbone", "line"),
    [
        ({**VIT, "out_indices": [3]}, "model.decode_head.in_index names map 2"),
        ({**VIT, "timm_args": {**SIZES, "embed_dim": 64}}, "model.decode_head.in_channels has 32"),
        ({**VIT, "patch_size": 14}, "images of 32x32 pixels are no multiple of its patch 14x14"),
        ({**VIT, "model": "vit_small_patch14_dino"}, "nearest: 'vit_small_patch14_dinov2'"),
        ({**CONVNEXT, "tuning": "lora"}, "needs a network with attention"),
        ({**CONVNEXT, "tuning": "rein"}, "needs a plain transformer"),
    ],
)
def test_wrong_configs_are_one_line(tmp_path, backbone, line):
    config = write(tmp_path, backbone)
    with pytest.raises(UserError) as caught:
        segmentation.train(config, work_dir=tmp_path / "run", quiet=True)
    assert line in caught.value.line
    assert "\n" not in caught.value.line


def test_small_checkpoints_are_refused_before_training(tmp_path):
    config = write(tmp_path, VIT, custom_hooks=SMALL)
    with pytest.raises(UserError, match="needs the weights that the backbone began from"):
        segmentation.train(config, work_dir=tmp_path / "run", quiet=True)
