"""Every method trains from a config that names it, from the weights of a batch-norm network."""

import contextlib
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from ibn_seg.datasets.known_classes import CAMVID, CITYSCAPES
from ibn_seg.engine import StrictRunner
from ibn_seg.engine.class_checks import check_heads
from ibn_seg.errors import UserError
from ibn_seg.methods.all_methods import METHODS
from ibn_seg.plugins.mmengine import MODELS
from ibn_seg.run import setup
from ibn_seg.run.config_loading import load_named
from tests.tiny import write_experiment

# ISW's own numbers are for thousands of images.
FEW = {"type": "SensitiveCovarianceHook", "begin": 1, "images": 2, "trials": 1}
LOSSES = {"IW": "whitening", "IRW": "whitening", "ISW": "whitening", "SAN-SAW": "semantic1"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Write no text of configs and collect no facts of the machine: most of a tiny run's time."""
    monkeypatch.setattr(Config, "pretty_text", property(lambda self: ""))
    monkeypatch.setattr("mmengine.runner.runner.collect_env", dict)
    monkeypatch.setattr("ibn_seg.engine.runner.gc.collect", lambda: 0)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """The tiny experiment with wider stages, and weights of its batch-norm network."""
    folder = tmp_path_factory.mktemp("methods")
    config = write_experiment(folder)
    text = config.read_text().replace("ibn='a', base_channels=8", "base_channels=16")
    config.write_text(text.replace("in_channels=64", "in_channels=128"))
    setup.register()
    torch.manual_seed(0)
    network = MODELS.build({"type": "IBNResNet", "depth": 18, "base_channels": 16})
    for _ in range(2):  # running statistics that tell
        network.train()(torch.randn(2, 3, 32, 32))
    torch.save(network.state_dict(), folder / "bn.pth")
    return config


def runner(experiment, method, folder, iterations=2, **options):
    given = {
        "experiment.method": method,
        "train_cfg.max_iters": iterations,
        "model.backbone.init_cfg": {
            "type": "Pretrained", "checkpoint": str(experiment.with_name("bn.pth"))
        },
        "val_dataloader": None, "val_cfg": None, "val_evaluator": None,
        "work_dir": str(folder),
        "randomness": {"seed": 0},
    }  # fmt: skip
    cfg = load_named(experiment, {**given, **options})
    if method.startswith("ISW"):
        hooks = [hook for hook in cfg.custom_hooks if hook.type != FEW["type"]]
        cfg.custom_hooks = [*hooks, FEW]
    cfg.experiment_name = f"{folder.name} {iterations} {len(options)}"
    cfg.visualizer = None
    cfg.quiet = True
    return StrictRunner.from_cfg(cfg)


def trained(built):
    """Train; return the losses and the weights."""
    built.train()
    built.close()
    losses = {k: v.current() for k, v in built.message_hub.log_scalars.items() if "loss" in k}
    return losses, {k: v.clone() for k, v in built.model.state_dict().items()}


@pytest.mark.parametrize("method", [*METHODS, "IBN-b + PASTA", "ISW + strong colour"])
def test_a_method_trains_two_iterations_from_batch_norm_weights(experiment, tmp_path, method):
    built = runner(experiment, method, tmp_path)
    built.model.init_weights()
    start = torch.load(experiment.with_name("bn.pth"))
    own = built.model.backbone.state_dict()
    for key in ("conv1.weight", "layer3.1.bn2.running_var", "layer4.1.conv2.weight"):
        assert torch.equal(own[key], start[key])
    if "bn1.weight" in own:
        assert torch.equal(own["bn1.weight"].flatten(), start["bn1.weight"])
    losses, weights = trained(built)
    assert all(loss == loss and abs(loss) < 1e6 for loss in losses.values())
    assert not torch.equal(weights["backbone.conv1.weight"], start["conv1.weight"])
    wanted = LOSSES.get(method.partition(" + ")[0])
    assert any("backbone" in name for name in losses) == (
        wanted is not None or method.startswith("SAN")
    )
    if wanted:
        assert losses[f"train/backbone.loss_{wanted}"] > 0


@HOOKS.register_module()
class DieHook(Hook):
    """Ends a run as a kill would: between two checkpoints."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 2:
            raise KeyboardInterrupt


KEPT = {
    "default_hooks.checkpoint": {"type": "AtomicCheckpointHook", "by_epoch": False, "interval": 2},
}


def resumable(experiment, folder, *more, **options):
    hooks = {"custom_hooks": [{"type": "RandomStateHook"}, *({"type": m} for m in more)]}
    return runner(experiment, "ISW + MixStyle", folder, 4, **KEPT, **hooks, **options)


def test_a_killed_training_ends_with_the_same_weights_bit_for_bit(experiment, tmp_path):
    """The mask is built before iteration 1, the checkpoint is of iteration 2."""
    _, whole = trained(resumable(experiment, tmp_path / "whole"))
    killed = resumable(experiment, tmp_path / "killed", "DieHook")
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    killed.close()
    again = resumable(experiment, tmp_path / "killed", resume=True)
    losses, weights = trained(again)
    assert losses["train/backbone.loss_whitening"] > 0
    assert weights["backbone.bn1.mask"].any()
    assert weights.keys() == whole.keys()
    assert all(torch.equal(weights[key], whole[key]) for key in whole)


@pytest.mark.parametrize(
    ("method", "hook", "message"),
    [
        ("IN", {"type": "MethodHook", "whitening": 0.6}, "no layer with that loss"),
        ("IN", {"type": "SensitiveCovarianceHook"}, "the network has no layer of ISW"),
        ("IBN-b", {"type": "SensitiveCovarianceHook", "begin": 9}, "before iteration 9, .* has 2"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(experiment, tmp_path, method, hook, message):
    built = runner(experiment, method, tmp_path, custom_hooks=[hook])
    with pytest.raises(UserError, match=message):
        built.train()
    built.close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"randomise": [{"type": "Mixstyle", "places": ["end(1)"]}]}, "mean 'MixStyle'"),
        ({"randomise": [{"type": "MixStyle", "places": "end(1)"}]}, "give a list"),
        ({"randomise": [{"type": "MixStyle", "places": ["end(9)"]}]}, r"no place 'end\(9\)'"),
        ({"randomise": [{"type": "DSU", "places": ["pool"], "q": 1}]}, "argument of DSU"),
        ({"randomise": {"type": "DSU"}}, "give a list"),
        ({"self_norm": {"is_to": True}}, "mean 'is_two'"),
        ({"semantic": {"selected_classes": [30]}}, r"selected_classes=\[30\] of 19 classes"),
        ({"semantic": {"num_classes": 11}}, "no selected_classes for labels of 11 classes"),
    ],
)
def test_wrong_settings_of_a_backbone_are_one_line(settings, message):
    with pytest.raises(UserError, match=message):
        MODELS.build({"type": "IBNResNet", "depth": 18, "base_channels": 8, **settings})


OF_CAMVID = {"num_classes": 11, "selected_classes": [3, 0, 1, 4, 5]}
OTHER = tuple(f"class {index}" for index in range(19))


@pytest.mark.parametrize(
    ("semantic", "classes", "message"),
    [
        ({}, CITYSCAPES.classes, None),
        ({}, CAMVID.classes, "is for 19 classes, and .* has 11: 0 sky, 1 building, 2 pole, 3 road"),
        ({}, OTHER, "is for 19 classes, and .* has 19: 0 class 0"),
        ({"selected_classes": [3]}, OTHER, None),
        (OF_CAMVID, CAMVID.classes, None),
        (OF_CAMVID, CITYSCAPES.classes, "is for 11 classes, and .* has 19: 0 road"),
    ],
)
def test_regions_of_other_classes_are_refused_before_training(semantic, classes, message):
    backbone = {"type": "IBNResNet", "depth": 18, "base_channels": 8, "semantic": semantic}
    with pytest.raises(UserError, match=message) if message else contextlib.nullcontext():
        check_heads(MODELS.build(backbone), SimpleNamespace(metainfo={"classes": classes}))


def start_of(method):
    """The weights of a backbone and a head that a seed gives."""
    config = {"model": {"backbone": {"type": "IBNResNet", "depth": 18, "base_channels": 16}}}
    setup.register()
    METHODS[method].apply(config)
    torch.manual_seed(5)
    head = {"type": "mmseg.FCNHead", "in_channels": 128, "channels": 8, "num_classes": 19}
    parts = [MODELS.build(part) for part in (config["model"]["backbone"], head)]
    for part in parts:
        part.init_weights()
    return parts[0].state_dict() | {f"head.{k}": v for k, v in parts[1].state_dict().items()}


@pytest.mark.parametrize("method", ["IBN-b", "ISW", "SW-5", "IterNorm", "SAN-SAW", "SelfNorm"])
def test_with_one_seed_methods_start_from_the_weights_of_batch_norm(method):
    base, mine = start_of("BN"), start_of(method)
    learnt = [key for key in base if key.endswith("weight") and key in mine]
    assert sum(key.startswith("head.") for key in learnt) > 1
    for key in learnt:
        assert torch.equal(base[key].flatten(), mine[key].flatten()), key
