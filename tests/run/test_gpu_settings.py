"""What GPUs alone get: looked at in configs, on a pretended GPU; no GPU ran it."""

import click
import pytest
import torch
from click.testing import CliRunner
from mmengine.model import BaseDataPreprocessor

from ibn_seg.command_options import ConfigCommand, amp_option
from ibn_seg.config import load_config
from ibn_seg.engine import runner as runners
from ibn_seg.errors import EnvError, UserError
from ibn_seg.run import gpu_settings, setup
from ibn_seg.run.runners import build_runner

NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


@pytest.fixture
def gpu(monkeypatch):
    """Pretend that there is a GPU; return a function that sets its compute capability."""

    # Libraries look for a GPU when they are loaded, and mmengine's logger for its number.
    setup.register()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")

    def of(*capability):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla V100")
    of(9, 0)
    return of


def given(words):
    @click.command(cls=ConfigCommand)
    @click.argument("config")
    @amp_option
    def command(config, amp):
        print(config, amp)

    return CliRunner().invoke(command, words.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("c.py", "c.py False"), ("c.py --amp", "c.py True"), ("--amp c.py", "c.py True"),
        ("--amp bf16 c.py", "c.py bf16"), ("c.py --amp fp16", "c.py fp16"),
        ("--amp=bf16 c.py", "c.py bf16"),
    ],
)  # fmt: skip
def test_amp_alone_and_with_a_precision(words, said):
    assert given(words).output.strip() == said


@pytest.mark.parametrize("words", ["c.py --amp fp8", "--amp float16 c.py"])
def test_a_wrong_precision_is_no_config(words):
    done = given(words)
    assert done.exit_code == 2
    assert "'bf16', 'fp16'" in done.output


def test_training_precisions(tiny, gpu):
    wrappers = {}
    for amp in (False, True, "fp16", "bf16"):
        cfg = load_config(tiny)
        gpu_settings.set_training_precision(cfg, amp)
        wrapper = dict(cfg.optim_wrapper)
        wrapper.pop("optimizer")
        wrappers[amp] = wrapper
    assert wrappers == {
        False: {"type": "OptimWrapper"},
        True: {"type": "AmpOptimWrapper", "loss_scale": "dynamic"},
        "fp16": {"type": "AmpOptimWrapper", "loss_scale": "dynamic", "dtype": "float16"},
        "bf16": {"type": "Bfloat16OptimWrapper"},
    }
    # A config that trains in mixed precision already takes another one.
    gpu_settings.set_training_precision(cfg, "fp16")
    assert cfg.optim_wrapper.dtype == "float16"
    gpu_settings.set_training_precision(cfg, "bf16")
    assert set(cfg.optim_wrapper) == {"type", "optimizer"}


def test_an_unknown_precision(tiny, gpu):
    with pytest.raises(UserError, match="unknown --amp 'bf61': did you mean 'bf16'"):
        gpu_settings.set_training_precision(load_config(tiny), "bf61")


def test_bf16_needs_a_gpu_that_has_it(tiny, gpu):
    gpu(7, 0)
    with pytest.raises(EnvError, match="--amp bf16: Tesla V100 has no bfloat16: use --amp fp16"):
        setup.speed_up_testing(load_config(tiny), "bf16")
    setup.speed_up_testing(load_config(tiny), "fp16")


@NO_GPU
@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_amp_needs_a_gpu(tiny, amp):
    with pytest.raises(EnvError, match="--amp needs a GPU, and PyTorch sees none"):
        gpu_settings.set_training_precision(load_config(tiny), amp)


def test_tests_in_bf16():
    def kind():
        with torch.autocast("cuda", enabled=False):
            return torch.get_autocast_gpu_dtype()

    with gpu_settings.testing_precision("bf16"):
        assert kind() == torch.bfloat16
    for amp in (False, True, "fp16"):
        with gpu_settings.testing_precision(amp):
            assert kind() == torch.float16


def test_gpus_get_pinned_memory_and_channels_last(tiny, gpu):
    cfg = load_config(tiny)
    setup.set_training(cfg, seed=0, amp=False)
    assert cfg.channels_last is True
    assert cfg.train_dataloader.pin_memory is cfg.val_dataloader.pin_memory is True
    cfg = load_config(tiny, {"channels_last": False, "test_dataloader.pin_memory": False})
    setup.for_testing(cfg)
    assert cfg.channels_last is cfg.test_dataloader.pin_memory is False


@NO_GPU
def test_cpus_get_neither(tiny):
    cfg = load_config(tiny)
    setup.set_training(cfg, seed=0, amp=False)
    assert "channels_last" not in cfg
    assert "pin_memory" not in cfg.train_dataloader


def test_copies_to_a_gpu_do_not_wait(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(runners, "get_device", lambda: "cuda")
    setup.register()
    cfg = setup.prepare(tiny, work_dir=tmp_path, cfg_options=None, launcher="none", quiet=True)
    setup.set_training(cfg, seed=0, amp=False)
    runner = build_runner(cfg)
    runner.close()
    parts = [part for part in runner.model.modules() if isinstance(part, BaseDataPreprocessor)]
    assert [part._non_blocking for part in parts] == [True]
