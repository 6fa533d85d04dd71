"""Reads and sets a config's training length and learning rate."""

import math
import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ibn_seg.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config

_STRETCHED = ("begin", "end", "T_max", "milestones")


def iterations_of(config: "Config") -> int:
    """Return the training iterations of a config.

    Raises:
        UserError: It does not train by iterations, or their number is invalid.
    """
    iterations = (config.get("train_cfg") or {}).get("max_iters")
    if iterations is None:
        raise UserError(
            f"{config.filename or 'config'}: train_cfg.max_iters is missing",
            "only training by iterations can be compared",
        )
    if not _is_number(iterations) or not 1 <= iterations < math.inf:
        raise UserError(
            f"{config.filename or 'config'}: train_cfg.max_iters = {iterations!r}",
            "give a number of at least 1",
        )
    return int(iterations)


def stretch(config: "Config", iterations: int) -> None:
    """Set the length of a training and stretch the schedule of its learning rate, in place.

    Args:
        config: A config that trains by iterations.
        iterations: The new length. The number of validations stays the same.

    Raises:
        UserError: The config does not train by iterations, or a setting that depends on them is not
            a number.
    """
    before = iterations_of(config)

    def scaled(at: Any, key: str) -> Any:
        if at and not _is_number(at):
            name = config.filename or "config"
            raise UserError(f"{name}: {key} = {at!r}", "give a number of iterations")
        # One rounding for both, where one scheduler ends and the next begins.
        return at and max(1, round(at * iterations / before))

    schedulers = config.get("param_scheduler") or []
    several = not isinstance(schedulers, Mapping)
    for index, scheduler in enumerate(schedulers if several else [schedulers]):
        for key in set(_STRETCHED) & set(scheduler):
            value = scheduler[key]
            where = f"param_scheduler[{index}].{key}" if several else f"param_scheduler.{key}"
            scheduler[key] = (
                [scaled(at, where) for at in value] if _is_list(value) else scaled(value, where)
            )
    interval = config.train_cfg.get("val_interval", before)
    config.train_cfg.max_iters = iterations
    config.train_cfg.val_interval = scaled(interval, "train_cfg.val_interval")


def scale_learning_rate(config: "Config", factor: float) -> None:
    """Multiply the optimiser's learning rate in place; a schedule then starts from the new rate.

    Raises:
        UserError: The config has no learning rate in the usual place.
    """
    optimizer = (config.get("optim_wrapper") or {}).get("optimizer") or {}
    if not isinstance(optimizer.get("lr"), int | float):
        raise UserError(
            f"{config.filename or 'config'}: optim_wrapper.optimizer.lr is missing",
            "add it; the learning-rate factor multiplies it",
        )
    optimizer["lr"] = optimizer["lr"] * factor


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real)
