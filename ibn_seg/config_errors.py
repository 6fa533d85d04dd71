"""Turn any error raised while a config is read into one line that names the file at fault."""

import contextlib
import errno
import importlib.util
import os
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from ibn_seg.errors import EnvError, UserError

# mmengine's functions that read one file each, and the argument that holds the file.
_READERS = ("fromfile", "_file2dict", "_parse_lazy_import", "_is_lazy_import")
_ARGUMENT = "filename"
_RECURSIVE = ("_file2dict", "_parse_lazy_import")
_MACHINE = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE,
    errno.EIO, errno.ENOMEM, errno.ESTALE,
)  # fmt: skip
_ABSENT = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
_LONGEST = 400


@contextlib.contextmanager
def explained_reading(path: Path) -> Iterator[None]:
    """Turn errors while reading a config into one line.

    A config is a program that the user wrote. It, or anything it imports, can raise any error.

    Args:
        path: The config that is read in the block.

    Raises:
        UserError: The text of the config or of a base is wrong. The error names that file and, if
            known, the line.
        EnvError: A package is missing, or the system does not allow reading the file.
    """
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise _explanation(path, error) from error


@dataclass(frozen=True)
class _Place:
    """Where reading a config stopped.

    Attributes:
        files: The config and the bases down to the one that was read last.
        line: The line of the config's own code that was being executed, as (file, number).
        functions: The functions of mmengine that were reading, outermost first.
        called: Whether the code called an imported object, which mmengine does not allow.
    """

    files: tuple[str, ...]
    line: tuple[str, int] | None
    functions: tuple[str, ...]
    called: bool


def _explanation(path: Path, error: BaseException) -> UserError:
    """Return the one-line error for an exception raised while a config was read."""
    place = _place(path, error)
    missing = _missing_package(error)
    reason = _one_line(_reason(error, place))
    if missing is not None:
        return EnvError(f"{_at(path, place)}: cannot be loaded ({reason})", missing)
    if isinstance(error, OSError) and error.errno in _MACHINE:
        file = f"{error.filename} " if error.filename and not _same(error.filename, path) else ""
        return EnvError(f"{_at(path, place)}: {file}cannot be read ({error.strerror})")
    if isinstance(error, RecursionError) and len(set(place.files)) < len(place.files):
        return UserError(
            f"{path}: its bases name each other: {_circle(place.files)}", "remove one of the bases"
        )
    absent = _absent_base(error, place)
    if absent is not None:
        named_in, base = absent
        kind = "is a folder" if os.path.isdir(base) else "does not exist"
        fix = "give the path of a config"
        if os.path.islink(named_in):
            fix = f"bases are sought beside the link: give {os.path.realpath(named_in)} itself"
        return UserError(f"{named_in}: its base {base} {kind}", fix)
    if "inheritance chain" in str(error):
        return _mixed(path, place)
    return UserError(f"{_at(path, place)}: cannot be loaded ({reason})", "mend the config")


def _absent_base(error: BaseException, place: _Place) -> tuple[str, str] | None:
    """Return (config, its base) if the base is no file."""
    if place.line is not None:
        return None
    base, found, _ = str(error).partition(" not found! It means")
    if found:
        return place.files[-1], os.path.normpath(base)
    if len(place.files) > 1 and isinstance(error, _ABSENT):
        named_in, base = place.files[-2:]
        if error.filename is None or _same(error.filename, base):
            return named_in, base
    return None


def import_error(place: str, module: str, error: BaseException) -> UserError:
    """Return the one-line error for a module that cannot be imported.

    Args:
        place: The file and key that name it.
        module: Its name.
        error: The exception that its import raised.
    """
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames and not isinstance(error, ImportError | SyntaxError) else None
    where = f" at {last.filename}, line {last.lineno}" if last else ""
    missing = _missing_package(error)
    kind = UserError if missing is None else EnvError
    reason = _one_line(f"{type(error).__name__}: {error}{where}")
    return kind(
        f"{place}: {module!r} cannot be imported ({reason})",
        missing or "mend the name or the module",
    )


def _missing_package(error: BaseException) -> str | None:
    """Return what to do about an error raised by a package that is not installed.

    Args:
        error: An exception from an import, raised directly or as the cause of another error.

    Returns:
        Returns None for other errors, for example a wrong name inside an installed package.
    """
    failed = [cause for cause in _causes(error) if isinstance(cause, ModuleNotFoundError)]
    # mmengine raises some errors again without the name.
    packages = [cause.name.partition(".")[0] for cause in failed if cause.name]
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if not missing and (packages or not failed):
        return None
    name = missing[0] if missing else "it"
    return f"install {name}, or put the folder that holds it on PYTHONPATH"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and the errors that caused it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _place(path: Path, error: BaseException) -> _Place:
    """Return where reading stopped, from the calls that were in progress."""
    frames = list(traceback.walk_tb(error.__traceback__))
    # mmengine raises errors again, which lists the frame twice.
    readers = list(dict.fromkeys(frame for frame, _ in frames if _is_reader(frame)))
    # The other functions only look into a file that one of these is about to read.
    nested = [frame for frame in readers if frame.f_code.co_name in _RECURSIVE] or readers[:1]
    chain = [_shown(path, frame.f_locals[_ARGUMENT]) for frame in nested] or [str(path)]
    # Code of a config is compiled under the name of its file.
    names = {os.path.realpath(file): file for file in chain}
    own = [(os.path.realpath(frame.f_code.co_filename), line) for frame, line in frames]
    lines = [(names[file], line) for file, line in own if file in names]
    functions = [frame.f_code.co_name for frame, _ in frames if _is_mmengine(frame)]
    called = bool(frames) and _is_mmengine(frames[-1][0], "lazy.py")
    return _Place(tuple(chain), lines[-1] if lines else None, tuple(functions), called)


def _is_mmengine(frame: FrameType, file: str = "config.py") -> bool:
    return Path(frame.f_code.co_filename).parts[-3:] == ("mmengine", "config", file)


def _is_reader(frame: FrameType) -> bool:
    return (
        _is_mmengine(frame)
        and frame.f_code.co_name in _READERS
        and isinstance(frame.f_locals.get(_ARGUMENT), str)
    )


def _shown(path: Path, file: str) -> str:
    """Return a file's name: as the user gave it, or as a direct path."""
    return str(path) if _same(file, path) else os.path.normpath(file)


def _same(one: str | os.PathLike, other: str | os.PathLike) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _at(path: Path, place: _Place) -> str:
    """Return the file at fault and, if it is a base, the config that uses it."""
    file, line = place.line or (place.files[-1], None)
    where = file if line is None else f"{file}, line {line}"
    return where if _same(file, path) else f"{where} (a base of {path})"


def _reason(error: BaseException, place: _Place) -> str:
    """Return what went wrong, in words if mmengine's or Python's error has none."""
    syntax = next((e for e in _causes(error) if isinstance(e, SyntaxError) and e.lineno), None)
    if syntax is not None:
        # mmengine parses text without its name, and writes it to a temporary file first.
        known = syntax.filename and os.path.isfile(syntax.filename)
        file = (
            f" of {syntax.filename}"
            if known and not _same(syntax.filename, place.files[-1])
            else ""
        )
        return f"line {syntax.lineno}{file}: {syntax.msg}"
    if isinstance(error, UnicodeDecodeError):
        return f"no UTF-8 text: {error.reason} at byte {error.start}"
    if isinstance(error, SystemExit):
        return "its code ends the program"
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if place.line is None:
        text = _words(error, place) or text
    elif place.called:
        return "a config cannot call what it imports; write dict(type=NAME, ...)"
    if place.line is None and " " in text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _words(error: BaseException, place: _Place) -> str | None:
    """Return in words why mmengine's own code failed, if its error has no words."""
    last = place.functions[-1] if place.functions else ""
    if "_substitute_base_vars" in place.functions:
        return f"a {{{{_base_.NAME}}}} in it names what no base has ({error})"
    if not isinstance(error, (AttributeError, TypeError, NameError)):
        return None
    if Path(place.files[-1]).suffix != ".py":
        return "it holds no settings by name"
    if last in ("_is_lazy_import", "_get_base_modules"):
        return "the only `with` that a config may have is `with read_base():`"
    if last in ("_get_cfg_path", "_get_base_files"):
        return f"`_base_` is no path and no list of paths in quotes ({error})"
    return None


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


def _circle(files: tuple[str, ...]) -> str:
    """Return the first cycle of bases that include each other."""
    last = next(i for i, file in enumerate(files) if file in files[:i])
    return " -> ".join(files[files.index(files[last]) : last + 1])


def _mixed(path: Path, place: _Place) -> UserError:
    """Return the error for a config in one of mmengine's styles with a base in the other style."""
    fix = "write all of them with `_base_ = ...`, or all with `with read_base(): ...`"
    if len(place.files) == 1:
        return UserError(
            f"{path}: mixes `_base_` with imports in mmengine's pure Python style", fix
        )
    above, base = place.files[-2:]
    return UserError(f"{above}: its base {base} is written in mmengine's other style", fix)
