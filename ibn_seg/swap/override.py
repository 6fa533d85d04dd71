"""Writes a config as Python text that holds only its differences from the base."""

import keyword
from collections.abc import Mapping, Sequence
from typing import Any

_DELETE = "_delete_"
_WIDTH = 79
_INDENT = 4


def override(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the smallest dict that mmengine merges into `old` to get `new`.

    Args:
        old: The base's dict.
        new: The wanted dict. It has every key of `old`, at this level.

    Raises:
        ValueError: A key of `old` is not in `new`.
    """
    gone = old.keys() - new.keys()
    if gone:
        raise ValueError(f"a config cannot take away top-level keys: {sorted(gone)}")
    return {
        key: _replacement(old[key], value) if key in old else value
        for key, value in new.items()
        if key not in old or not _equal(old[key], value)
    }


def _replacement(old: Any, new: Any) -> Any:
    """Return the override for one value of the base."""
    if not isinstance(new, Mapping):
        return new
    if isinstance(old, Mapping) and old.keys() <= new.keys():
        return override(old, new)
    return {_DELETE: True, **new}


def _equal(old: Any, new: Any) -> bool:
    """Compare values. At any depth, a list differs from a tuple, and True from 1."""
    if type(old) is not type(new) and not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        return False
    if isinstance(new, Mapping):
        return old.keys() == new.keys() and all(_equal(old[key], new[key]) for key in new)
    if isinstance(new, (list, tuple)):
        return len(old) == len(new) and all(map(_equal, old, new))
    return old == new


def render(settings: Mapping[str, Any], comment: str) -> str:
    """Return a config file's text: a comment, then one assignment for each setting."""
    lines = [f"{key} = {_text(value, 0, len(key) + 3)}" for key, value in settings.items()]
    return "\n".join([*(f"# {line}" for line in comment.splitlines()), *lines, ""])


def _text(value: Any, indent: int, used: int) -> str:
    """Write a value in one line if it fits after `used` characters, else one item per line."""
    line = _one_line(value)
    nested = isinstance(value, Mapping) and any(isinstance(v, Mapping) for v in value.values())
    if not isinstance(value, (Mapping, list, tuple)) or not value:
        return line
    if not nested and used + len(line) < _WIDTH:
        return line
    inner = indent + _INDENT
    pad = " " * inner
    if isinstance(value, Mapping):
        words = all(map(_is_word, value))
        prefixes = [f"{key}=" if words else f"{key!r}: " for key in value]
        items: Sequence[Any] = list(value.values())
        begin, end = ("dict(", ")") if words else ("{", "}")
    else:
        prefixes = [""] * len(value)
        items = value
        begin, end = ("[", "]") if isinstance(value, list) else ("(", ")")
    rows = [
        f"{pad}{prefix}{_text(item, inner, inner + len(prefix))}"
        for prefix, item in zip(prefixes, items, strict=True)
    ]
    tail = "," if isinstance(value, tuple) and len(value) == 1 else ""
    return f"{begin}\n" + ",\n".join(rows) + f"{tail}{end}"


def _one_line(value: Any) -> str:
    """Write a value in one line; dicts become `dict(...)` where their keys are words."""
    if isinstance(value, Mapping):
        if all(map(_is_word, value)):
            return f"dict({', '.join(f'{key}={_one_line(item)}' for key, item in value.items())})"
        return f"{{{', '.join(f'{key!r}: {_one_line(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_one_line, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(_one_line, value))}{',' if len(value) == 1 else ''})"
    return repr(value)


def _is_word(key: Any) -> bool:
    return isinstance(key, str) and key.isidentifier() and not keyword.iskeyword(key)
