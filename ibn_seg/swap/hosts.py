"""Finds the registry and the classes of a config, in the framework that it is for."""

import copy
import importlib
import inspect
import os
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mmengine.config import ConfigDict
from mmengine.registry import MODELS

from ibn_seg.config import import_modules
from ibn_seg.errors import EnvError, UserError, unknown

if TYPE_CHECKING:
    from mmengine.registry import Registry

_DEFAULT_SCOPE = "mmseg"


@contextmanager
def host_registry(config: Mapping, path: str | os.PathLike) -> "Iterator[Registry]":
    """Return the model registry of a config's framework.

    Args:
        config: A config with `default_scope`; without it the framework is mmseg. Its
            `custom_imports` are imported.
        path: Its file, for messages.

    Raises:
        UserError: A module that the config imports is wrong.
        EnvError: The framework, or a module that the config imports, is not installed.
    """
    scope = config.get("default_scope") or _DEFAULT_SCOPE
    try:
        importlib.import_module(f"{scope}.models")
    except ImportError as error:
        raise EnvError(
            f"{path}: the config is for {scope}, which cannot be imported ({error})",
            "install it in this environment",
        ) from error
    import_modules(path, config.get("custom_imports"))
    with MODELS.switch_scope_and_registry(scope) as registry:
        yield registry


def imported_modules(config: Mapping) -> list[str]:
    """Return the modules of a config's `custom_imports`."""
    modules = (config.get("custom_imports") or {}).get("imports") or []
    return [modules] if isinstance(modules, str) else list(modules)


def add_import(config: MutableMapping[str, Any], plugin: str, others: str) -> None:
    """Let a config import a plug-in after its existing imports, unless it imports it already.

    Args:
        config: A config, changed in place.
        plugin: The module to import.
        others: A module that imports it too.
    """
    present = imported_modules(config)
    if not {plugin, others} & set(present):
        old = config.get("custom_imports") or {"allow_failed_imports": False}
        config["custom_imports"] = {"imports": [*present, plugin]} | {
            key: value for key, value in old.items() if key != "imports"
        }


def class_of(registry: "Registry", kind: str | type) -> type:
    """Return the class that a config's `type` means.

    Raises:
        UserError: There is no such class.
    """
    found = kind if isinstance(kind, type) else registry.get(kind)
    if found is None:
        raise unknown(f"type in {registry.scope}", kind, registry.module_dict)
    return found


def defaults_of(cls: type) -> dict[str, Any]:
    """Return the defaults of every argument that a class and its bases take."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if "__init__" not in base.__dict__:
            continue
        for parameter in inspect.signature(base).parameters.values():
            if parameter.default is not parameter.empty:
                found[parameter.name] = parameter.default
    return found


def build(registry: "Registry", settings: Mapping) -> Any:
    """Build the object that a part of a config describes, from a copy of that part.

    Raises:
        UserError: It cannot be built. The message has the first line of the reason.
    """
    try:
        return registry.build(ConfigDict(copy.deepcopy(dict(settings))))
    except UserError:
        raise
    except Exception as error:  # other projects' constructors raise anything
        kind = settings.get("type")
        raise UserError(f"{kind} cannot be built ({first_line(error)})") from error


def first_line(error: BaseException) -> str:
    """Return the first line with text of an error's message, or the error's class."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
