"""Check that a config gives a class values of the types that its constructor states."""

import collections.abc
import inspect
import os
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ibn_seg.config_values import quoted_number, quoted_numbers
from ibn_seg.errors import UserError
from ibn_seg.explain.blame import Frame, Place
from ibn_seg.type_names import short_name

# Errors that a value of the wrong type causes inside the class that took it.
_ERRORS = (TypeError, AttributeError, ValueError, IndexError)
# Types in words. An argument that may have any other type is not judged.
_WORDS: Mapping[Any, str] = {
    str: "a text", int: "a whole number", float: "a number", bool: "True or False",
    os.PathLike: "a path", dict: "a dict", collections.abc.Mapping: "a dict", list: "a list",
    tuple: "a list", collections.abc.Sequence: "a list", types.NoneType: "None",
}  # fmt: skip
_ACCEPTED: Mapping[Any, Any] = {
    float: (int, float), list: (list, tuple), tuple: (list, tuple),
    collections.abc.Sequence: (list, tuple, str),
}  # fmt: skip


def wrong_kind(error: Exception, place: Place, frames: Sequence[Frame]) -> UserError | None:
    """Return the line for an argument of a type that its class does not accept, or None.

    Args:
        error: The error that the class raised.
        place: The part of the config from which it was built.
        frames: The frames of the error.
    """
    if not isinstance(error, _ERRORS) or not isinstance(place.part, Mapping):
        return None
    kind = _class_of(place, frames)
    for name, value in place.part.items():
        wanted = _wanted(kind, name) if kind is not None else ()
        if wanted and not any(_fits(value, one) for one in wanted):
            for key, text in quoted_numbers(value, f"{place.path}.{name}"):
                return quoted_number(key, text)
            words = " or ".join(dict.fromkeys(_WORDS[one] for one in wanted))
            return UserError(
                f"{place.path}: {short_name(place.part['type'])} has {name}={value!r}",
                f"give {words}",
            )
    return None


def _class_of(place: Place, frames: Sequence[Frame]) -> type | None:
    """Return the class that a part of a config names, while it is built or running."""
    name = short_name(place.part.get("type"))
    seen = (f.locals.get("obj_cls") if f.owner is None else type(f.owner) for f in frames)
    return next((kind for kind in seen if isinstance(kind, type) and kind.__name__ == name), None)


def _wanted(kind: type, name: str) -> tuple[Any, ...]:
    """Return the types that an argument may have; empty if they are not known completely."""
    for base in kind.__mro__:
        if name not in inspect.signature(base.__init__).parameters:
            continue
        try:
            stated = typing.get_type_hints(base.__init__).get(name)
        except NameError:  # its type is imported for type checkers only
            return ()
        kinds = tuple(_alternatives(stated))
        return kinds if all(one in _WORDS for one in kinds) else ()
    return ()


def _alternatives(stated: Any) -> Iterator[Any]:
    if typing.get_origin(stated) in (typing.Union, types.UnionType):
        for one in typing.get_args(stated):
            yield from _alternatives(one)
    else:
        yield typing.get_origin(stated) or stated


def _fits(value: Any, kind: Any) -> bool:
    return isinstance(value, _ACCEPTED.get(kind, kind))
