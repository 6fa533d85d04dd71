"""What a training would first use at a validation is looked at before its first iteration."""

import pytest

from ibn_seg.cli import run
from ibn_seg.config import load_config
from ibn_seg.errors import UserError
from ibn_seg.predict.predict_pictures import Segmenter
from ibn_seg.run import segmentation
from ibn_seg.run.evaluation import evaluate

SLIDE = {"mode": "slide", "crop_size": (32, 32), "stride": (16, 16)}
TESTING = [
    ({"model.test_cfg": "whole"}, "model.test_cfg is 'whole': it must be a dict"),
    ({"model.test_cfg.mode": "slid"}, "unknown model.test_cfg.mode 'slid': did you mean 'slide'? "
     "allowed: whole, slide"),
    ({"model.test_cfg": {**SLIDE, "stride": None}}, "model.test_cfg has mode='slide' and "
     "stride=None: give stride as two whole numbers, such as (512, 512)"),
    ({"model.test_cfg": {**SLIDE, "crop_size": 32}}, "model.test_cfg has mode='slide' and "
     "crop_size=32: give crop_size as two whole numbers, such as (512, 512)"),
    ({"model.test_cfg": {**SLIDE, "stride": (16.0, 16)}}, "model.test_cfg has mode='slide' and "
     "stride=(16.0, 16): give stride as two whole numbers, such as (512, 512)"),
    ({"model.test_cfg": {**SLIDE, "stride": (16, 33)}}, "model.test_cfg.stride=(16, 33) is larger "
     "than crop_size=(32, 32): windows would leave pixels out; make it crop_size or less"),
    ({"model.decode_head.loss_decode": [1]}, "model.decode_head.loss_decode[0] is 1: it must be a "
     "dict"),
    ({"model.decode_head.loss_decode": "ce"}, "model.decode_head.loss_decode is 'ce': it must be a "
     "dict"),
]  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint(trained):
    return trained[0] / "iter_6.pth"


def refused(call):
    """Return the line that a call is refused with."""
    with pytest.raises(UserError) as caught:
        call()
    return caught.value.line


@pytest.mark.parametrize(("options", "line"), TESTING)
def test_every_command_refuses_what_only_some_would_use(tiny, checkpoint, tmp_path, options, line):
    more = {"work_dir": tmp_path, "cfg_options": options, "quiet": True}
    assert refused(lambda: segmentation.train(tiny, **more)) == line
    assert refused(lambda: segmentation.test(tiny, checkpoint, **more)) == line
    assert refused(lambda: evaluate(tiny, checkpoint, ["cityscapes=gone"], **more)) == line
    assert refused(lambda: Segmenter(load_config(tiny, options), checkpoint)) == line
    assert not list(tmp_path.rglob("*.pth"))


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("default_hooks.checkpoint.max_keep_ckpts=0", "max_keep_ckpts is 0: give a whole number"),
        ("default_hooks.checkpoint.max_keep_ckpts=two", "max_keep_ckpts is 'two': give a whole"),
        ("default_hooks.checkpoint.max_keep_ckpts=1.5", "max_keep_ckpts is 1.5: give a whole"),
        ("default_hooks.checkpoint.max_keep_ckpts=True", "max_keep_ckpts is True: give a whole"),
        ("val_cfg.fp16=yes", "val_cfg.fp16 is 'yes': it must be True or False"),
        ("test_cfg.fp16=1", "test_cfg.fp16 is 1: it must be True or False"),
    ],
)
def test_other_parts_that_are_used_late(tiny, tmp_path, capsys, option, words):
    code = run(["train", str(tiny), "--work-dir", str(tmp_path), "--cfg-options", option])
    said = capsys.readouterr().err
    assert code == 2
    assert words in said.strip().splitlines()[-1]
    assert "Traceback" not in said
    assert not list(tmp_path.rglob("*.pth"))


def test_windows_that_just_touch_and_numbers_of_checkpoints_are_taken(tiny, tmp_path):
    options = {
        "model.test_cfg": {**SLIDE, "stride": (32, 32)}, "train_cfg.max_iters": 2,
        "default_hooks.checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 1,
                                     "max_keep_ckpts": 1},
        "val_cfg.fp16": False,
        "model.data_preprocessor.test_cfg": {"size_divisor": 32},
    }  # fmt: skip
    segmentation.train(tiny, work_dir=tmp_path, cfg_options=options, quiet=True)
    assert [path.name for path in tmp_path.glob("*.pth")] == ["iter_2.pth"]


NAME = "model.decode_head.loss_decode.loss_name"
DICE = {"type": "DiceLoss", "loss_name": "dice"}


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({NAME: "ce"}, f"{NAME} is 'ce', but training uses only losses with 'loss' in their name:"
         " write 'loss_ce'"),
        ({NAME: 3}, f"{NAME} is 3: it must be a text"),
        ({"model.decode_head.loss_decode": [{"type": "CrossEntropyLoss"}, DICE]},
         "model.decode_head.loss_decode[1].loss_name is 'dice', but training uses only losses with "
         "'loss' in their name: write 'loss_dice'"),
        ({"model.auxiliary_head": [{"type": "FCNHead", "loss_decode": DICE}]},
         "model.auxiliary_head[0].loss_decode.loss_name is 'dice', but training uses only losses "
         "with 'loss' in their name: write 'loss_dice'"),
    ],
)  # fmt: skip
def test_a_loss_that_would_not_be_learnt_from(tiny, tmp_path, options, line):
    more = {"work_dir": tmp_path, "cfg_options": options, "quiet": True}
    assert refused(lambda: segmentation.train(tiny, **more)) == line
    assert not list(tmp_path.rglob("*.pth"))


def test_a_network_trained_with_such_a_loss_is_still_tested(tiny, checkpoint, tmp_path):
    options = {NAME: "ce"}
    result = segmentation.test(tiny, checkpoint, work_dir=tmp_path, cfg_options=options, quiet=True)
    assert result["targets_mIoU"] is not None
