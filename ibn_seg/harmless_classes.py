"""Objects other than tensors in checkpoints: known harmless classes, stand-ins for the rest.

PyTorch's restricted unpickler calls only what it is given here. A class known to be harmless gives
its value. A stand-in replaces any other class. It runs no code from the file or from a package, so
the weights in the same file can be read.
"""

import argparse
import datetime
import pathlib
import pickle
import re
import sys
import types
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

HISTORY = "mmengine.logging.history_buffer.HistoryBuffer"
# The attributes that the pickled state of a `HistoryBuffer` looks up on its class.
_STATISTICS = ("min", "max", "current", "mean")
# The attribute of a stand-in that holds the name of the class it replaces.
_STANDS_FOR = "_ibn_seg_stands_for"
# Both numbers of a pathlib class: Python 3.13 moved them.
_PATHLIB = ("pathlib", "pathlib._local")

# An object to call instead of a class, and the class's name in files.
Entry = tuple[Callable, str]


class Inert:
    """A stand-in for objects whose state is no dict; it keeps nothing."""

    def __new__(cls, *args: object) -> "Inert":
        """Take whatever the file gives."""
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        """Keep nothing."""


class _NoHistory(Inert):
    """Replaces mmengine's `HistoryBuffer` if mmengine is not installed."""

    min = max = current = mean = None


_INERT = re.compile(
    r"functools\.partial|mmengine\.config\.config\.Config|mmcv\.utils\.config\.Config"
    r"|numpy\.random\..*"
)
# Classes that PyTorch's restricted unpickler already knows.
_TORCHS_OWN = re.compile(
    r"torch\.(\w+|(_utils|_tensor|storage|serialization|cuda|sparse|nn\.parameter)\.\w+)"
    r"|collections\.(OrderedDict|Counter)|_codecs\.encode|builtins\.(set|bytearray|complex)"
)


def entries(names: Iterable[str], stand_ins: bool) -> list[Entry]:
    """Return the objects that the unpickler may call for the classes in a file.

    Args:
        names: Names of classes and functions, with their modules. Classes that PyTorch already
            allows are never replaced.
        stand_ins: Replace unknown classes by stand-ins. Names from Python's own library get no
            stand-in: attacks use unknown names from there.
    """
    names = set(names)
    found = [entry for entry in known(names) if entry[1] in names]
    if stand_ins:
        given = {name for _, name in found}
        found += [(_stand_in(name), name) for name in sorted(names - given) if _foreign(name)]
    return found


def known(names: Iterable[str]) -> list[Entry]:
    """Return the classes known as harmless, by their names in files.

    Args:
        names: The names in a file. numpy and mmengine are loaded only if the file names their
            classes.
    """
    names = set(names)
    found = [*_python_classes()]
    if any(name.startswith("numpy.") for name in names):
        found += _numpy_classes()
    if HISTORY in names:
        found += [(history_class(), HISTORY), (_statistic, "builtins.getattr")]
    return found


def unknown_names(names: Iterable[str], given: Iterable[Entry]) -> list[str]:
    """Return the names that neither PyTorch nor `given` lists as harmless, sorted."""
    known_ones = {name for entry, name in given if stands_for(entry) is None}
    return sorted(name for name in set(names) - known_ones if not _TORCHS_OWN.fullmatch(name))


def stands_for(value: object) -> str | None:
    """Return the name of the class that a stand-in replaces, or None for any other value."""
    return getattr(value, _STANDS_FOR, None)


def history_class() -> type:
    """Return mmengine's `HistoryBuffer`, or a stand-in if mmengine is not installed."""
    try:
        from mmengine.logging import HistoryBuffer
    except ImportError:
        return _NoHistory
    return HistoryBuffer


def _python_classes() -> Iterable[Entry]:
    """Yield plain types of Python's own library; dicts and lists are there for their subclasses."""
    for kind in (bool, int, float, str, bytes, tuple, list, dict, frozenset, slice, range, object):
        yield kind, f"builtins.{kind.__name__}"
    yield _as_dict, "collections.defaultdict"
    yield _as_dict, "mmengine.config.config.ConfigDict"
    yield _as_list, "collections.deque"
    yield argparse.Namespace, "argparse.Namespace"
    yield types.SimpleNamespace, "types.SimpleNamespace"
    for kind in ("date", "time", "datetime", "timedelta", "timezone"):
        yield getattr(datetime, kind), f"datetime.{kind}"
    for module in _PATHLIB:
        for kind in ("PurePosixPath", "PosixPath", "Path", "PurePath"):
            yield pathlib.PurePosixPath, f"{module}.{kind}"
        for kind in ("PureWindowsPath", "WindowsPath"):
            yield pathlib.PureWindowsPath, f"{module}.{kind}"


def _numpy_classes() -> Iterable[Entry]:
    """Yield the functions that make NumPy's numbers and arrays; NumPy 2 moved them."""
    from ibn_seg.pickled_arrays import PickledArray, PickledType, scalar

    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        yield PickledArray, f"{module}._reconstruct"
        yield scalar, f"{module}.scalar"
    yield PickledArray, "numpy.ndarray"
    yield PickledType, "numpy.dtype"


def _statistic(owner: Any, name: str) -> Any:
    """Return a statistic of `HistoryBuffer` by name; its pickled state looks up only these."""
    if owner is not history_class() or name not in _STATISTICS:
        raise pickle.UnpicklingError(f"a checkpoint may not look up {name!r}")
    return getattr(owner, name)


def _as_dict(*args: object) -> dict:
    """Return the object from which a subclass of dict is built; the file then adds its items."""
    return dict(args[0]) if args and isinstance(args[0], Mapping) else {}


def _as_list(items: Iterable = (), *_: object) -> list:
    return list(items)


def _foreign(name: str) -> bool:
    """Tell whether a name may get a stand-in."""
    if _INERT.fullmatch(name):
        return True
    library = name.partition(".")[0] in sys.stdlib_module_names
    return not library and not _TORCHS_OWN.fullmatch(name)


def _stand_in(name: str) -> type:
    """Return a stand-in for another class; it builds dicts, which accept items and a state."""
    if _INERT.fullmatch(name):
        return type("Inert", (Inert,), {_STANDS_FOR: name})

    def make(cls: type, *args: object) -> OrderedDict:
        made = OrderedDict()
        setattr(made, _STANDS_FOR, name)
        return made

    return type("StandIn", (), {"__new__": make, _STANDS_FOR: name})
