"""Numbers that a config has in quotes."""

import re

import pytest

from ibn_seg.cli import run
from ibn_seg.config import load_config
from ibn_seg.errors import UserError
from ibn_seg.run import segmentation
from ibn_seg.run.config_parts import check_numbers

EARLY = {
    "train_cfg.max_iters": "100",
    "train_cfg.val_interval": "3",
    "optim_wrapper.optimizer.lr": "0.01",
    "param_scheduler.0.power": ".9",
    "train_dataloader.batch_size": "4",
    "val_dataloader.num_workers": "0",
    "default_hooks.checkpoint.interval": "-1",
}
# Of parts that take texts as well; what is built or run says that it cannot use this one.
EXPLAINED = {
    "randomness.seed": "1",
    "optim_wrapper.accumulative_counts": "2",
    "optim_wrapper.paramwise_cfg.custom_keys.head.lr_mult": "10",
    "model.backbone.base_channels": "8",
    "model.decode_head.num_classes": "19",
    "model.decode_head.loss_decode.loss_weight": "1.0",
    "train_dataloader.dataset.pipeline.3.prob": "0.5",
    "default_hooks.logger.interval": "1",
}


def line_of(key, text):
    key = re.sub(r"\.(\d+)", r"[\1]", key)
    return f"{key} is the text {text!r}: write the number without quotes"


@pytest.mark.parametrize("key", EARLY)
def test_it_is_refused_before_anything_is_built(tiny, key):
    cfg = load_config(tiny, {key: EARLY[key]})
    with pytest.raises(UserError) as caught:
        check_numbers(cfg)
    assert caught.value.line == line_of(key, EARLY[key])


@pytest.mark.parametrize("key", ["train_cfg.max_iters", *EXPLAINED])
def test_training_is_refused_in_one_line(tiny, tmp_path, key):
    text = {**EARLY, **EXPLAINED}[key]
    with pytest.raises(UserError) as caught:
        segmentation.train(tiny, work_dir=tmp_path, cfg_options={key: text}, quiet=True)
    assert caught.value.line == line_of(key, text)
    assert caught.value.exit_code == 2
    assert not list(tmp_path.rglob("*.pth"))


def test_a_number_in_a_list(tiny, tmp_path):
    key = "train_dataloader.dataset.pipeline.2.crop_size"
    with pytest.raises(UserError) as caught:
        segmentation.train(tiny, work_dir=tmp_path, cfg_options={key: (32, "32")}, quiet=True)
    assert caught.value.line == line_of(f"{key}.1", "32")


def test_the_command_names_key_and_text(tiny, trained, tmp_path, capsys):
    config = tmp_path / "quoted.py"
    config.write_text(f"_base_ = {str(tiny)!r}\noptim_wrapper = dict(optimizer=dict(lr='0.01'))\n")
    folder = ["--work-dir", str(tmp_path / "run")]
    assert run(["train", str(config), *folder]) == 2
    line = line_of("optim_wrapper.optimizer.lr", "0.01")
    assert capsys.readouterr().err == f"error: {line}\n"
    # A test trains nothing, and has numbers of its own.
    checkpoint = str(trained[0] / "iter_6.pth")
    assert run(["test", str(config), checkpoint, *folder]) == 0
    capsys.readouterr()
    config.write_text(f"_base_ = {str(tiny)!r}\ntest_dataloader = dict(batch_size='1')\n")
    assert run(["test", str(config), checkpoint, *folder]) == 2
    assert line_of("test_dataloader.batch_size", "1") in capsys.readouterr().err


def test_to_yaml_a_number_without_a_dot_is_a_text(tmp_path):
    config = tmp_path / "small.yaml"
    config.write_text("optim_wrapper: {optimizer: {type: SGD, lr: 1e-3}}\n")
    with pytest.raises(UserError, match=r"lr is the text '1e-3': write .*, in YAML as 1\.0e-3$"):
        check_numbers(load_config(config))
    config.write_text("optim_wrapper: {optimizer: {type: SGD, lr: 1.0e-3}}\n")
    check_numbers(load_config(config))


@pytest.mark.parametrize(
    "options",
    [
        {"optim_wrapper.clip_grad": {"max_norm": "1.0", "norm_type": "inf"}},
        {"experiment.method": "50"},
        {"test_dataloader.batch_size": "1"},
    ],
)
def test_a_text_that_is_of_use_or_not_used_is_left_alone(tiny, tmp_path, options):
    one = {"train_cfg.max_iters": 1}
    result = segmentation.train(tiny, work_dir=tmp_path, cfg_options=options | one, quiet=True)
    assert result["iterations"] == 1


def test_an_unknown_name_that_is_a_number_in_quotes(tiny, tmp_path):
    options = {"model.backbone.depth": "18"}
    with pytest.raises(UserError, match="depth '18': write it without quotes; allowed: 18, 34"):
        segmentation.train(tiny, work_dir=tmp_path, cfg_options=options, quiet=True)
