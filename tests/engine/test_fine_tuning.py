"""Trainings that start from another segmentor: batch norms are split, heads may begin anew."""

import pytest
import torch
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS

import ibn_seg.plugins.mmseg  # noqa: F401
from ibn_seg import cli
from ibn_seg.config import load_config
from ibn_seg.engine.fine_tuning import load_start
from ibn_seg.errors import UserError
from ibn_seg.run import segmentation

NORM = {"type": "BN", "requires_grad": True}


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope("mmseg"):
        yield


def head(kind="FCNHead", classes=5, **settings):
    return {
        "type": kind, "in_channels": 64, "in_index": 3, "channels": 16, "num_convs": 1,
        "concat_input": False, "num_classes": classes, "norm_cfg": NORM, "align_corners": False,
        "loss_decode": {"type": "CrossEntropyLoss"}, **settings,
    }  # fmt: skip


def segmentor(kind="IBNResNet", seed=0, heads=None, auxiliary=None, **backbone):
    torch.manual_seed(seed)
    model = MODELS.build(
        {
            "type": "EncoderDecoder",
            "backbone": {
                "type": kind, "depth": 18, "base_channels": 8, "norm_cfg": NORM, **backbone
            },
            "decode_head": heads or head(),
            "auxiliary_head": auxiliary,
            "test_cfg": {"mode": "whole"},
        }
    )  # fmt: skip
    model.init_weights()
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.5, 1.5)
    return model


@pytest.mark.parametrize("ibn", ["a", "b"])
def test_the_norms_of_mmsegs_own_network_are_split_and_its_heads_stay(ibn):
    theirs, ours = segmentor("ResNet"), segmentor(ibn=ibn, seed=1)
    said = load_start(ours, {"state_dict": theirs.state_dict()}, "theirs.pth")
    assert said.startswith("theirs.pth: backbone: ")
    assert "random" not in said
    given, found = theirs.state_dict(), ours.state_dict()
    for key in given:
        if key.startswith("decode_head") or "conv" in key:
            assert torch.equal(found[key], given[key]), key
    if ibn == "a":
        norm = given["backbone.layer2.1.bn1.weight"]
        parts = [found[f"backbone.layer2.1.bn1.{part}.weight"] for part in ("IN", "BN")]
        assert torch.equal(torch.cat(parts), norm)


def test_what_fits_is_loaded_without_a_word():
    theirs, ours = segmentor(ibn="a"), segmentor(ibn="a", seed=1)
    assert load_start(ours, {"state_dict": theirs.state_dict()}, "theirs.pth") is None
    assert torch.equal(ours.decode_head.conv_seg.weight, theirs.decode_head.conv_seg.weight)


@pytest.mark.parametrize("kind", ["ResNet", "IBNResNet"])
def test_a_head_of_other_classes_begins_at_random_and_says_so(kind):
    theirs = segmentor(kind, heads=head(classes=19))
    ours = segmentor(seed=1)
    before = ours.decode_head.conv_seg.weight.clone()
    said = load_start(ours, theirs.state_dict(), "theirs.pth")
    assert "decode_head.conv_seg begins at random, it is for 19 classes there and 5 here" in said
    assert torch.equal(ours.decode_head.conv_seg.weight, before)
    assert torch.equal(
        ours.decode_head.convs[0].conv.weight, theirs.decode_head.convs[0].conv.weight
    )
    assert torch.equal(ours.backbone.conv1.weight, theirs.backbone.conv1.weight)


def test_a_head_may_be_on_one_side_alone():
    with_two = segmentor(auxiliary=head(in_index=2, in_channels=32))
    alone = segmentor(seed=1)
    assert load_start(alone, with_two.state_dict(), "two.pth") == (
        "two.pth: left out auxiliary_head"
    )
    before = with_two.auxiliary_head.conv_seg.weight.clone()
    assert load_start(with_two, alone.state_dict(), "one.pth") == (
        "one.pth: auxiliary_head begins at random, the checkpoint has none"
    )
    assert torch.equal(with_two.auxiliary_head.conv_seg.weight, before)


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        ({"depth": 34}, "its backbone is ResNet-34, the config's is ResNet-18"),
        ({"ibn": "a"}, "its norm placement is IBN-a, the config's is IBN-b"),
        ({"heads": head(channels=8)}, "such as decode_head.conv"),
    ],
)
def test_other_differences_are_refused_and_change_nothing(theirs, message):
    ours = segmentor(ibn="b", seed=1)
    before = {key: value.clone() for key, value in ours.state_dict().items()}
    with pytest.raises(UserError, match=r"theirs\.pth: does not fit the config") as caught:
        load_start(ours, segmentor(**theirs).state_dict(), "theirs.pth")
    assert message in str(caught.value)
    assert all(torch.equal(value, before[key]) for key, value in ours.state_dict().items())


@pytest.mark.parametrize("name", ["resnet18_ibn_a", "resnet18_ibn_b"])
def test_swap_then_fine_tune_ones_own_segmentor(tiny, tmp_path, name, capfd):
    own = tmp_path / "own.py"
    own.write_text(
        f"_base_ = {str(tiny)!r}\n"
        "experiment = dict(method='mine')\n"
        "model = dict(backbone=dict(_delete_=True, type='ResNet', depth=18, base_channels=8,\n"
        "    out_indices=(3,), norm_eval=False, norm_cfg=dict(type='BN', requires_grad=True)))\n"
    )
    segmentation.train(
        own, work_dir=tmp_path / "own", quiet=True, cfg_options={"train_cfg.max_iters": 2}
    )
    checkpoint = tmp_path / "own" / "iter_2.pth"
    swapped = tmp_path / "swapped.py"
    with own.open("a") as file:
        file.write(f"load_from = {str(checkpoint)!r}\n")
    assert cli.run(["swap", str(own), "--backbone", name, "-o", str(swapped)]) == 0
    assert "a training splits its batch norms" in " ".join(capfd.readouterr().out.split())
    options = {
        "train_cfg.max_iters": 1,
        "optim_wrapper.optimizer.lr": 0,
    }
    segmentation.train(swapped, work_dir=tmp_path / "new", quiet=True, cfg_options=options)
    assert f"{checkpoint}: backbone: " in capfd.readouterr().err
    assert load_config(swapped).model.backbone.type == "IBNResNet"
    read = {
        path: torch.load(path, weights_only=True)["state_dict"]
        for path in (checkpoint, tmp_path / "new" / "iter_1.pth")
    }
    theirs, ours = read.values()
    parameters = [key for key in theirs if "running" not in key and "num_batches" not in key]
    kept = [key for key in parameters if key in ours]
    assert all(torch.equal(ours[key], theirs[key]) for key in kept)
    assert {key for key in parameters if key.startswith("decode_head")} <= {*kept}
