"""The parts of a config that only work together."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ibn_seg.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config

_LOOP_PARTS = ("dataloader", "cfg", "evaluator")


def check_loop_parts(cfg: "Config") -> None:
    """Raise unless validation and test are each configured as a whole or not at all.

    Raises:
        UserError: A part is missing; without it mmengine builds no runner.
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
    """Raise unless a training's wrapper has an optimiser.

    Raises:
        UserError: It has none, and no constructor that would make one.
    """
    wrapper = cfg.optim_wrapper
    if isinstance(wrapper, Mapping) and not (wrapper.get("optimizer") or "constructor" in wrapper):
        raise UserError(
            f"{cfg.filename or 'config'}: optim_wrapper.optimizer is missing",
            "give it, such as dict(type='SGD', lr=0.01)",
        )
