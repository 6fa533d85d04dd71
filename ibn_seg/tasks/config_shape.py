"""Whether the parts of a config are dicts, lists and texts where they have to be."""

import os
from collections.abc import Mapping
from typing import Any

from ibn_seg.errors import UserError

_DICTS = (
    "model", "train_dataloader", "val_dataloader", "test_dataloader", "train_cfg", "val_cfg",
    "test_cfg", "optim_wrapper", "default_hooks", "env_cfg", "randomness", "log_processor",
    "visualizer", "experiment", "custom_imports", "auto_scale_lr", "model_wrapper_cfg", "tta_model",
)  # fmt: skip
_LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
_DICTS_OR_LISTS = ("param_scheduler", "val_evaluator", "test_evaluator")
_LONG = 60
_TEXTS = ("work_dir", "load_from", "default_scope")


def check_shape(cfg: Mapping[str, Any]) -> None:
    """Check what mmengine's Runner takes for granted of a config; what is None is not looked at.

    Args:
        cfg: The config.

    Raises:
        UserError: A part is of another kind than it has to be, or a data loader has no data set.
    """
    for key in _DICTS:
        _check(key, cfg.get(key), Mapping, "a dict")
    for key in _TEXTS:
        _check(key, cfg.get(key), (str, os.PathLike), "a text")
    for key in _DICTS_OR_LISTS:
        _check(key, cfg.get(key), (Mapping, list, tuple), "a dict, or a list of dicts")
        if isinstance(cfg.get(key), (list, tuple)):
            for index, part in enumerate(cfg[key]):
                _check(f"{key}[{index}]", part, Mapping, "a dict")
    _check_windows(cfg.get("model"))
    for key in _LOADERS:
        if cfg.get(key):
            _check_loader(key, cfg[key])


def _check_loader(key: str, loader: Mapping[str, Any]) -> None:
    if loader.get("dataset") is None:
        raise UserError(f"{key} has no dataset", "add dataset=dict(type='...', ...)")
    _check(f"{key}.dataset", loader["dataset"], Mapping, "a dict")
    _check(f"{key}.sampler", loader.get("sampler"), Mapping, "a dict")


def _check(key: str, value: Any, kinds: Any, wanted: str) -> None:
    if value is not None and not isinstance(value, kinds):
        shown = repr(value) if len(repr(value)) <= _LONG else f"a {type(value).__name__}"
        raise UserError(f"{key} is {shown}", f"it must be {wanted}")


def _check_windows(model: Any) -> None:
    """Check the windows of a segmentor of mmseg, which are first used hours into a training."""
    test_cfg = model.get("test_cfg") if isinstance(model, Mapping) else None
    if not isinstance(test_cfg, Mapping) or test_cfg.get("mode") != "slide":
        return
    for key in ("crop_size", "stride"):
        value = test_cfg.get(key)
        numbers = value if isinstance(value, (list, tuple)) else [value]
        if not all(isinstance(number, int) and number > 0 for number in numbers):
            raise UserError(
                f"model.test_cfg has mode='slide' and {key}={value!r}",
                f"give {key} as two whole numbers, such as (512, 512)",
            )
