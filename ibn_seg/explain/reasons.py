"""Say in one line what an error about a part of a config means, and what to do about it."""

import inspect
import linecache
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import cv2
from mmengine.runner.priority import Priority

from ibn_seg.config_values import quoted_number, quoted_numbers
from ibn_seg.errors import TRACEBACK_VARIABLE, EnvError, UserError, nearest
from ibn_seg.explain.blame import Frame, Place
from ibn_seg.explain.config_dicts import dicts, same
from ibn_seg.explain.label_range import labels_out_of_range
from ibn_seg.explain.missing_data import missing_data
from ibn_seg.explain.unknown_types import unknown_type
from ibn_seg.type_names import short_name

SEE = f"mend it; {TRACEBACK_VARIABLE}=1 shows the traceback"
_UNKNOWN_ARGUMENT = re.compile(r"(\w+)\(\) got an unexpected keyword argument '(\w+)'")
_MISSING_ARGUMENTS = re.compile(r"\(\) missing \d+ required \S+ arguments?: (.+)")
_CHANNELS = re.compile(r"to have (\d+) channels, but got (\d+) channels")
_ONE_VALUE = "Expected more than 1 value per channel"
_INSTALL = re.compile(r"pip install [^\"'`]+")
_RAISED_BY = re.compile(r"^(class `\w+` in \S+: )?(\w*Error: )?")
_OBJECT = re.compile(r" in <\S+ object at 0x\w+>$")
_OPENCV = re.compile(r"OpenCV\(\S+\) \S+ error: ")
_WHOLE_PARTS = re.compile(r", but got (train|val|test)_.*")
_CONFIG = "mmengine.config.config"
# These messages say what is wrong; those of others, such as KeyError, also need the code.
_TELLING = (RuntimeError, ValueError, AssertionError, ImportError, OSError, cv2.error)
_LONG_LINE = 200
_MISSING = object()


def describe(error: Exception, place: Place, frames: Sequence[Frame], config: Mapping) -> UserError:
    """Return the line for an error about a part of a config.

    Args:
        error: The error that was raised.
        place: The part.
        frames: The frames of the error; the one that raised comes last.
        config: The whole config.
    """
    known = (
        unknown_type(error, place, frames[-1], config)
        or _without_type(error, place, frames[-1])
        or _wrong_arguments(error, place, config)
        or _quoted_number(error, place)
        or _missing_package(error, place)
        or _missing_key(error, frames, config)
        or _priority(frames, config)
        or missing_data(error, place, frames)
        or labels_out_of_range(error, place, frames, config)
        or _channels(error, place)
        or _maps(error, place, frames[-1])
        or _one_value(error, place)
    )
    if known is not None:
        return known
    what = "cannot be built" if place.building else "fails"
    layer = f" in its layer {place.layer}" if place.layer else ""
    return UserError(f"{subject(place)} {what}{layer}: {reason(error, frames)}", SEE)


def subject(place: Place) -> str:
    """Return the subject of a line: the key and, if there is one, the class."""
    kind = place.part.get("type") if isinstance(place.part, Mapping) else None
    path = place.path or "the config"
    return f"{path}: {short_name(kind)}" if kind is not None else path


def reason(error: BaseException, frames: Sequence[Frame]) -> str:
    """Return an error's message on one line, with the line of code if the message says little."""
    text = shortened(str(error.args[0] if isinstance(error, KeyError) and error.args else error))
    # A config raises in the code that asks it; the frame of the caller tells more.
    last = next((f for f in reversed(frames) if f.module != _CONFIG), frames[-1])
    code = linecache.getline(last.file, last.line).strip()
    if isinstance(error, AssertionError) and not text:
        return f"it needs {shortened(code.removeprefix('assert ')).rstrip(', (')}"
    if text and isinstance(error, _TELLING):
        return text
    return f"{type(error).__name__}: {text}" + (f", in `{shortened(code)}`" if code else "")


def shortened(text: str) -> str:
    """Return the first line of a text, without the class and place that registries add."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    line = _RAISED_BY.sub("", lines[0]) if lines else ""
    line = _WHOLE_PARTS.sub("", _OPENCV.sub("", _OBJECT.sub("", line))).rstrip(":")
    return line if len(line) <= _LONG_LINE else f"{line[:_LONG_LINE]}..."


def _without_type(error: Exception, place: Place, last: Frame) -> UserError | None:
    """Return the line for a value that is no dict with a type but should be."""
    if last.function != "build_from_cfg":
        return None
    given = last.locals.get("cfg")
    if isinstance(error, TypeError) and str(error).startswith("cfg should be a dict"):
        parts = place.part if isinstance(place.part, Mapping) else {}
        key = next((key for key, value in _values(parts) if value is given), "")
        return UserError(
            f"{place.path}{key} = {given!r}: a dict is needed", "write dict(type='...', ...)"
        )
    if isinstance(error, KeyError) and 'must contain the key "type"' in str(error):
        keys = ", ".join(map(str, given)) if isinstance(given, Mapping) else ""
        return UserError(f"{place.path}: a dict without a type ({keys})", "add type='...'")
    return None


def _values(part: Mapping) -> Iterator[tuple[str, Any]]:
    """Yield the values of a dict, and of lists in it, with their keys: '.head', '.head[0]'."""
    for key, value in part.items():
        yield f".{key}", value
        if isinstance(value, (list, tuple)):
            yield from ((f".{key}[{index}]", each) for index, each in enumerate(value))


def is_wrong_argument(error: Exception, place: Place) -> bool:
    """Tell whether a class that is being built refuses an argument that a dict gives."""
    wrong = _UNKNOWN_ARGUMENT.search(str(error)) if isinstance(error, TypeError) else None
    return (
        wrong is not None
        and place.building
        and isinstance(place.part, Mapping)
        and wrong[2] in place.part
    )


def _wrong_arguments(error: Exception, place: Place, config: Mapping) -> UserError | None:
    """Return the line for arguments that a class does not have, or lacks."""
    if not isinstance(error, TypeError) or not place.path:
        return None
    name = subject(place)
    missing = _MISSING_ARGUMENTS.search(str(error))
    if missing is not None and place.building:
        return UserError(f"{name} needs {_OBJECT.sub('', missing[1])}", "add that to the dict")
    wrong = _UNKNOWN_ARGUMENT.search(str(error))
    if wrong is None:
        return None
    if isinstance(place.part, Mapping) and wrong[2] not in place.part:
        holder = _holder(place, wrong[2], config)
        if holder is None:
            return None
        name = holder
    guess = nearest(wrong[2], _arguments(place.frame.locals.get("obj_cls"), place.part))
    return UserError(
        f"{name} has no argument {wrong[2]!r}",
        (f"did you mean {guess!r}? " if guess else "") + "remove it or mend its spelling",
    )


def _holder(place: Place, name: str, config: Mapping) -> str | None:
    """Return the key of the dict that gives an argument: inside a part, or a part of its type."""
    for path, part in dicts(place.part, place.path):
        if name in part:
            return path
    given = place.part.get("type")
    twins = [p for p, part in dicts(config) if name in part and part.get("type") == given]
    return f"{twins[0]}: {short_name(given)}" if given is not None and twins else None


def _arguments(built: Any, part: Any) -> list[str]:
    """Return the arguments of a class and its bases that a dict does not give yet."""
    names: set[str] = set()
    for kind in getattr(built, "__mro__", ()):
        if "__init__" in vars(kind):
            names |= set(inspect.signature(kind.__init__).parameters)
    return sorted(names - {"self", "args", "kwargs"} - set(part or ()))


def _quoted_number(error: Exception, place: Place) -> UserError | None:
    """Return the line for a number in quotes if it may have caused the error."""
    if not isinstance(error, (TypeError, ValueError, AssertionError, RuntimeError)):
        return None
    for key, text in quoted_numbers(place.part, place.path):
        name = re.split(r"[.\[]", key.removeprefix(place.path).lstrip(".["))[0]
        words = set(re.findall(r"\w+", str(error)))
        if isinstance(error, TypeError) or words & {"str", "string", name, text}:
            return quoted_number(key, text)
    return None


def _missing_package(error: Exception, place: Place) -> EnvError | None:
    if not isinstance(error, ImportError):
        return None
    install = _INSTALL.search(str(error))
    package = f"pip install {error.name}" if getattr(error, "name", None) else "install it"
    return EnvError(
        f"{subject(place)} needs a package that is not installed",
        install[0].strip() if install else f"{package} ({shortened(str(error))})",
    )


def _missing_key(error: Exception, frames: Sequence[Frame], config: Mapping) -> UserError | None:
    """Return the line for a key that is missing from a dict of the config."""
    last = frames[-1]
    if last.module != _CONFIG or not isinstance(last.owner, Mapping):
        return None
    name = last.locals.get("name")
    given = last.owner
    asked = next((f for f in reversed(frames) if f.module != _CONFIG), last)
    code = linecache.getline(asked.file, asked.line)
    found = [path for path, part in dicts(config) if same(part, given)]
    if not found or not isinstance(name, str):
        return None
    # If several dicts are equal, the code that asked names the right one: `self.test_cfg.mode`.
    path = max(found, key=lambda one: one.rpartition(".")[2] in code)
    return UserError(f"{path} has no {name!r}, which is needed", f"add {name}=...")


def _priority(frames: Sequence[Frame], config: Mapping) -> UserError | None:
    """Return the line for a hook's priority that mmengine does not know."""
    asked = next((f for f in frames if f.is_in(Priority.__module__, "get_priority")), None)
    if asked is None:
        return None
    value = asked.locals["priority"]
    hooks = {key: config.get(key) for key in ("default_hooks", "custom_hooks")}
    found = [
        (path, part) for path, part in dicts(hooks) if same(part.get("priority", _MISSING), value)
    ]
    if not found:
        return None
    path, part = found[0]
    name = subject(Place(path, part, True, asked))
    names = [one.name for one in Priority]
    guess = nearest(str(value), names)
    return UserError(
        f"{name} has priority={value!r}",
        (f"did you mean {guess!r}? " if guess else "")
        + f"allowed: {', '.join(names)}, and whole numbers from 0 to 100",
    )


def _channels(error: Exception, place: Place) -> UserError | None:
    """Return the line for feature maps with another number of channels than a layer expects."""
    match = _CHANNELS.search(str(error))
    if match is None or place.building or not isinstance(place.part, Mapping):
        return None
    where = f"{subject(place)} gets {match[2]} channels in its layer {place.layer}"
    given = place.part.get("in_channels")
    counts = list(given) if isinstance(given, (list, tuple)) else [given]
    if int(match[1]) in counts or int(match[1]) == sum(c for c in counts if isinstance(c, int)):
        return UserError(
            f"{where}, which is for {match[1]}", f"set in_channels from {given} to that"
        )
    return UserError(f"{where}, which is for {match[1]}", SEE)


def _maps(error: Exception, place: Place, last: Frame) -> UserError | None:
    """Return the line for an `in_index` beyond the feature maps of a backbone or neck."""
    maps = last.locals.get("inputs")
    if not isinstance(error, IndexError) or not isinstance(maps, (list, tuple)):
        return None
    given = place.part.get("in_index") if isinstance(place.part, Mapping) else None
    if given is None:
        return None
    count = f"there {'is one map' if len(maps) == 1 else f'are {len(maps)} maps'}"
    return UserError(
        f"{subject(place)} has in_index={given}, but {count} (out_indices of the backbone)",
        f"allowed: {'0' if len(maps) == 1 else f'0 to {len(maps) - 1}'}",
    )


def _one_value(error: Exception, place: Place) -> UserError | None:
    if _ONE_VALUE not in str(error):
        return None
    return UserError(
        f"{subject(place)}: batch norm gets one value per channel in its layer {place.layer}",
        "set train_dataloader.batch_size to 2 or more, with drop_last=True, or use larger crops",
    )
