"""Names of scores are looked at before the first iteration, not at the first validation."""

import pytest

from ibn_seg.errors import UserError
from ibn_seg.run import segmentation

SAVE_BEST = "default_hooks.checkpoint.save_best"
NAMES = "allowed: gta5/mIoU, gta5/mAcc, gta5/aAcc, cityscapes/mIoU, .*targets/mIoU, gap"
PLATEAU = [dict(type="ReduceOnPlateauLR", monitor="mIoU", rule="greater")]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({SAVE_BEST: "mIoU"}, rf"save_best 'mIoU': did you mean 'gta5/mIoU'\? {NAMES}"),
        ({SAVE_BEST: ["gta5/mIoU", "gta5/mDice"], "default_hooks.checkpoint.rule": "greater"},
         r"'gta5/mDice': did you mean"),
        ({SAVE_BEST: "acdc/IoU.road", "default_hooks.checkpoint.rule": "greater"}, NAMES),
        ({SAVE_BEST: "gap"}, r"default_hooks\.checkpoint: Cannot infer the rule for key gap"),
        ({SAVE_BEST: "gta5/mIoU", "default_hooks.checkpoint.rule": "more"}, r"rule must be"),
        ({"default_hooks.checkpoint.max_keep_ckpt": 2}, r"did you mean 'max_keep_ckpts'"),
        ({"default_hooks.checkpoint.published_keys": ["meta"]}, r"add 'state_dict'"),
        ({"custom_hooks": [dict(type="EarlyStoppingHook", monitor="mIoU")]},
         r"EarlyStoppingHook\.monitor 'mIoU'"),
        ({"param_scheduler": PLATEAU}, r"ReduceOnPlateauLR\.monitor 'mIoU'"),
        ({"val_evaluator": dict(type="IoUMetric", iou_metrics=["mFscore"], _delete_=True),
          SAVE_BEST: "mIoU"}, r"allowed: aAcc, mFscore, mPrecision, mRecall"),
        ({"val_dataloader.dataset.datasets.1.pipeline":
          [dict(type="LoadImageFromFile"), dict(type="PackSegInputs", meta_keys=("target",))]},
         r"a sample of 'cityscapes' has no ground truth"),
        ({"val_dataloader.dataset.pipeline": [dict(type="LoadImageFromFile"),
          dict(type="LoadUrbanLabels"), dict(type="PackSegInputs")]}, r"'target' is missing"),
        ({"val_dataloader.dataset.pipeline": [dict(type="LoadImageFromFile")]},
         r"gives no 'data_samples': end it with dict\(type='PackSegInputs'\)"),
        ({"val_evaluator.source": "gta"},
         r"domain in val_evaluator\.source 'gta': did you mean 'gta5'\?"),
        ({"experiment.source": "gta5+citiscapes"},
         r"domain in experiment\.source 'citiscapes': did you mean 'cityscapes'\?"),
        ({"train_cfg.val_interval": 0}, r"train_cfg\.val_interval = 0"),
    ],
)  # fmt: skip
def test_what_the_first_validation_would_stop_at(tiny, tmp_path, options, expected):
    with pytest.raises(UserError, match=expected) as caught:
        segmentation.train(tiny, work_dir=tmp_path, cfg_options=options, quiet=True)
    assert "\n" not in caught.value.line
    assert not list(tmp_path.rglob("*.pth"))


@pytest.mark.parametrize(
    "name",
    [
        "auto", "gta5/IoU.road", pytest.param("targets/mIoU", marks=pytest.mark.slow),
        pytest.param("cityscapes/aAcc", marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_scores_that_there_are_choose_the_best(tiny, trained, tmp_path, name):
    options = {SAVE_BEST: name, "default_hooks.checkpoint.rule": "greater"}
    if name == "auto":
        del options["default_hooks.checkpoint.rule"]
    options["train_cfg.max_iters"] = 1
    segmentation.train(tiny, work_dir=tmp_path, cfg_options=options, quiet=True)
    assert len(list(tmp_path.glob("best_*_iter_1.pth"))) == 1
