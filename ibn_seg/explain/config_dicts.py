"""Find the dict of a config that an object, or a copy of the dict, comes from."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ibn_seg.type_names import short_name

_MISSING = object()


def dicts(config: Any, path: str = "") -> Iterator[tuple[str, Mapping]]:
    """Yield (dotted key, dict) of every dict inside a config, the outer ones first."""
    if isinstance(config, Mapping):
        if path:
            yield path, config
        for key, value in config.items():
            yield from dicts(value, f"{path}.{key}" if path else str(key))
    elif isinstance(config, (list, tuple)):
        for index, value in enumerate(config):
            yield from dicts(value, f"{path}[{index}]")


def same(one: Any, other: Any) -> bool:
    """Tell whether two config values are equal; an object that is not plain equals only itself."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    plain = (str, int, float, bool, type(None))
    if isinstance(one, plain) and isinstance(other, plain):
        return one == other
    return one is other or (isinstance(one, type) and short_name(one) == short_name(other))


def find_copy(
    config: Mapping, copy: Mapping, roots: Sequence[str] = (), within: str = ""
) -> tuple[str, Mapping] | None:
    """Return the config's dict from which another was copied, with its dotted key.

    Builders remove arguments from such copies and add others, so a match of most entries counts.

    Args:
        config: The whole config.
        copy: The copy, with or without a `type`.
        roots: Keys of the config to prefer, the first most.
        within: The key of a dict around it, which has priority over these.
    """
    given = copy.get("type")
    found = [
        (_nearness(path, roots, within), sum(same(part.get(k, _MISSING), copy[k]) for k in copy),
         -abs(len(part) - len(copy)), path, part)
        for path, part in dicts(config)
        if (given is None) == ("type" not in part)
        and (same(part, copy) if given is None else short_name(part["type"]) == short_name(given))
    ]  # fmt: skip
    return _best(found)


def find_object(
    config: Mapping, built: object, roots: Sequence[str] = ()
) -> tuple[str, Mapping] | None:
    """Return the dict of a config that an object was most likely built from.

    Args:
        config: The whole config.
        built: The object; its attributes are compared with the dict's arguments.
        roots: Keys of the config to prefer, the first most.
    """
    name = type(built).__name__
    found = [
        (_nearness(path, roots), sum(same(getattr(built, k, _MISSING), part[k]) for k in part), 0,
         path, part)
        for path, part in dicts(config)
        if "type" in part and short_name(part["type"]) == name
    ]  # fmt: skip
    return _best(found)


def look_up(config: Any, path: Sequence[str]) -> tuple[str, Any, list[str]]:
    """Follow the names of attributes into a config, as far as it goes.

    Args:
        config: A dict of a config.
        path: Such as ('decode_head', 'loss_decode', '0').

    Returns:
        The dotted key inside the dict, the value there, and the remaining names.
    """
    key, rest = "", list(path)
    while rest:
        name = rest[0]
        if isinstance(config, Mapping) and isinstance(config.get(name), (Mapping, list, tuple)):
            config, key = config[name], f"{key}.{name}"
        elif isinstance(config, (list, tuple)) and name.isdigit() and int(name) < len(config):
            config, key = config[int(name)], f"{key}[{name}]"
        else:
            break
        rest.pop(0)
    return key, config, rest


def _nearness(path: str, roots: Sequence[str], within: str = "") -> int:
    """Return how close a key is to the place of the search; 0 is anywhere."""
    for index, root in enumerate([within, *roots] if within else roots):
        if path == root or path.startswith((f"{root}.", f"{root}[")):
            return len(roots) + 1 - index
    return 0


def _best(found: list[tuple]) -> tuple[str, Mapping] | None:
    """Return the path and the dict with the best score; among equals, the first."""
    if not found:
        return None
    best = max(found, key=lambda one: one[:3])
    return best[3], best[4]
