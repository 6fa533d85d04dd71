"""Odd settings of a config: each is one line that names the key, and exit code 2 or 3."""

import importlib.util

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from torch import nn

from ibn_seg.cli import run
from ibn_seg.errors import TRACEBACK_VARIABLE
from tests.tiny import write_experiment

HEAD = dict(
    type="FCNHead", in_channels=64, in_index=0, channels=8, num_convs=1, concat_input=False,
    num_classes=19, norm_cfg=dict(type="BN"), align_corners=False,
    loss_decode=dict(type="CrossEntropyLoss"),
)  # fmt: skip
SECOND = [HEAD, {**HEAD, "in_channels": 32}]
SLIDE = dict(mode="slide", crop_size=(32, 32))
LOAD = [dict(type="LoadImageFromFile"), dict(type="LoadUrbanLabels")]
CROP = dict(type="RandomCrop", crop_size=(32, 32))
TRAIN = "train_dataloader.dataset.pipeline"
TYPO = dict(type="RandomCrop", crop_size=(8, 8), crop_sise=3)


def backends(name):
    return {"visualizer.vis_backends": [dict(type=name)]}


# What is set by dotted key, and what the line must say.
BUILT = {
    "argument of another part": (
        {"model.backbone.norm_eval": True, "model.decode_head.norm_eval": True},
        "model.decode_head: FCNHead has no argument 'norm_eval'",
    ),
    "argument of the second head": (
        {"model.auxiliary_head": [HEAD, {**HEAD, "chanels": 3}]},
        "model.auxiliary_head[1]: FCNHead has no argument 'chanels'",
    ),
    "argument of the second hook": (
        {"custom_hooks": [dict(type="IterTimerHook"), dict(type="ProfilerHook", onn="x")]},
        "custom_hooks[1]: ProfilerHook has no argument 'onn'",
    ),
    "average of another name": (
        {"custom_hooks": [dict(type="IterTimerHook"), dict(type="EMAHook", ema_type="Mean")]},
        "unknown model type (custom_hooks[1].ema_type) 'Mean': allowed: ExponentialMovingAverage, ",
    ),
    "priority of the second hook": (
        {"custom_hooks": [dict(type="IterTimerHook"), dict(type="EMAHook", priority="HIGHISH")]},
        "custom_hooks[1]: EMAHook has priority='HIGHISH': did you mean 'HIGH'? allowed: HIGHEST, ",
    ),
    "priority as a number": (
        {"custom_hooks": [dict(type="EMAHook", priority=200)]},
        "custom_hooks[0]: EMAHook has priority=200: allowed: HIGHEST, ",
    ),
    "priority of a default hook": (
        {"default_hooks.timer": dict(type="IterTimerHook", priority="TOP")},
        "default_hooks.timer: IterTimerHook has priority='TOP': allowed: HIGHEST, ",
    ),
    "argument in one of two pipelines": (
        {TRAIN: [*LOAD, CROP], "val_dataloader.dataset.pipeline": [*LOAD, TYPO]},
        "val_dataloader.dataset.pipeline[2]: RandomCrop has no argument 'crop_sise'",
    ),
    "argument of the second of two crops": (
        {TRAIN: [*LOAD, CROP, TYPO]},
        "train_dataloader.dataset.pipeline[3]: RandomCrop has no argument 'crop_sise'",
    ),
    "head without arguments": (
        {"model.auxiliary_head": dict(type="FCNHead")},
        "model.auxiliary_head: FCNHead needs 'in_channels' and 'channels'",
    ),
    "no type": ({"model.neck": dict(out_channels=3)}, "model.neck: a dict without a type"),
    "number for a head of a list": (
        {"model.auxiliary_head": [HEAD, 3]},
        "model.auxiliary_head[1] = 3: a dict is needed",
    ),
    "scope of no package": (
        {"default_scope": "mmsegg"},
        "unknown default_scope 'mmsegg': did you mean 'mmseg'?",
    ),
    "text for a dict": ({"model.neck": "FPN"}, "model.neck = 'FPN': a dict is needed"),
    "unknown norm": (
        {"model.decode_head.norm_cfg": dict(type="BNN")},
        "unknown layer (model.decode_head.norm_cfg.type) 'BNN': did you mean 'BN'",
    ),
    "unknown optimiser": (
        {"optim_wrapper.optimizer.type": "SDG"},
        "unknown optimizer (optim_wrapper.optimizer.type) 'SDG': did you mean 'SGD'",
    ),
    "negative learning rate": (
        {"optim_wrapper.optimizer.lr": -1.0},
        "optim_wrapper.optimizer: SGD cannot be built: Invalid learning rate",
    ),
    "mean of two": (
        {"model.data_preprocessor.mean": [1.0, 2.0]},
        "model.data_preprocessor: SegDataPreProcessor cannot be built",
    ),
    "scheduler": ({"param_scheduler.0.begin": 9}, "param_scheduler[0]: PolyLR cannot be built"),
    "batch size": ({"train_dataloader.batch_size": 0}, "train_dataloader cannot be built"),
    "workers": ({"val_dataloader.num_workers": -1}, "val_dataloader cannot be built"),
    "log level": ({"log_level": "LOUD"}, "log_level cannot be built"),
    "randomness": ({"randomness.determined": True}, "randomness has no argument 'determined'"),
    "seed": ({"randomness.seed": "x"}, "seed = 'x'"),
    "iterations": ({"train_cfg.max_iters": 0}, "train_cfg.max_iters = 0"),
    "interval": ({"train_cfg.val_interval": "x"}, "train_cfg.val_interval = 'x'"),
    "no data set": ({"train_dataloader.dataset": None}, "train_dataloader has no dataset"),
    "text for a loader": ({"val_dataloader.sampler": "x"}, "val_dataloader.sampler is 'x'"),
    "windows without stride": ({"model.test_cfg": SLIDE}, "model.test_cfg has mode='slide' and st"),
    "half a validation": ({"val_cfg": None}, "odd.py: val_cfg is missing"),
    "number for a folder": (
        {"train_dataloader.dataset.data_root": 3},
        "train_dataloader.dataset: GTA5Dataset has data_root=3: give a text or a path",
    ),
    "number for a list": (
        {TRAIN: 3},
        "train_dataloader.dataset: GTA5Dataset has pipeline=3: give a list",
    ),
    "number for a domain": (
        {"val_evaluator.source": 5},
        "val_evaluator: MultiDomainIoU has source=5: give a text or None",
    ),
    "folder of checkpoints": (
        {"default_hooks.checkpoint.out_dir": 3},
        "default_hooks.checkpoint.out_dir is 3",
    ),
    "hook": ({"default_hooks.timer": "x"}, "default_hooks.timer is 'x': it must be a dict"),
    "method": ({"experiment.method": 3}, "experiment.method is 3: it must be a text"),
    "two sources": (
        {"experiment.source": ["gta5", "synthia"]},
        "experiment.source is ['gta5', 'synthia']: it must be one text, such as 'gta5+synthia'",
    ),
    "stages": ({"model.backbone.out_indices": "last"}, "out_indices='last'"),
}
RUN = {
    "channels": ({"model.decode_head.in_channels": 32}, "model.decode_head: FCNHead gets 64 chan"),
    "channels of the second": (
        {"model.auxiliary_head": SECOND},
        "model.auxiliary_head[1]: FCNHead",
    ),
    "map": ({"model.decode_head.in_index": 2}, "model.decode_head: FCNHead has in_index=2, but th"),
    "too few classes": (
        {"model.decode_head.num_classes": 7},
        "model.decode_head.num_classes = 7, and train_dataloader.dataset has 19 classes",
    ),
    "class weights": (
        {"model.decode_head.loss_decode.class_weight": [1.0, 2.0]},
        "model.decode_head.loss_decode: CrossEntropyLoss fails",
    ),
    "one value": ({"train_dataloader.batch_size": 1}, "batch norm gets one value per channel"),
    "crop first": ({TRAIN: [CROP, *LOAD]}, "pipeline[0]: RandomCrop needs 'img', but no step"),
    "no packing": ({TRAIN: LOAD}, "model.data_preprocessor gets samples without 'inputs'"),
    "scale": ({TRAIN: [*LOAD, dict(type="Resize", scale=(0, 0))]}, f"{TRAIN}[2]: Resize fails"),
    "clipping": (
        {"optim_wrapper.clip_grad": dict(max_norm="x")},
        "optim_wrapper: OptimWrapper fails",
    ),
    "in a worker": (
        {TRAIN: [*LOAD, dict(type="Resize", scale=(0, 0))], "train_dataloader.num_workers": 1},
        f"{TRAIN}[2]: Resize fails",
    ),
}
EMA = dict(type="EMAHook", momentum=0.1)
RUN["text for a number"] = (
    {"val_evaluator.ignore_index": "x"},
    "val_evaluator: MultiDomainIoU has ignore_index='x': give a whole number",
)
RUN["number for a folder of predictions"] = (
    {"custom_hooks": [dict(type="SavePredictionsHook", out_dir=3)]},
    "custom_hooks[0]: SavePredictionsHook has out_dir=3: give a text",
)
RUN["argument that a hook passes on"] = (
    {"custom_hooks": [EMA, {**EMA, "intervall": 1}]},
    "custom_hooks[1]: EMAHook has no argument 'intervall'",
)
MISSING = {
    "tensorboard": "TensorboardVisBackend", "wandb": "WandbVisBackend", "aim": "AimVisBackend",
    "mlflow": "MLflowVisBackend", "clearml": "ClearMLVisBackend", "dvclive": "DVCLiveVisBackend",
}  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The config of the tiny experiment, two iterations long."""
    cfg = Config.fromfile(write_experiment(tmp_path_factory.mktemp("odd")))
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    return cfg


@pytest.fixture
def train(base, tmp_path, capsys):
    """Train with options; return the exit code and what was said last."""

    def trained(options):
        cfg = Config(base._cfg_dict.to_dict())
        cfg.merge_from_dict({key: value for key, value in options.items() if value is not None})
        for key in (key for key, value in options.items() if value is None):
            part, _, name = key.rpartition(".")
            (cfg.get(part) if part else cfg).pop(name)
        for key in ("model.test_cfg", "model.auxiliary_head", TRAIN):
            if key in options:  # set whole, not merged into what is there
                part, name = cfg, key.split(".")
                for step in name[:-1]:
                    part = part[step]
                part[name[-1]] = options[key]
        (tmp_path / "odd.py").write_text(cfg.pretty_text)
        code = run(["train", str(tmp_path / "odd.py"), "--work-dir", str(tmp_path / "run")])
        errors = capsys.readouterr().err
        return code, errors.strip().splitlines()[-1] if errors.strip() else "", errors

    return trained


# One case of each mechanism; the others take half a minute a dozen.
QUICK = {
    "argument of the second hook", "argument in one of two pipelines", "head without arguments",
    "unknown norm", "negative learning rate", "scheduler", "windows without stride", "stages",
    "number for a folder", "channels", "too few classes", "crop first", "in a worker",
}  # fmt: skip


def cases():
    """Yield every case, most of them marked slow."""
    for case in [*BUILT, *RUN]:
        yield pytest.param(case, marks=[] if case in QUICK else pytest.mark.slow)


@pytest.mark.parametrize("case", cases())
def test_a_wrong_setting_is_one_line_with_its_key(case, train):
    options, expected = {**BUILT, **RUN}[case]
    code, line, errors = train(options)
    assert (code, "Traceback" in errors) == (2, False), errors
    assert line.startswith("error: ")
    assert expected in line


@pytest.mark.parametrize("package", MISSING)
def test_a_missing_package_is_the_environments(package, train):
    if importlib.util.find_spec(package):
        pytest.skip("it is installed")
    code, line, _ = train(backends(MISSING[package]))
    assert code == 3
    assert line.startswith(f"error: vis_backends: {MISSING[package]} needs the package ")
    assert package in line.partition("pip install")[2]


def test_the_traceback_is_shown_on_demand(train, monkeypatch):
    monkeypatch.setenv(TRACEBACK_VARIABLE, "1")
    code, line, errors = train({"optim_wrapper.optimizer.lr": -1.0})
    assert code == 2
    assert line.startswith("error: optim_wrapper.optimizer")
    assert "Traceback" in errors
    assert "sgd.py" in errors


def test_what_our_own_code_raises_stays_a_bug(train, monkeypatch):
    from ibn_seg.engine import loop

    def broken(model):
        raise RuntimeError("Expected more than 1 value per channel")

    # As if it stood in the package.
    monkeypatch.setitem(broken.__globals__, "__name__", "ibn_seg.engine.loop")
    monkeypatch.setattr(loop, "average_buffers", broken)
    with pytest.raises(RuntimeError, match="more than 1 value"):
        train({})


@pytest.mark.parametrize("part", ["layer", "hook"])
def test_users_own_parts_are_named(part, train, monkeypatch):
    class Broken(nn.Module if part == "layer" else Hook):
        def forward(self, x):
            return torch.zeros(1) @ torch.zeros(2)

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            raise ZeroDivisionError("division by zero")

    if part == "layer":
        from mmseg.registry import MODELS

        monkeypatch.setitem(MODELS._module_dict, "Broken", Broken)
        code, line, _ = train({"model.neck": dict(type="Broken")})
        assert line.startswith("error: model.neck: Broken fails: ")
    else:
        monkeypatch.setitem(HOOKS._module_dict, "Broken", Broken)
        code, line, _ = train({"custom_hooks": [dict(type="IterTimerHook"), dict(type="Broken")]})
        assert line.startswith("error: custom_hooks[1]: Broken fails: ZeroDivisionError")
    assert code == 2
