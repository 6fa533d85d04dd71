"""Settings that only GPUs have: mixed precision, and what is faster there.

None of this was run on a GPU yet.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ibn_seg.errors import EnvError, UserError, unknown
from ibn_seg.type_names import is_named, short_name

if TYPE_CHECKING:
    import torch
    from mmengine.config import Config

PRECISIONS = ("bf16", "fp16")
# Mixed precision: False for none, a name of `PRECISIONS`, or True for what mmengine does by itself,
# fp16 unless the config says otherwise.
Precision = bool | str
_WRAPPERS = ("OptimWrapper", "AmpOptimWrapper", "Bfloat16OptimWrapper")
# Arguments that only AmpOptimWrapper takes.
_OF_AMP = ("loss_scale", "dtype", "use_fsdp")
# The first NVIDIA GPUs with bfloat16; older ones emulate it slowly (CUDA C++ Programming Guide,
# compute capabilities). PyTorch says that all of AMD's have it (`torch.cuda.is_bf16_supported`).
_WITH_BF16 = (8, 0)
_LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")


def set_training_precision(cfg: "Config", amp: Precision) -> None:
    """Let a config train in mixed precision. bf16 needs no loss scaling.

    Args:
        cfg: A config with an `optim_wrapper`, changed in place.
        amp: The precision; False changes nothing.

    Raises:
        UserError: The precision is unknown, or the config's optimiser wrapper cannot do it.
        EnvError: There is no GPU, or it has no bf16.
    """
    if not amp:
        return
    wrapper = cfg.optim_wrapper.get("type", "OptimWrapper")
    if not is_named(wrapper, *_WRAPPERS):
        raise UserError(f"--amp: optim_wrapper is {short_name(wrapper)}", "it needs OptimWrapper")
    _check_gpu(amp)
    if amp == "bf16":
        for name in _OF_AMP:
            cfg.optim_wrapper.pop(name, None)
        cfg.optim_wrapper.type = "Bfloat16OptimWrapper"
        return
    cfg.optim_wrapper.type = "AmpOptimWrapper"
    cfg.optim_wrapper.setdefault("loss_scale", "dynamic")
    if amp == "fp16":
        cfg.optim_wrapper.dtype = "float16"


def set_testing_precision(cfg: "Config", amp: Precision) -> None:
    """Let a config test in mixed precision; `testing_precision` says in which.

    Raises:
        UserError: The precision is unknown.
        EnvError: There is no GPU, or it has no bf16.
    """
    if amp:
        _check_gpu(amp)
        cfg.test_cfg["fp16"] = True


@contextlib.contextmanager
def testing_precision(amp: Precision) -> Iterator[None]:
    """Let autocast on GPUs mean bf16 in the block if asked for; mmengine's loops name no type."""
    if amp != "bf16":
        yield
        return
    import torch

    before = _autocast_type()
    _set_autocast_type(torch.bfloat16)
    try:
        yield
    finally:
        _set_autocast_type(before)


def _autocast_type() -> "torch.dtype":
    import torch

    if hasattr(torch, "get_autocast_dtype"):
        return torch.get_autocast_dtype("cuda")
    return torch.get_autocast_gpu_dtype()  # before PyTorch 2.4


def _set_autocast_type(kind: "torch.dtype") -> None:
    import torch

    if hasattr(torch, "set_autocast_dtype"):
        torch.set_autocast_dtype("cuda", kind)
    else:  # before PyTorch 2.4
        torch.set_autocast_gpu_dtype(kind)


def set_gpu_defaults(cfg: "Config") -> None:
    """Where there is a GPU, pin the memory of loaders and keep channels last.

    A config's own values stay. On CPUs nothing changes: channels last would change numbers there.
    """
    import torch

    if not torch.cuda.is_available():
        return
    for name in _LOADERS:
        if cfg.get(name):
            cfg[name].setdefault("pin_memory", True)
    cfg.setdefault("channels_last", True)


def _check_gpu(amp: Precision) -> None:
    """Raise unless the machine can do a precision."""
    import torch

    if amp is not True and amp not in PRECISIONS:
        raise unknown("--amp", amp, PRECISIONS)
    if not torch.cuda.is_available():
        raise EnvError("--amp needs a GPU, and PyTorch sees none", "leave --amp out")
    if amp != "bf16" or torch.version.hip:
        return
    if torch.cuda.get_device_capability() < _WITH_BF16:
        name = torch.cuda.get_device_name()
        raise EnvError(f"--amp bf16: {name} has no bfloat16", "use --amp fp16")
