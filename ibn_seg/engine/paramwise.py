"""`optim_wrapper.paramwise_cfg`: report keys that mmengine would silently ignore."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.runner import Runner
from torch import nn

from ibn_seg.errors import nearest, unknown
from ibn_seg.type_names import is_named

_KEY = "optim_wrapper.paramwise_cfg"
_DEFAULT = "DefaultOptimWrapperConstructor"
# Keys that mmengine's default constructor reads; other constructors may read any keys.
_READ = (
    "custom_keys", "bias_lr_mult", "bias_decay_mult", "norm_decay_mult", "dwconv_decay_mult",
    "flat_decay_mult", "dcn_offset_lr_mult", "bypass_duplicate",
)  # fmt: skip
_READ_OF_CUSTOM = ("lr_mult", "decay_mult")


def check_paramwise(wrapper: Mapping[str, Any]) -> None:
    """Raise if settings of single parameters would have no effect.

    Args:
        wrapper: `optim_wrapper` of the config. With another constructor than mmengine's default,
            nothing is checked.

    Raises:
        UserError: A key is unknown.
    """
    for key in _settings(wrapper):
        if key not in _READ:
            raise unknown(f"key of {_KEY}", key, _READ)


def say_without_effect(runner: Runner, network: nn.Module, built: Any) -> None:
    """Report `custom_keys` without effect: patterns that match nothing, and unread settings.

    Args:
        runner: The runner, whose log gets the message.
        network: The trained network, without its wrapper for replicas.
        built: The optimiser wrapper that was built for it.
    """
    patterns = _custom_keys(_settings(runner.cfg.get("optim_wrapper")))
    for line in (*_unmatched(patterns, network), *_unread(patterns, built)):
        runner.logger.warning(f"{_KEY}.custom_keys: {line}", extra={"notice": True})


def _unmatched(patterns: Mapping[str, Any], network: nn.Module) -> Iterator[str]:
    named = [name for name, _ in network.named_parameters(remove_duplicate=False)]
    # mmengine writes a dot before the names of parameters that lie in no module.
    names = [name if "." in name else f".{name}" for name in named]
    found = [p for p in patterns if not any(str(p) in name for name in names)]
    if found:
        guess = nearest(found[0], _parts(named))
        yield (
            f"{', '.join(map(repr, found))} {'is' if len(found) == 1 else 'are'} in no "
            "parameter's name and without effect" + (f"; did you mean {guess!r}?" if guess else "")
        )


def _unread(patterns: Mapping[str, Any], built: Any) -> Iterator[str]:
    """Yield a line on settings that neither mmengine nor the optimiser reads."""
    defaults = getattr(getattr(built, "optimizer", None), "defaults", None)
    if not isinstance(defaults, Mapping):
        return
    given = [key for settings in patterns.values() for key in settings]
    unread = [key for key in dict.fromkeys(given) if key not in {*_READ_OF_CUSTOM, *defaults}]
    if unread:
        yield (
            f"{', '.join(map(repr, unread))} {'is' if len(unread) == 1 else 'are'} without "
            f"effect; known are {' and '.join(_READ_OF_CUSTOM)}"
        )


def _parts(names: Sequence[str]) -> list[str]:
    """Return modules and parameters by their own names, then with the names around them."""
    split = [name.split(".") for name in names]
    alone = [part for parts in split for part in parts]
    return [*dict.fromkeys([*alone, *(".".join(p[:at]) for p in split for at in range(2, len(p)))])]


def _settings(wrapper: Any) -> Mapping[str, Any]:
    """Return `paramwise_cfg` of a wrapper; empty if it has none, or another constructor."""
    if not isinstance(wrapper, Mapping) or not is_named(
        wrapper.get("constructor", _DEFAULT), _DEFAULT
    ):
        return {}
    settings = wrapper.get("paramwise_cfg")
    return settings if isinstance(settings, Mapping) else {}


def _custom_keys(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    patterns = settings.get("custom_keys")
    return patterns if isinstance(patterns, Mapping) else {}
