"""mmengine's errors about a config, as the one line that a user needs."""

import contextlib
import difflib
import importlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine import registry as registries
from mmengine.config import Config
from mmengine.registry import Registry, init_default_scope

from ibn_seg.errors import UserError, unknown

_UNKNOWN_TYPE = re.compile(r"(\S+) is not in the (\S+)::(.+?) registry")
_UNKNOWN_ARGUMENT = re.compile(r"__init__\(\) got an unexpected keyword argument '(\w+)'")
_LONG_LIST = 40


@contextlib.contextmanager
def explained(config: Config) -> Iterator[None]:
    """Turn what mmengine raises for a wrong config into one line that names the key.

    Args:
        config: The config that is built in the block.

    Raises:
        UserError: A `type` that no registry knows, with the nearest names, or an argument that
            its class does not have.
    """
    given = config.to_dict()
    try:
        yield
    except KeyError as error:
        explanation = _unknown_type(str(error), given)
        if explanation is None:
            raise
        raise explanation from error
    except TypeError as error:
        explanation = _unknown_argument(str(error), given)
        if explanation is None:
            raise
        raise explanation from error


def _typed(config: Any, path: str = "") -> Iterator[tuple[str, Mapping]]:
    """Yield (dotted key, dict) of every dict of a config that has a `type`."""
    if isinstance(config, Mapping):
        if "type" in config:
            yield path, config
        for key, value in config.items():
            yield from _typed(value, f"{path}.{key}" if path else str(key))
    elif isinstance(config, (list, tuple)):
        for index, value in enumerate(config):
            yield from _typed(value, f"{path}[{index}]")


def _unknown_type(message: str, config: Mapping) -> UserError | None:
    match = _UNKNOWN_TYPE.search(message)
    if match is None:
        return None
    given, scope, name = match[1].strip("'\""), match[2], match[3]
    path = next((path for path, part in _typed(config) if part["type"] == given), "")
    key = re.sub(r"\[\d+\]", "", path).rpartition(".")[2]
    kind = "backbone" if key == "backbone" else name
    allowed = sorted(_names(scope, name, backbones=kind == "backbone"))
    label = f"{kind} type" if kind in ("model", "hook") else kind
    label = f"{label} ({path}.type)" if path else label
    if len(allowed) <= _LONG_LIST:
        return unknown(label, given, allowed)
    close = difflib.get_close_matches(given, allowed, n=5, cutoff=0.3)
    return UserError(
        f"unknown {label} {given!r}",
        f"did you mean {' or '.join(map(repr, close))}?" if close else "see mmseg's documentation",
    )


def _names(scope: str, name: str, *, backbones: bool) -> set[str]:
    """Return the names that a registry and its parents know; of backbones, only these."""
    init_default_scope(scope)
    found: set[str] = set()
    for registry in _family(scope, name):
        for known, target in registry.module_dict.items():
            module = getattr(target, "__module__", "")
            if not backbones or "backbones" in module or module.startswith("ibn_seg."):
                found.add(known)
    return found


def _family(scope: str, name: str) -> list[Registry]:
    """Return the registry of a scope and the root one."""
    modules = [registries]
    if scope != "mmengine":
        modules.append(importlib.import_module(f"{scope}.registry"))
    values = [value for module in modules for value in vars(module).values()]
    return [value for value in values if isinstance(value, Registry) and value.name == name]


def _unknown_argument(message: str, config: Mapping) -> UserError | None:
    match = _UNKNOWN_ARGUMENT.search(message)
    if match is None:
        return None
    # The class in the message may be a base of the one in the config, so the argument is looked up.
    for path, part in _typed(config):
        if match[1] in part:
            return UserError(
                f"{path}: {part['type']} has no argument {match[1]!r}",
                "remove it or mend its spelling",
            )
    return None
