"""Checks that the parts of a config have the right types and fit each other."""

import os
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ibn_seg.config_values import quoted_number, quoted_numbers
from ibn_seg.errors import UserError
from ibn_seg.type_names import is_named

if TYPE_CHECKING:
    from mmengine.config import Config

_DICTS = (
    "model", "train_dataloader", "val_dataloader", "test_dataloader", "train_cfg", "val_cfg",
    "test_cfg", "optim_wrapper", "default_hooks", "env_cfg", "randomness", "log_processor",
    "visualizer", "experiment", "custom_imports", "auto_scale_lr", "model_wrapper_cfg", "tta_model",
)  # fmt: skip
_LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
_DICTS_OR_LISTS = ("param_scheduler", "val_evaluator", "test_evaluator")
_LOOP_PARTS = ("dataloader", "cfg", "evaluator")
# The modes of mmseg's segmentors that use sliding windows.
_SLIDING = ("slide", "slide_flip")
# Heads of mmseg that name the losses of their `loss_decode` themselves.
_OWN_LOSS_NAMES = ("DDRHead", "PIDHead")
_LONG = 60
_TEXT = (str, os.PathLike)
_PLACEHOLDER = re.compile(r"\{.*?\}")
_TEXTS = ("work_dir", "load_from", "default_scope")
# Settings where a training needs numbers, but would fail late or without naming the key. Elsewhere
# a text may be right, and a failure at a number in quotes is explained when it happens.
_NUMBERS = (
    "train_cfg", "optim_wrapper.optimizer", "param_scheduler", "train_dataloader.batch_size",
    "train_dataloader.num_workers", "val_dataloader.batch_size", "val_dataloader.num_workers",
    "default_hooks.checkpoint.interval",
)  # fmt: skip
# Tables use these names of a run.
_NAMES = ("method", "source", "pretraining")


def check_shape(cfg: Mapping[str, Any]) -> None:
    """Check what mmengine's Runner takes for granted of a config; skip parts that are None.

    Args:
        cfg: The config.

    Raises:
        UserError: A part has the wrong type, or a data loader has no data set.
    """
    for key in _DICTS:
        _check(key, cfg.get(key), Mapping, "a dict")
    for key in _TEXTS:
        _check(key, cfg.get(key), _TEXT, "a text")
    for key in _DICTS_OR_LISTS:
        _check(key, cfg.get(key), (Mapping, list, tuple), "a dict, or a list of dicts")
        if isinstance(cfg.get(key), (list, tuple)):
            for index, part in enumerate(cfg[key]):
                _check(f"{key}[{index}]", part, Mapping, "a dict")
    for key, part in (cfg.get("default_hooks") or {}).items():
        _check(f"default_hooks.{key}", part, Mapping, "a dict")
    for stage in ("val", "test"):
        loop = cfg.get(f"{stage}_cfg") or {}
        _check(f"{stage}_cfg.fp16", loop.get("fp16"), bool, "True or False")
    _check_names(cfg.get("experiment") or {})
    _check_model(cfg.get("model"))
    for key in _LOADERS:
        if cfg.get(key):
            _check_loader(key, cfg[key])


def check_model(cfg: Mapping[str, Any]) -> None:
    """Check the parts of a config that a network alone needs, as `check_shape` does.

    Raises:
        UserError: The model, its `test_cfg` or a loss is no dict, or its windows are wrong.
    """
    _check("model", cfg.get("model"), Mapping, "a dict")
    _check_model(cfg.get("model"))


def check_loop_parts(cfg: "Config") -> None:
    """Raise unless validation and test are each configured as a whole or not at all.

    Raises:
        UserError: A part is missing. Without it mmengine builds no runner.
    """
    for stage in ("val", "test"):
        missing = [part for part in _LOOP_PARTS if cfg.get(f"{stage}_{part}") is None]
        if missing and len(missing) < len(_LOOP_PARTS):
            others = " and ".join(f"{stage}_{p}" for p in _LOOP_PARTS if p not in missing)
            raise UserError(
                f"{cfg.filename or 'config'}: {stage}_{missing[0]} is missing",
                f"{others} need it; give it, or set all three to None",
            )


def check_optimizer(cfg: "Config") -> None:
    """Raise unless a training's optimiser wrapper has an optimiser.

    Raises:
        UserError: It has no optimiser, and no constructor that would make one.
    """
    wrapper = cfg.optim_wrapper
    if isinstance(wrapper, Mapping) and not (wrapper.get("optimizer") or "constructor" in wrapper):
        raise UserError(
            f"{cfg.filename or 'config'}: optim_wrapper.optimizer is missing",
            "give it, such as dict(type='SGD', lr=0.01)",
        )


def check_numbers(cfg: Mapping[str, Any]) -> None:
    """Raise if a training needs a number and the config has it in quotes.

    Args:
        cfg: A config that `check_shape` has checked.

    Raises:
        UserError: A number is in quotes.
    """
    for key in _NUMBERS:
        first, *rest = key.split(".")
        part = cfg.get(first)
        for name in rest:
            part = part.get(name) if isinstance(part, Mapping) else None
        for where, text in quoted_numbers(part, key):
            raise quoted_number(where, text)


def check_loss_names(model: Mapping[str, Any]) -> None:
    """Raise unless every loss of a segmentor counts in training.

    Args:
        model: The config of a model.

    Raises:
        UserError: A loss's name is not a text, or mmengine does not add up losses of that name.
    """
    for key, loss, head in _losses(model):
        name = loss.get("loss_name") if isinstance(loss, Mapping) else None
        if is_named(head.get("type"), *_OWN_LOSS_NAMES):
            continue
        _check(f"{key}.loss_name", name, str, "a text")
        # As in `BaseModel.parse_losses` of mmengine.
        if name is not None and "loss" not in name:
            raise UserError(
                f"{key}.loss_name is {name!r}, but training uses only losses with 'loss' in their "
                "name",
                f"write 'loss_{name}'",
            )


def check_checkpoint_hook(hook: Mapping[str, Any]) -> None:
    """Raise unless checkpoints are kept and `--resume` will find them.

    Args:
        hook: `default_hooks.checkpoint` of the config.

    Raises:
        UserError: The number of checkpoints to keep is not a number, or their folder is not a path.
            Or their names lack a number or lead into another folder.
    """
    key = "default_hooks.checkpoint"
    kept = hook.get("max_keep_ckpts", -1)
    if not (_is_whole(kept) and (kept == -1 or kept >= 1)):
        raise UserError(
            f"{key}.max_keep_ckpts is {kept!r}", "give a whole number of at least 1, or -1 for all"
        )
    _check(f"{key}.out_dir", hook.get("out_dir"), _TEXT, "a path")
    template = hook.get("filename_tmpl")
    _check(f"{key}.filename_tmpl", template, str, "a text")
    if template is None:
        return
    if os.path.basename(template) != template or len(_PLACEHOLDER.findall(template)) != 1:
        raise UserError(
            f"{key}.filename_tmpl is {template!r}",
            "name a file with one {} for the number, such as 'iter_{}.pth'; its folder is out_dir",
        )


def check_whole_splits(cfg: "Config") -> None:
    """Raise if only a share of a set would be evaluated.

    Raises:
        UserError: A data set of validation or test has a `share`.
    """
    for part in ("val_dataloader", "test_dataloader"):
        _check_whole((cfg.get(part) or {}).get("dataset"), f"{part}.dataset")


def _check_loader(key: str, loader: Mapping[str, Any]) -> None:
    if loader.get("dataset") is None:
        raise UserError(f"{key} has no dataset", "add dataset=dict(type='...', ...)")
    _check(f"{key}.dataset", loader["dataset"], Mapping, "a dict")
    _check(f"{key}.sampler", loader.get("sampler"), Mapping, "a dict")


def _check(key: str, value: Any, kinds: Any, wanted: str) -> None:
    if value is not None and not isinstance(value, kinds):
        shown = repr(value) if len(repr(value)) <= _LONG else f"a {type(value).__name__}"
        raise UserError(f"{key} is {shown}", f"it must be {wanted}")


def _check_names(experiment: Mapping[str, Any]) -> None:
    for key in _NAMES:
        several = key == "source" and isinstance(experiment.get(key), (list, tuple))
        wanted = "one text, such as 'gta5+synthia'" if several else "a text"
        _check(f"experiment.{key}", experiment.get(key), str, wanted)


def _check_model(model: Any) -> None:
    """Check a segmentor's losses and test settings, which are first used hours into a training."""
    if not isinstance(model, Mapping):
        return
    test_cfg = model.get("test_cfg")
    _check("model.test_cfg", test_cfg, Mapping, "a dict")
    if test_cfg and test_cfg.get("mode") in _SLIDING:
        _check_windows(test_cfg)
    for key, loss, _ in _losses(model):
        _check(key, loss, Mapping, "a dict")


def _losses(part: Any, key: str = "model") -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    """Yield (dotted key, loss, its head) for every `loss_decode` of a head in a model."""
    if isinstance(part, Mapping):
        given = part.get("loss_decode")
        if isinstance(given, (list, tuple)):
            yield from ((f"{key}.loss_decode[{i}]", loss, part) for i, loss in enumerate(given))
        elif given is not None:
            yield f"{key}.loss_decode", given, part
        for name, value in part.items():
            yield from _losses(value, f"{key}.{name}")
    elif isinstance(part, (list, tuple)):
        for index, value in enumerate(part):
            yield from _losses(value, f"{key}[{index}]")


def _check_windows(test_cfg: Mapping[str, Any]) -> None:
    for key in ("crop_size", "stride"):
        value = test_cfg.get(key)
        numbers = value if isinstance(value, (list, tuple)) else ()
        if len(numbers) != 2 or not all(_is_whole(n) and n > 0 for n in numbers):
            raise UserError(
                f"model.test_cfg has mode={test_cfg['mode']!r} and {key}={value!r}",
                f"give {key} as two whole numbers, such as (512, 512)",
            )
    crop_size, stride = tuple(test_cfg["crop_size"]), tuple(test_cfg["stride"])
    if any(step > side for step, side in zip(stride, crop_size, strict=True)):
        raise UserError(
            f"model.test_cfg.stride={stride} is larger than crop_size={crop_size}",
            "windows would leave pixels out; make it crop_size or less",
        )


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_whole(dataset: Any, key: str) -> None:
    """Raise `UserError` if only a share of a set would be evaluated.

    Args:
        dataset: The config of a data set, or a list of them.
        key: Its dotted key.
    """
    if isinstance(dataset, (list, tuple)):
        for index, part in enumerate(dataset):
            _check_whole(part, f"{key}.{index}")
    elif isinstance(dataset, Mapping):
        if dataset.get("share", 1) != 1:
            raise UserError(
                f"{key}.share = {dataset['share']!r}",
                "a share is for train_dataloader; evaluate on the whole split",
            )
        _check_whole(dataset.get("datasets"), f"{key}.datasets")
        _check_whole(dataset.get("dataset"), f"{key}.dataset")
