"""Curves go where a user asks, and a missing package is one line."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mmseg")

from mmengine.config import Config

from ibn_seg.cli import run
from ibn_seg.errors import EnvError, UserError
from ibn_seg.io import read_json
from ibn_seg.run.loggers import set_loggers
from tests.tiny import write_experiment

LOCAL = {"type": "LocalVisBackend"}


def _config(**content) -> Config:
    return Config({"work_dir": "work_dirs/first", **content})


def _without(monkeypatch, package: str) -> None:
    """Let a package be missing, and any other of a logger be there."""
    real = importlib.util.find_spec
    known = {"tensorboard", "wandb", "mlflow"}
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == package else "there" if name in known else real(name),
    )


def test_each_logger_joins_the_file_that_is_written_anyway(monkeypatch):
    _without(monkeypatch, "none")
    cfg = _config()
    set_loggers(cfg, ["tensorboard", "wandb", "mlflow"])
    assert cfg.visualizer.type == "Visualizer"
    assert cfg.visualizer.vis_backends == [
        LOCAL,
        {"type": "TensorboardVisBackend"},
        {"type": "WandbVisBackend", "init_kwargs": {"project": "ibn_seg", "name": "first"}},
        {"type": "MLflowVisBackend", "exp_name": "ibn_seg", "run_name": "first"},
    ]


def test_a_logger_that_the_config_names_keeps_its_settings(monkeypatch):
    _without(monkeypatch, "none")
    theirs = {"type": "mmengine.WandbVisBackend", "init_kwargs": {"project": "theirs"}}
    cfg = _config(visualizer={"type": "SegLocalVisualizer", "vis_backends": [theirs]})
    set_loggers(cfg, ["wandb"])
    assert cfg.visualizer == {"type": "SegLocalVisualizer", "vis_backends": [theirs]}


@pytest.mark.parametrize(
    ("given", "options"),
    [
        (["LocalVisBackend", "TensorboardVisBackend"], {"vis_backends": "as given"}),
        ([LOCAL, {"type": "TensorboardVisBackend"}], {"vis_backends.1.type": "as given"}),
    ],
)
def test_backends_of_the_command_line_reach_the_visualizer(monkeypatch, given, options):
    _without(monkeypatch, "none")
    visualizer = {"type": "SegLocalVisualizer", "vis_backends": [LOCAL]}
    cfg = _config(vis_backends=given, visualizer=visualizer)
    set_loggers(cfg, cfg_options=options)
    assert [one.type for one in cfg.visualizer.vis_backends] == [
        "LocalVisBackend", "TensorboardVisBackend",
    ]  # fmt: skip
    # A list in the file alone is already where the file wants it.
    cfg = _config(vis_backends=given, visualizer=visualizer)
    set_loggers(cfg)
    assert cfg.visualizer.vis_backends == [LOCAL]


def test_a_config_without_loggers_stays_as_it_is():
    cfg = _config()
    set_loggers(cfg)
    assert cfg.to_dict() == _config().to_dict()


@pytest.mark.parametrize("package", ["tensorboard", "wandb", "mlflow"])
def test_a_missing_package_is_said(monkeypatch, package):
    _without(monkeypatch, package)
    with pytest.raises(EnvError, match=f"needs the package {package}, which is not installed"):
        set_loggers(_config(), [package])


@pytest.mark.parametrize("backends", [3, [3], [{"save_dir": "x"}], {"0": "x"}])
def test_what_is_no_list_of_backends_is_said(backends):
    cfg = _config(vis_backends=backends)
    with pytest.raises(UserError, match="vis_backends is"):
        set_loggers(cfg, cfg_options={"vis_backends": backends})


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--log", "wandb"], 3, "WandbVisBackend needs the package wandb"),
        (["--cfg-options", "vis_backends=WandbVisBackend"], 3, "needs the package wandb"),
        (["--log", "tensorbord"], 2, "unknown logger 'tensorbord': did you mean 'tensorboard'?"),
    ],
)
def test_train_says_in_one_line_what_is_missing(monkeypatch, tmp_path, capsys, words, code, said):
    _without(monkeypatch, "wandb")
    config = write_experiment(tmp_path)
    assert run(["train", str(config), "--work-dir", str(tmp_path / "w"), *words]) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_tensorboard_has_the_losses_and_scores_of_the_result(tmp_path, capsys):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config, work_dir = write_experiment(tmp_path), tmp_path / "w"
    assert run(["train", str(config), "--work-dir", str(work_dir), "--log", "tensorboard"]) == 0
    (events,) = work_dir.rglob("events.out.tfevents.*")
    read = EventAccumulator(str(events.parent))
    read.Reload()
    curves = read_json(work_dir / "result.json")["curves"]
    losses = read.Scalars("loss")
    assert [one.step for one in losses] == curves["iter"]
    # mmengine logs the mean over the last ten iterations; there are six.
    means = np.cumsum(curves["loss"]) / np.arange(1, 1 + len(curves["loss"]))
    assert [one.value for one in losses] == pytest.approx(list(means), rel=1e-5)
    scores = read.Scalars("cityscapes/mIoU")
    assert [one.value for one in scores] == pytest.approx(
        [one["cityscapes/mIoU"] for one in curves["val"]], rel=1e-3
    )
    # The file of JSON lines is there too.
    assert [path.name for path in Path(work_dir).rglob("scalars.json")] == ["scalars.json"]
