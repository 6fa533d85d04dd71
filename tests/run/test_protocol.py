"""`--protocol` in test and evaluate: what it changes of a config, and what it refuses."""

import contextlib

import pytest

from ibn_seg import cli
from ibn_seg.config import load_config
from ibn_seg.errors import UserError
from ibn_seg.evaluation import protocols
from ibn_seg.run.evaluation import evaluate
from ibn_seg.run.protocol import (
    check_augmented,
    check_views,
    replace_pipelines,
    set_protocol,
)
from ibn_seg.run.setup import register

THEIRS = {"type": "IoUMetric", "iou_metrics": ["mIoU"]}
VIEW = {"type": "ProtocolView", "protocol": "synthia16"}


@pytest.mark.parametrize("theirs", [THEIRS, [{"type": "MultiDomainIoU"}, THEIRS]])
@pytest.mark.parametrize("part", ["val", "test"])
def test_another_metric_would_not_follow_the_protocol(tiny, part, theirs):
    config = load_config(tiny)
    config[f"{part}_evaluator"] = theirs
    expected = rf"^--protocol rein: {part}_evaluator is not MultiDomainIoU: use that metric$"
    with pytest.raises(UserError, match=expected) as caught:
        set_protocol(config, "rein")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["MultiDomainIoU", "ibn_seg.evaluation.metric.MultiDomainIoU"])
def test_metric_and_pipelines_are_told(tiny, name):
    config = load_config(tiny)
    config.val_evaluator.type = config.test_evaluator.type = name
    set_protocol(config, "synthia16")
    for part in ("val", "test"):
        assert config[f"{part}_evaluator"].protocol == "synthia16"
        pipeline = config[f"{part}_dataloader"].dataset.pipeline
        assert [step["type"] for step in pipeline] == [
            "LoadImageFromFile", "LoadUrbanLabels", "ProtocolView", "PackSegInputs"
        ]  # fmt: skip
        assert pipeline[2] == VIEW
    assert all(step["type"] != "ProtocolView" for step in config.train_dataloader.dataset.pipeline)
    assert config.model.test_cfg == {"mode": "whole"}


def test_what_a_config_does_not_evaluate_needs_no_metric(tiny):
    config = load_config(tiny)
    config.val_dataloader, config.val_evaluator = None, THEIRS
    set_protocol(config, "synthia16")
    assert config.val_evaluator == THEIRS
    assert config.test_evaluator.protocol == "synthia16"


def test_the_windows_of_a_protocol_replace_those_of_the_model(tiny, monkeypatch):
    windows = protocols.Protocol("windows", "made up", window=(32, 16))
    monkeypatch.setattr(protocols, "PROTOCOLS", {"windows": windows})
    config = load_config(tiny)
    set_protocol(config, "windows")
    assert config.model.test_cfg == {"mode": "slide", "crop_size": (32, 32), "stride": (16, 16)}


def test_the_command_test_refuses_it_before_anything_is_evaluated(tiny, trained, tmp_path, capsys):
    config = tmp_path / "theirs.py"
    text = f"_base_ = {str(tiny)!r}\ntest_evaluator = dict(_delete_=True, **{THEIRS})\n"
    config.write_text(text)
    args = ["test", str(config), str(trained[0] / "iter_6.pth"), "--work-dir", str(tmp_path / "w")]
    assert cli.run([*args, "--protocol", "synthia16"]) == 2
    assert capsys.readouterr().err == (
        "error: --protocol synthia16: test_evaluator is not MultiDomainIoU: use that metric\n"
    )
    assert not list((tmp_path / "w").rglob("*.json"))


def test_evaluate_brings_its_own_metric(tiny, trained, tmp_path):
    """So a config of mmseg's metric is scored by any protocol; an unknown one is refused."""
    config = load_config(tiny, {"test_evaluator": None, "val_evaluator": None})
    config.test_evaluator, config.val_evaluator = THEIRS, THEIRS
    target = [f"gta5={tiny.parent}/gta5"]
    checkpoint = trained[0] / "iter_6.pth"
    found = evaluate(
        config, checkpoint, target, protocol="synthia16", work_dir=tmp_path / "a", quiet=True
    )
    assert found["protocol"] == "synthia16"
    assert not {"terrain", "truck", "train"} & set(found["domains"]["gta5"]["IoU"])
    with pytest.raises(UserError, match=r"evaluation protocol 'rien': did you mean 'rein'\?"):
        evaluate(config, checkpoint, target, protocol="rien", work_dir=tmp_path / "b")


def test_a_pipeline_reaches_every_data_set():
    """Augmentation at test time would else be left out of those with their own."""
    new, old = [{"type": "New"}], [{"type": "Old"}]
    shared = {"pipeline": old, "datasets": [{"pipeline": old}, {"root": "x"}]}
    replace_pipelines(shared, new)
    assert shared == {"pipeline": new, "datasets": [{"pipeline": new}, {"root": "x"}]}
    joined = {"datasets": [{"dataset": {"pipeline": old}}, {"pipeline": old}]}
    replace_pipelines(joined, new)
    assert joined == {"datasets": [{"dataset": {"pipeline": new}}, {"pipeline": new}]}
    alone = {"root": "x"}
    replace_pipelines(alone, new)
    assert alone == {"root": "x", "pipeline": new}


@pytest.mark.parametrize(
    ("name", "refused"),
    [("native", False), ("synthia13", False), ("rein", True), ("vfm_benchmark", True)],
)
def test_the_name_of_a_protocol_alone_is_no_protocol(tiny, name, refused):
    """Its sizes come from a step of the pipeline, which `--protocol` adds."""
    config = load_config(tiny, {"test_evaluator.protocol": name})
    expected = rf"^test_evaluator.protocol is '{name}', and test_dataloader has no ProtocolView"
    with pytest.raises(UserError, match=expected) if refused else contextlib.nullcontext():
        check_views(config, "test")
    set_protocol(config, name)
    check_views(config, "test")


def test_augmentation_would_load_labels_behind_their_resizing(tiny):
    register()
    config = load_config(tiny)
    check_augmented(config, "rein")
    config.test_dataloader.dataset.datasets[1]["target"] = "mapillary"
    with pytest.raises(UserError, match="--tta with --protocol rein: it scores mapillary at"):
        check_augmented(config, "rein")
