"""Settings of single parameters that would have no effect."""

import inspect
import re

import pytest
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS

from ibn_seg.cli import run as run_cli
from ibn_seg.engine.paramwise import check_paramwise
from ibn_seg.errors import UserError
from tests.engine.toys import run_toy
from tests.tiny import write_experiment

SGD = dict(type="SGD", lr=0.01, weight_decay=0.1)
PARAMWISE = "optim_wrapper.paramwise_cfg"


def wrapper(paramwise, **more):
    return dict(optimizer=SGD, paramwise_cfg=paramwise, **more)


@pytest.mark.parametrize(
    ("paramwise", "expected"),
    [
        (dict(bias_lr_mul=2.0), f"key of {PARAMWISE} 'bias_lr_mul': did you mean 'bias_lr_mult'?"),
        (dict(norm_decay=0.0), f"key of {PARAMWISE} 'norm_decay': did you mean 'norm_decay_mult'?"),
        (dict(norm_decay_mult=0.0, custom_key={}), "'custom_key': did you mean 'custom_keys'?"),
        (dict(num_layers=12), f"key of {PARAMWISE} 'num_layers'"),
    ],
)  # fmt: skip
def test_a_key_without_effect_is_refused(paramwise, expected):
    with pytest.raises(UserError) as caught:
        check_paramwise(wrapper(paramwise))
    assert expected in caught.value.line
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "paramwise",
    [
        None,
        {},
        dict(bias_lr_mult=2.0, bias_decay_mult=0.0, norm_decay_mult=0.0, dwconv_decay_mult=0.0,
             flat_decay_mult=0.0, dcn_offset_lr_mult=0.1, bypass_duplicate=True),
        dict(custom_keys={"head": dict(lr_mult=10.0, decay_mult=0.0, momentum=0.5, lr=0.1)}),
    ],
)  # fmt: skip
def test_what_mmengine_reads_is_taken(paramwise):
    check_paramwise(wrapper(paramwise))
    check_paramwise(wrapper(paramwise, constructor="mmengine.DefaultOptimWrapperConstructor"))


def test_nothing_is_refused_that_mmengines_constructor_reads():
    source = inspect.getsource(DefaultOptimWrapperConstructor)
    read = set(re.findall(r"paramwise_cfg(?:\.get\(|\[)\s*'(\w+)'", source))
    assert {"custom_keys", "bias_lr_mult"} <= read
    check_paramwise(wrapper(dict.fromkeys(read)))


def test_of_another_constructor_nothing_is_known(tmp_path, capfd):
    @OPTIM_WRAPPER_CONSTRUCTORS.register_module(force=True)
    class ByDepth(DefaultOptimWrapperConstructor):
        """Takes what the default does not."""

    paramwise = dict(num_layers=12, custom_keys={"nowhere": dict(lr_mult=2.0)})
    check_paramwise(wrapper(paramwise, constructor="ByDepth"))
    run_toy(tmp_path, **{PARAMWISE: paramwise, "optim_wrapper.constructor": "ByDepth"})
    assert "no parameter's name" not in capfd.readouterr().err


def test_the_command_refuses_it_before_anything_is_built(tmp_path, capfd):
    args = ["train", str(write_experiment(tmp_path)), "--work-dir", str(tmp_path / "run")]
    assert run_cli([*args, "--cfg-options", f"{PARAMWISE}.bias_lr_mul=2."]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"error: unknown key of {PARAMWISE} 'bias_lr_mul': did you mean 'bias")
    assert not list((tmp_path / "run").glob("*.py"))


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["lines"], "'lines' is in no parameter's name and without effect; did you mean 'line'?"),
        (["line", "nrom.weight", "9"], "'nrom.weight', '9' are in no parameter's name"),
        (["line", "norm.w", "bias"], None),
    ],
)
def test_a_pattern_that_no_parameter_has_is_said_once(tmp_path, capfd, patterns, expected):
    run_toy(tmp_path, **{PARAMWISE: dict(custom_keys={p: dict(lr_mult=2.0) for p in patterns})})
    said = [line for line in capfd.readouterr().err.splitlines() if "no parameter's name" in line]
    assert len(said) == (expected is not None)
    assert expected is None or f"{PARAMWISE}.custom_keys: {expected}" in said[0]


def test_settings_that_nobody_reads_are_said_once(tmp_path, capfd):
    """Such as those of mmseg's configs of DNLNet, which must train as ever."""
    custom = {"line": dict(wd_mult=0.0, lr_mult=2.0), "norm": dict(wd_mult=0.0, momentum=0.5)}
    run_toy(tmp_path, **{PARAMWISE: dict(custom_keys=custom)})
    said = [line for line in capfd.readouterr().err.splitlines() if "without effect" in line]
    assert len(said) == 1
    assert f"{PARAMWISE}.custom_keys: 'wd_mult' is without effect; known are lr_mult and" in said[0]
