"""Convert config values to a form that text can hold: class names, plain numbers and paths."""

import keyword
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ibn_seg.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config, ConfigDict

_TYPE = "type"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
# mmcv's and mmseg's transforms take these only as tuples; a list in `scales` is two scales.
_TUPLES = frozenset((
    "crop_shape", "crop_size", "gamma_range", "img_scale", "n_holes", "pad_shape", "scale",
    "scale_factor", "scales", "tile_grid_size", "weights",
))  # fmt: skip
_SEVERAL = "scales"
_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...), set, frozenset, range)


def plain_values(config: "Config", check: bool) -> "ConfigDict":
    """Return the content of a config with names in place of classes.

    In mmengine's pure Python style a `type` is a class. Every command changes configs and writes
    them down, so a class becomes its full name. mmengine's registries accept full names too.
    Objects that a config imports only for its own computations are left out.

    Args:
        config: A config of either style, which is not changed.
        check: Import the classes, so that a wrong name raises an error here.

    Raises:
        Exception: Something that the config imports does not exist, or fails to load.
    """
    from mmengine.config import ConfigDict
    from mmengine.config.lazy import LazyAttr, LazyObject

    lazy = (LazyAttr, LazyObject)

    def plain(value: Any, is_type: bool = False) -> Any:
        if isinstance(value, lazy):
            return _resolved(value, is_type, check, plain)
        if isinstance(value, dict):
            return ConfigDict({key: plain(part, key == _TYPE) for key, part in dict.items(value)})
        if type(value) in (list, tuple):
            return type(value)(plain(part) for part in value)
        if is_type and callable(value):
            return _full_name(value) or value
        return _without_library(value)

    imported = getattr(config, "_imported_names", ())
    content = dict.items(config._cfg_dict)
    found = {key: plain(value) for key, value in content if key not in imported}
    return ConfigDict({key: value for key, value in found.items() if _is_setting(value, lazy)})


def check_writable_values(config: "Config") -> None:
    """Raise unless a config can be written as text and read back from it.

    Raises:
        UserError: It cannot be written. The error names the key of the first such value.
    """
    for key, problem in _unwritable(config.to_dict()):
        raise UserError(f"{config.filename or 'config'}: {key} {problem}", "write plain values")


def quoted_numbers(part: Any, key: str) -> Iterator[tuple[str, str]]:
    """Yield (key, text) for every number in quotes in one part of a config.

    Args:
        part: A value, a list or a dict. Nested dicts with a `type` of their own are not searched.
        key: Its key.
    """
    if isinstance(part, str):
        if _NUMBER.fullmatch(part):
            yield key, part
    elif isinstance(part, Mapping):
        for name, value in part.items():
            own = isinstance(value, Mapping) and _TYPE in value
            if name != _TYPE and not own:
                yield from quoted_numbers(value, f"{key}.{name}")
    elif isinstance(part, (list, tuple)):
        for index, value in enumerate(part):
            yield from quoted_numbers(value, f"{key}[{index}]")


def quoted_number(key: str, text: str) -> UserError:
    """Return the error for a number that is given as text."""
    # To YAML, 1e-3 is a text even without quotes.
    dotless = "e" in text.lower() and "." not in text
    yaml = f", in YAML as {text.lower().replace('e', '.0e')}" if dotless else ""
    return UserError(f"{key} is the text {text!r}", f"write the number without quotes{yaml}")


def restore_tuples(value: Any, inside: bool = False) -> Any:
    """Return a config value read from JSON, with tuples restored, also in its pipelines.

    Args:
        value: The config, or a part of it.
        inside: The part belongs to a pipeline.
    """
    if isinstance(value, dict):
        return type(value)({
            name: _as_tuples(part, name == _SEVERAL)
            if inside and name in _TUPLES
            else restore_tuples(part, inside or str(name).endswith("pipeline"))
            for name, part in value.items()
        })  # fmt: skip
    if isinstance(value, list):
        return [restore_tuples(part, inside) for part in value]
    return value


def _as_tuples(value: Any, several: bool = False) -> Any:
    """Return a list of numbers as a tuple, and a list of such lists as a list of tuples."""
    if not isinstance(value, list):
        return value
    if several or not all(isinstance(part, int | float) for part in value):
        return [_as_tuples(part) for part in value]
    return tuple(value)


def _resolved(value: Any, is_type: bool, check: bool, plain: Callable[[Any], Any]) -> Any:
    """Return a replacement for an object that a config in the pure Python style imports."""
    if is_type:
        if check:
            value.build()
        return f"{value.module}.{value}"
    built = value.build()
    # A class outside a `type` stays a class: the code that uses it needs the class itself.
    return value if callable(built) else plain(built)


def _full_name(kind: Any) -> str | None:
    """Return the name under which a class or function can be imported, or None."""
    from mmengine.utils import get_object_from_string

    name = f"{getattr(kind, '__module__', '')}.{getattr(kind, '__qualname__', '')}"
    return name if get_object_from_string(name) is kind else None


def _without_library(value: Any) -> Any:
    """Return paths as text, and NumPy's numbers and arrays as Python's."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    return value


def _is_setting(value: Any, lazy: tuple[type, ...]) -> bool:
    """Tell whether a top-level value of a config is a setting, not a helper of its code."""
    return isinstance(value, (dict, list, tuple, *_PLAIN, *lazy))


def _unwritable(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield (dotted key, problem) for every value that text cannot hold."""
    if isinstance(value, dict):
        words = all(str(name).isidentifier() for name in value)
        for name, part in value.items():
            below = f"{key}.{name}" if key else str(name)
            # mmengine would write `dict(class=1)`, and a quote inside quotes.
            if (words and keyword.iskeyword(str(name))) or {"'", "\\", "\n"} & set(str(name)):
                yield below, "has a name that cannot be written in a config"
            yield from _unwritable(part, below)
    elif type(value) in (list, tuple):
        for index, part in enumerate(value):
            yield from _unwritable(part, f"{key}.{index}")
    elif not isinstance(value, _PLAIN):
        yield key, f"is a {type(value).__name__}, which text cannot hold"
