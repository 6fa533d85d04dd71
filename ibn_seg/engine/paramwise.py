"""`optim_wrapper.paramwise_cfg`: keys that mmengine would pass over without a word."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.registry import OPTIMIZERS
from mmengine.runner import Runner
from torch import nn

from ibn_seg.errors import nearest, unknown
from ibn_seg.type_names import is_named

_KEY = "optim_wrapper.paramwise_cfg"
_DEFAULT = "DefaultOptimWrapperConstructor"
# What mmengine's default constructor reads; others read what they like.
_READ = (
    "custom_keys", "bias_lr_mult", "bias_decay_mult", "norm_decay_mult", "dwconv_decay_mult",
    "flat_decay_mult", "dcn_offset_lr_mult", "bypass_duplicate",
)  # fmt: skip
_READ_OF_CUSTOM = ("lr_mult", "decay_mult")


def check_paramwise(wrapper: Mapping[str, Any]) -> None:
    """Raise if single parameters are given settings that would have no effect.

    Args:
        wrapper: `optim_wrapper` of the config. Of another constructor than mmengine's default
            nothing is known.

    Raises:
        UserError: A key is unknown.
    """
    settings = _settings(wrapper)
    for key in settings:
        if key not in _READ:
            raise unknown(f"key of {_KEY}", key, _READ)
    patterns = _custom_keys(settings)
    allowed = _allowed_of_custom(wrapper) if patterns else []
    for pattern, given in patterns.items():
        for key in given if allowed and isinstance(given, Mapping) else ():
            if key not in allowed:
                raise unknown(f"key of {_KEY}.custom_keys[{pattern!r}]", key, allowed)


def say_unmatched(runner: Runner, network: nn.Module) -> None:
    """Say which patterns of `custom_keys` are in no parameter's name.

    Args:
        runner: The runner, whose log says it.
        network: The network that is trained, without what replicates it.
    """
    patterns = _custom_keys(_settings(runner.cfg.get("optim_wrapper")))
    named = [name for name, _ in network.named_parameters(remove_duplicate=False)]
    # mmengine writes a dot before the names of parameters that lie in no module.
    names = [name if "." in name else f".{name}" for name in named]
    unmatched = [p for p in patterns if not any(str(p) in name for name in names)]
    if not unmatched:
        return
    guess = nearest(unmatched[0], _parts(named))
    runner.logger.warning(
        f"{_KEY}.custom_keys: {', '.join(map(repr, unmatched))} "
        f"{'is' if len(unmatched) == 1 else 'are'} in no parameter's name, so without effect"
        + (f"; did you mean {guess!r}?" if guess else ""),
        extra={"notice": True},
    )


def _parts(names: Sequence[str]) -> list[str]:
    """Return the modules and parameters by their own names, then by those with what is around."""
    split = [name.split(".") for name in names]
    alone = [part for parts in split for part in parts]
    return [*dict.fromkeys([*alone, *(".".join(p[:at]) for p in split for at in range(2, len(p)))])]


def _settings(wrapper: Any) -> Mapping[str, Any]:
    """Return `paramwise_cfg` of a wrapper; empty where there is none, or no default constructor."""
    if not isinstance(wrapper, Mapping) or not is_named(
        wrapper.get("constructor", _DEFAULT), _DEFAULT
    ):
        return {}
    settings = wrapper.get("paramwise_cfg")
    return settings if isinstance(settings, Mapping) else {}


def _custom_keys(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    patterns = settings.get("custom_keys")
    return patterns if isinstance(patterns, Mapping) else {}


def _allowed_of_custom(wrapper: Mapping[str, Any]) -> list[str]:
    """Return what a pattern may set: factors and the optimiser's own settings; [] if unknown."""
    optimiser = wrapper.get("optimizer")
    kind = optimiser.get("type") if isinstance(optimiser, Mapping) else None
    kind = OPTIMIZERS.get(kind) if isinstance(kind, str) else kind
    if not isinstance(kind, type):
        return []
    taken = inspect.signature(kind).parameters
    if any(one.kind is one.VAR_KEYWORD for one in taken.values()):
        return []
    return [*_READ_OF_CUSTOM, *[*taken][1:]]
