"""The registry and the classes that a config's names mean, in whatever framework it is for."""

import copy
import importlib
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mmengine.config import ConfigDict
from mmengine.registry import MODELS

from ibn_seg.errors import EnvError, UserError, unknown

if TYPE_CHECKING:
    from mmengine.registry import Registry

_DEFAULT_SCOPE = "mmseg"


@contextmanager
def host_registry(config: Mapping) -> "Iterator[Registry]":
    """Give the registry of models of the framework that a config is for.

    Args:
        config: A config with `default_scope`; without it mmseg is meant. Its `custom_imports` are
            imported.

    Raises:
        EnvError: The framework, or what the config imports, is not installed.
    """
    scope = config.get("default_scope") or _DEFAULT_SCOPE
    try:
        importlib.import_module(f"{scope}.models")
        for module in imported_modules(config):
            importlib.import_module(module)
    except ImportError as error:
        raise EnvError(
            f"the config is for {scope}, and something that it needs cannot be imported ({error})",
            "install it in this environment",
        ) from error
    with MODELS.switch_scope_and_registry(scope) as registry:
        yield registry


def imported_modules(config: Mapping) -> list[str]:
    """Return the modules of a config's `custom_imports`."""
    modules = (config.get("custom_imports") or {}).get("imports") or []
    return [modules] if isinstance(modules, str) else list(modules)


def class_of(registry: "Registry", kind: str | type) -> type:
    """Return the class that a config's `type` means.

    Raises:
        UserError: There is none.
    """
    found = kind if isinstance(kind, type) else registry.get(kind)
    if found is None:
        raise unknown(f"type in {registry.scope}", kind, registry.module_dict)
    return found


def defaults_of(cls: type) -> dict[str, Any]:
    """Return the defaults of every argument that a class takes, those of its bases included."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if "__init__" not in base.__dict__:
            continue
        for parameter in inspect.signature(base).parameters.values():
            if parameter.default is not parameter.empty:
                found[parameter.name] = parameter.default
    return found


def build(registry: "Registry", settings: Mapping) -> Any:
    """Build what a part of a config describes; it stays as it is, whatever constructors do to it.

    Raises:
        UserError: It cannot be built; the first line of the reason is told.
    """
    try:
        return registry.build(ConfigDict(copy.deepcopy(dict(settings))))
    except UserError:
        raise
    except Exception as error:  # whatever others' constructors raise
        kind = settings.get("type")
        raise UserError(f"{kind} cannot be built ({first_line(error)})") from error


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message that says something, or its class."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
