"""List files below a folder by pattern: follow links, and leave out nothing silently.

`Path.glob` does not enter linked folders below `**`; from Python 3.13 on it does so on request. It
also skips folders that it may not read.
"""

import fnmatch
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ibn_seg.errors import UserError


class _Folder(NamedTuple):
    """A folder to look into.

    Attributes:
        path: Its path as it is listed, with links in it.
        names: The names that lead to it from the first folder.
        real: Its path without links.
        left: The folders, without links, from which links were followed on the way here.
    """

    path: str
    names: tuple[str, ...]
    real: str
    left: tuple[str, ...] = ()


class _Item(NamedTuple):
    """An entry of a folder that is no folder itself.

    Attributes:
        path: Its path.
        names: The names that lead to it from the first folder.
        broken: Why a link that might be one to a folder cannot be followed, or ''.
    """

    path: str
    names: tuple[str, ...]
    broken: str


def is_folder(path: str | os.PathLike) -> bool:
    """Return whether a path is a folder, or a link to one.

    Raises:
        UserError: The system does not allow access.
    """
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unreadable(path, error) from error


def find_files(folder: str | os.PathLike, pattern: str) -> list[Path]:
    """Return the files below a folder that match a pattern, sorted as by `Path.glob`.

    Links to folders are followed, below `**` too. There, a link to a folder that contains the link
    is not followed, because its files are already listed. A broken link with a matching name counts
    as a file, so that its reader names it in an error. Folders do not count as files, and hidden
    folders are entered.

    Args:
        folder: Where to look.
        pattern: Parts separated by '/', each as in `fnmatch`; the first may be '**'.

    Raises:
        UserError: A folder cannot be read, or a link in the place of a folder is broken.
    """
    return [path for spelled, path in find_spellings(folder, pattern) if spelled == path]


def find_spellings(folder: str | os.PathLike, pattern: str) -> list[tuple[Path, Path]]:
    """Return files as `find_files`; the case of the pattern's ending does not matter.

    Cameras write `.JPG` and tools `.jpg`. A file with another case is left out if another file has
    the exact spelling of the pattern.

    Args:
        folder: Where to look.
        pattern: As in `find_files`.

    Returns:
        The path in the spelling of the pattern and the real path, sorted by the first.

    Raises:
        UserError: As `find_files`.
    """
    parts = pattern.split("/")
    # The part after the last wildcard.
    end = re.search(r"[^*?\]]*$", parts[-1]).group()
    exact, others, broken = [], [], []
    for item in _walk(os.fspath(folder), parts):
        *above, name = item.names
        spelled = _spelled(name, end)
        if _fits([*above, spelled], parts):
            path = Path(item.path)
            pair = (path.with_name(spelled), path)
            (exact if spelled == name else others).append(pair)
        elif item.broken and not name.startswith("."):
            broken.append(item)
    if broken:
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise UserError(
            f"{broken[0].path}{more}: this link cannot be followed ({broken[0].broken})",
            "mend the link or remove it",
        )
    there = {spelled for spelled, _ in exact}
    return sorted(exact + [pair for pair in others if pair[0] not in there])


def _walk(folder: str, parts: Sequence[str]) -> Iterator[_Item]:
    """Yield everything that is no folder, as deep as the pattern reaches."""
    endless = parts[0] == "**"
    folders = [_Folder(folder, (), os.path.realpath(folder))]
    while folders:
        here = folders.pop()
        for entry in _entries(here.path):
            names = (*here.names, entry.name)
            above = len(names) < len(parts) and _fits(names, parts[: len(names)])
            is_dir, broken = _kind(entry)
            if not is_dir:
                yield _Item(entry.path, names, broken if above or endless else "")
            elif above or endless:
                folders += _inside(here, entry, names, endless)


def _inside(
    here: _Folder, entry: os.DirEntry, names: tuple[str, ...], endless: bool
) -> list[_Folder]:
    """Return the folder of an entry, or None if its link leads back and would never end."""
    if not entry.is_symlink():
        return [_Folder(entry.path, names, os.path.join(here.real, entry.name), here.left)]
    real, way = os.path.realpath(entry.path), (*here.left, here.real)
    if endless and any(_holds(real, passed) for passed in way):
        return []
    return [_Folder(entry.path, names, real, way)]


def _holds(folder: str, other: str) -> bool:
    """Return whether a folder is another one or lies above it; both without links."""
    return os.path.commonpath((folder, other)) == folder


def _entries(folder: str) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError as error:
        raise _unreadable(folder, error) from error


def _kind(entry: os.DirEntry) -> tuple[bool, str]:
    """Return whether an entry is a folder, and why its link cannot be followed, or ''."""
    try:
        if not entry.is_symlink():
            return entry.is_dir(follow_symlinks=False), ""
        return stat.S_ISDIR(os.stat(entry.path).st_mode), ""
    except OSError as error:
        return False, error.strerror or type(error).__name__


def _fits(names: Sequence[str], parts: Sequence[str]) -> bool:
    """Return whether the names of a path match the parts of a pattern."""
    if parts and parts[0] == "**":
        parts = parts[1:]
        names = names[-len(parts) :] if len(names) > len(parts) else names
    return len(names) == len(parts) and all(map(fnmatch.fnmatchcase, names, parts))


def _spelled(name: str, end: str) -> str:
    """Return a name with the pattern's ending, if its own ending differs only in case."""
    own = name[len(name) - len(end) :] if len(name) >= len(end) else name
    return name[: len(name) - len(end)] + end if own.lower() == end.lower() else name


def _unreadable(path: str | os.PathLike, error: OSError) -> UserError:
    return UserError(
        f"{os.fspath(path)}: this folder cannot be read ({error.strerror})",
        "mend its permissions, or the link that leads to it",
    )
