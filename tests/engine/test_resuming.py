"""A run that goes on with other settings than it began with."""

import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS

from ibn_seg.errors import UserError
from tests.engine.toys import ToyNet, assert_same, run_toy

STEP = 4


def kind(name, **options):
    return {"type": name, "by_epoch": False, **options}


SCHEDULES = {
    "longer": [kind("PolyLR", begin=0, end=16)],
    "another power": [kind("PolyLR", begin=0, end=12, power=2.0)],
    "warm-up": [
        kind("LinearLR", start_factor=0.1, begin=0, end=6),
        kind("PolyLR", begin=6, end=12),
    ],
    "cosine": [kind("CosineAnnealingLR", T_max=12, eta_min=1e-4, begin=0, end=12)],
    "steps": [kind("MultiStepLR", milestones=[3, 8], gamma=0.5)],
    "one cycle": [kind("OneCycleLR", eta_max=0.02, total_steps=12)],
    "restarts": [kind("CosineRestartLR", periods=[5, 7], restart_weights=[1, 0.5], eta_min=0.0)],
    "momentum too": [kind("PolyLR", begin=0, end=12), kind("PolyMomentum", begin=0, end=12)],
    "none": [],
}


@pytest.fixture(scope="module")
def began(tmp_path_factory):
    """The folder of a run by PolyLR over 12 iterations."""
    folder = tmp_path_factory.mktemp("began")
    return folder, run_toy(folder)


def went_on(source, work_dir, **changes):
    work_dir.mkdir()
    shutil.copy(source / f"iter_{STEP}.pth", work_dir)
    return run_toy(work_dir, resume=work_dir / f"iter_{STEP}.pth", **changes)


def group_settings(run):
    return [{k: v for k, v in group.items() if k != "params"} for group in run["groups"]]


@pytest.mark.parametrize("name", SCHEDULES)
def test_another_schedule_is_followed_from_the_checkpoint_on(began, tmp_path, name, capfd):
    changes = {"param_scheduler": SCHEDULES[name]}
    resumed = went_on(began[0], tmp_path / "resumed", **changes)
    whole = run_toy(tmp_path / "whole", **changes)
    assert resumed["lr"][:STEP] == began[1]["lr"][:STEP]
    assert resumed["lr"][STEP:] == whole["lr"][STEP:]
    assert group_settings(resumed)[0]["momentum"] == group_settings(whole)[0]["momentum"]
    said = capfd.readouterr().err
    assert said.count("resumed with the optimiser and schedule of the config") == 1
    assert len(resumed["record"].resumed_with) == 1


@pytest.mark.parametrize("name", ["one cycle", "steps", "restarts", "warm-up"])
def test_the_same_schedule_goes_on_bit_for_bit(tmp_path, name, capfd):
    """Also those whose state holds functions, which no checkpoint of plain values can."""
    changes = {"param_scheduler": SCHEDULES[name]}
    whole = run_toy(tmp_path / "whole", **changes)
    resumed = went_on(tmp_path / "whole", tmp_path / "resumed", **changes)
    assert_same({**whole, "validations": []}, {**resumed, "validations": []})
    assert resumed["lr"] == whole["lr"]
    assert "resumed with the optimiser" not in capfd.readouterr().err
    assert resumed["record"].resumed_with == []


@pytest.mark.parametrize(
    ("optimiser", "schedule"),
    [
        ({"lr": 0.02}, SCHEDULES["longer"]),
        ({"lr": 0.02}, [kind("PolyLR", begin=0, end=12)]),
        ({"weight_decay": 0.1, "momentum": 0.5}, [kind("PolyLR", begin=0, end=12)]),
    ],
)
def test_the_optimisers_settings_are_the_configs(began, tmp_path, optimiser, schedule):
    changes = {f"optim_wrapper.optimizer.{key}": value for key, value in optimiser.items()}
    changes["param_scheduler"] = schedule
    resumed = went_on(began[0], tmp_path / "resumed", **changes)
    whole = run_toy(tmp_path / "whole", **changes)
    assert resumed["lr"][STEP:] == whole["lr"][STEP:]
    assert group_settings(resumed) == group_settings(whole)


@pytest.mark.parametrize(
    ("began_with", "options", "expected"),
    [
        ({}, {"optim_wrapper.optimizer.lr": 0.02}, ["lr 0.01 -> 0.02"]),
        ({}, {"optim_wrapper.optimizer.lr": 0.02, "param_scheduler": SCHEDULES["longer"]},
         ["lr 0.01 -> 0.02", "param_scheduler.0 total_iters 11 -> 15"]),
        ({}, {"optim_wrapper.optimizer.lr": 0.02, "optim_wrapper.optimizer.momentum": 0.5},
         ["lr 0.01 -> 0.02", "momentum 0.9 -> 0.5"]),
        ({}, {"optim_wrapper.optimizer.lr": 0.02, "param_scheduler": None},
         ["lr 0.01 -> 0.02", "1 schedulers -> 0"]),
        ({"param_scheduler": None}, {"optim_wrapper.optimizer.lr": 0.02}, ["lr 0.01 -> 0.02"]),
        # The optimiser's own rate, not that of the first parameters.
        ({"optim_wrapper.paramwise_cfg": dict(custom_keys={"norm": dict(lr_mult=0.1)})},
         {"optim_wrapper.optimizer.lr": 0.02}, ["lr 0.01 -> 0.02"]),
        ({}, {"param_scheduler": SCHEDULES["longer"]}, ["param_scheduler.0 total_iters 11 -> 15"]),
    ],
)  # fmt: skip
def test_what_began_otherwise_is_listed(tmp_path, capfd, began_with, options, expected):
    run_toy(tmp_path / "began", **began_with)
    resumed = went_on(tmp_path / "began", tmp_path / "resumed", **{**began_with, **options})
    assert resumed["record"].resumed_with == [{"iter": STEP, "changed": expected}]
    assert f"changed since the beginning: {', '.join(expected)}\n" in capfd.readouterr().err


def test_without_a_schedule_the_learning_rate_is_the_configs(tmp_path):
    run_toy(tmp_path / "began", param_scheduler=None)
    changes = {"param_scheduler": None, "optim_wrapper.optimizer.lr": 0.001}
    resumed = went_on(tmp_path / "began", tmp_path / "resumed", **changes)
    assert resumed["lr"] == [0.01] * STEP + [0.001] * 8


def test_rates_of_single_parameters_follow_too(tmp_path):
    """With them mmengine keeps a rate beside those of the groups."""
    groups = {"optim_wrapper.paramwise_cfg": dict(custom_keys={"line": dict(lr_mult=10.0)})}
    run_toy(tmp_path / "began", **groups)
    changes = {
        "param_scheduler": SCHEDULES["longer"],
        "optim_wrapper.paramwise_cfg": dict(custom_keys={"line": dict(lr_mult=2.0)}),
    }
    resumed = went_on(tmp_path / "began", tmp_path / "resumed", **changes)
    whole = run_toy(tmp_path / "whole", **changes)
    assert resumed["lr"][STEP:] == whole["lr"][STEP:]
    assert group_settings(resumed) == group_settings(whole)


HOOKS = [dict(type="RandomStateHook"), dict(type="RunRecordHook")]
ADAM = {"optim_wrapper.optimizer": dict(type="Adam", lr=0.01, _delete_=True)}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, ADAM, r"was trained with SGD, optim_wrapper\.optimizer is Adam"),
        (ADAM, {"optim_wrapper.optimizer": dict(type="AdamW", lr=0.01, _delete_=True)},
         r"was trained with Adam, optim_wrapper\.optimizer is AdamW"),
        ({}, {"optim_wrapper.paramwise_cfg": dict(norm_decay_mult=0.0),
              "optim_wrapper.optimizer.weight_decay": 0.1},
         r"was trained with 1 groups of 4 parameters, optim_wrapper makes 4 groups of 4"),
        ({}, {"train_cfg.max_iters": 3}, r"is at iteration 4, past the 3 of train_cfg"),
        ({}, {"param_scheduler": [kind("OneCycleLR", eta_max=0.02, total_steps=2)]},
         r"param_scheduler ends before iteration 4"),
        ({"custom_hooks": [*HOOKS, dict(type="SharedEMAHook", momentum=0.1)]}, {},
         r"holds averaged weights, and the config has no EMAHook"),
    ],
)  # fmt: skip
def test_what_cannot_be_gone_on_with_is_refused(tmp_path, before, after, expected):
    run_toy(tmp_path / "began", **before)
    files = {p: p.read_bytes() for p in (tmp_path / "began").glob("*.pth")}
    with pytest.raises(UserError, match=expected) as caught:
        went_on(tmp_path / "began", tmp_path / "resumed", **after)
    assert "\n" not in caught.value.line
    assert files == {p: p.read_bytes() for p in (tmp_path / "began").glob("*.pth")}
    assert not list((tmp_path / "resumed").glob("*.py")), "a refused run leaves no config"


def test_a_file_without_training_state_cannot_be_resumed(tmp_path):
    torch.save({"state_dict": ToyNet().state_dict()}, tmp_path / "weights.pth")
    with pytest.raises(UserError, match="holds no training state to resume from"):
        run_toy(tmp_path / "run", resume=tmp_path / "weights.pth")


def test_no_text_of_a_checkpoint_is_executed(began, tmp_path):
    """mmengine's own `resume` would run `meta['config']` as Python."""
    checkpoint = torch.load(began[0] / f"iter_{STEP}.pth", weights_only=True)
    trap = tmp_path / "executed"
    text = f"a = open({str(trap)!r}, 'w')"
    checkpoint["meta"] |= {"config": text, "cfg": text}
    torch.save(checkpoint, tmp_path / "evil.pth")
    run_toy(tmp_path / "run", resume=tmp_path / "evil.pth")
    assert not trap.exists()


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 30), st.integers(1, 30), st.integers(1, 40), st.floats(0.1, 3),
    st.floats(0.01, 1),
)  # fmt: skip
def test_bringing_schedulers_forward_is_running_them(steps, warm_up, more, power, factor):
    """The schedulers of a fresh optimiser, and those of one that has taken every step."""
    from ibn_seg.engine.resuming import _advance

    configs = [
        kind("LinearLR", start_factor=factor, begin=0, end=warm_up),
        kind("PolyLR", power=power, begin=warm_up, end=warm_up + more),
        kind("MultiStepLR", milestones=[warm_up, warm_up + more], gamma=factor),
    ]

    def built():
        optimiser = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.1))
        wrapper = build_optim_wrapper(ToyNet(), optimiser)
        return wrapper, [
            PARAM_SCHEDULERS.build({**config, "optimizer": wrapper}) for config in configs
        ]

    class Runner:
        train_loop = None

    ran, schedulers = built()
    for _ in range(steps):
        ran.step()
        for scheduler in schedulers:
            scheduler.step()
    brought, Runner.param_schedulers = built()
    _advance(Runner, steps, 0, "x.pth")
    assert isinstance(ran, OptimWrapper)
    assert brought.param_groups[0]["lr"] == ran.param_groups[0]["lr"]
