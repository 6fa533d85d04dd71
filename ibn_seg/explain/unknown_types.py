"""Find config types that no registry knows, and suggest the most similar known names."""

import difflib
import importlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from mmengine import registry as registries
from mmengine.registry import OPTIMIZERS, Registry, init_default_scope

from ibn_seg.errors import UserError, unknown
from ibn_seg.explain.blame import Frame, Place

_MESSAGE = re.compile(r"(\S+) is not in the (?:(\S+?)::)?(.+?) registry")
_OPTIMIZER = "optim_wrapper.optimizer"
# One registry holds all kinds of models; the names of their modules tell the kinds apart.
_MODULES = {
    "backbone": "backbones",
    "norm_cfg": "norm",
    "conv_cfg": "conv",
    "act_cfg": "activation",
    "loss_decode": "losses",
    "decode_head": "decode_heads",
    "auxiliary_head": "decode_heads",
    "ema_type": "averaged_model",
}
_LONG_LIST = 40


def unknown_type(error: Exception, place: Place, last: Frame, config: Mapping) -> UserError | None:
    """Return the line for a type that is not registered, or None if the error is another.

    Args:
        error: The error that was raised.
        place: The part of the config that it is about.
        last: The frame that raised.
        config: The whole config.
    """
    match = _MESSAGE.search(str(error)) if isinstance(error, KeyError) else None
    if match is not None:
        scope, name = match[2] or str(config.get("default_scope", "mmengine")), match[3]
        given = match[1].strip("'\"")
        asked = _asked(place, given)
        return _unknown_scope(config) or _line(given, asked, name, lambda: _family(scope, name))
    given = place.part.get("type") if isinstance(place.part, Mapping) else None
    registry = last.locals.get("registry")
    asked = last.locals.get("cfg")
    its = isinstance(asked, Mapping) and asked.get("type") == given
    if (
        its
        and isinstance(registry, Registry)
        and isinstance(given, str)
        and (registry.get(given) is None)
    ):
        return _line(given, place, "layer", lambda: _with_parents(registry))
    return _unknown_optimizer(place, config)


def _asked(place: Place, given: str) -> Place:
    """Return the place of a type that an argument names, such as `ema_type` of `EMAHook`."""
    if not isinstance(place.part, Mapping) or str(place.part.get("type")) == given:
        return place
    key = next((key for key, value in place.part.items() if value == given), None)
    return replace(place, path=f"{place.path}.{key}", part=given) if key else place


def _unknown_scope(config: Mapping) -> UserError | None:
    """Return the line for a default scope without registries, so that no type is found."""
    scope, known = config.get("default_scope"), {"mmengine", *registries.MODELS.children}
    if scope is None or scope in known:
        return None
    line = unknown("default_scope", scope, sorted(known))
    return UserError(f"{line}; for another, name its package in custom_imports")


def _unknown_optimizer(place: Place, config: Mapping) -> UserError | None:
    """Return the line for an unknown optimiser; mmengine calls its type before checking it."""
    wrapper = config.get("optim_wrapper")
    part = wrapper.get("optimizer") if isinstance(wrapper, Mapping) else None
    given = part.get("type") if isinstance(part, Mapping) else None
    if not place.path.startswith("optim_wrapper") or not isinstance(given, str):
        return None
    if OPTIMIZERS.get(given) is not None:
        return None
    found = Place(_OPTIMIZER, part, True, place.frame)
    return _line(given, found, "optimizer", lambda: [OPTIMIZERS])


def _line(given: str, place: Place, name: str, family: Any) -> UserError:
    path = place.path
    key = re.sub(r"\[\d+\]", "", path).rpartition(".")[2]
    kind = "backbone" if key == "backbone" else name
    allowed = sorted(_names(family(), _MODULES.get(key, "")))
    label = f"{kind} type" if kind in ("model", "hook") else kind
    is_its = isinstance(place.part, Mapping) and str(place.part.get("type")) == given
    label = f"{label} ({path}{'.type' if is_its else ''})" if path else label
    if len(allowed) <= _LONG_LIST:
        return unknown(label, given, allowed)
    close = difflib.get_close_matches(given, allowed, n=5, cutoff=0.3)
    return UserError(
        f"unknown {label} {given!r}",
        f"did you mean {' or '.join(map(repr, close))}?" if close else "see mmseg's documentation",
    )


def _names(family: Iterable[Registry], word: str) -> set[str]:
    """Return registered names whose module has a word in its name; for backbones, ours as well."""
    found: set[str] = set()
    for registry in family:
        for known, target in registry.module_dict.items():
            module = getattr(target, "__module__", "")
            if word in module or (word == _MODULES["backbone"] and module.startswith("ibn_seg.")):
                found.add(known)
    return found


def _with_parents(registry: Registry) -> list[Registry]:
    found = [registry]
    while found[-1].parent is not None:
        found.append(found[-1].parent)
    return found


def _family(scope: str, name: str) -> list[Registry]:
    """Return the registry of a scope and the root one."""
    init_default_scope(scope)
    modules = [registries]
    if scope != "mmengine":
        modules.append(importlib.import_module(f"{scope}.registry"))
    values = [value for module in modules for value in vars(module).values()]
    return [value for value in values if isinstance(value, Registry) and value.name == name]
