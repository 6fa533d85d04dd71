"""The identity of a cell, stored as a difference to another cell.

Cells of a plan differ in few settings. A difference names them by JSON pointers (RFC 6901):

    {"like": "067facfe6a42", "changes": {"/config/randomness/seed": 1}, "without": []}
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ibn_seg.errors import UserError

_GONE = object()


def shortened(value: Any, wholes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value as a difference to the most similar other value, or whole.

    Args:
        value: A value that JSON can hold.
        wholes: The values to which a difference may refer, by name.
    """
    forms: list[dict[str, Any]] = [{"whole": value}]
    for name, other in wholes.items():
        pairs = list(_differences(other, value, ""))
        changes = {at: new for at, new in pairs if new is not _GONE}
        gone = [at for at, new in pairs if new is _GONE]
        forms.append({"like": name, "changes": changes, "without": gone})
    best = min(forms, key=lambda form: len(json.dumps(form)))
    # A difference of more than half the size is harder to read than the whole.
    return best if 2 * len(json.dumps(best)) < len(json.dumps(forms[0])) else forms[0]


def whole(form: Mapping[str, Any], wholes: Mapping[str, Any]) -> Any:
    """Return the value from which `shortened` made this form.

    Raises:
        UserError: It refers to a missing value, or to a missing part of a value.
    """
    if "whole" in form:
        return form["whole"]
    try:
        value = json.loads(json.dumps(wholes[form["like"]]))
        for at, new in form["changes"].items():
            value = _set(value, at, new)
        for at in form["without"]:
            value = _set(value, at, _GONE)
    except (LookupError, TypeError, ValueError) as error:
        raise UserError(
            f"identity like {form.get('like')!r} cannot be restored ({error!r})",
            "write the kept results again",
        ) from error
    return value


def _differences(old: Any, new: Any, at: str) -> Iterator[tuple[str, Any]]:
    """Yield the pointer and the new value of each difference; `_GONE` for a removed value."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in (*old, *(key for key in new if key not in old)):
            below = f"{at}/{key.replace('~', '~0').replace('/', '~1')}"
            if key not in old or key not in new:
                yield below, new.get(key, _GONE)
            else:
                yield from _differences(old[key], new[key], below)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differences(one, other, f"{at}/{index}")
    elif type(old) is not type(new) or repr(old) != repr(new):  # 0.0 equals -0.0
        yield at, new


def _set(value: Any, at: str, new: Any) -> Any:
    """Return a value with a new part at a pointer; the pointer '' is the whole value."""
    if not at:
        return new
    keys = [key.replace("~1", "/").replace("~0", "~") for key in at.split("/")[1:]]
    part = value
    for key in keys[:-1]:
        part = part[int(key)] if isinstance(part, list) else part[key]
    last = int(keys[-1]) if isinstance(part, list) else keys[-1]
    if new is _GONE:
        del part[last]
    else:
        part[last] = new
    return value
