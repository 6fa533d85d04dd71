"""Find the images and labels of a data set by a common key, without those on the exclude list."""

import collections
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from ibn_seg.datasets.listing import find_spellings, is_folder
from ibn_seg.datasets.text_lines import read_lines
from ibn_seg.errors import UserError

EXCLUDE_FILE = "ibn_seg_exclude.txt"


def list_files(folder: Path, pattern: str, owner: str) -> list[tuple[Path, Path]]:
    """Return the files in `folder` that match a glob pattern, as `listing.find_spellings` does.

    Hidden files are left out, because archivers leave `._NAME.png` files that are no pictures.

    Raises:
        UserError: The folder does not exist, and `owner` names the data set that needs it. Or a
            folder below it cannot be read.
    """
    if not is_folder(folder):
        raise UserError(
            f"{owner}: folder {str(folder)!r} does not exist",
            "unpack the whole download (layout: data/README.md)",
        )
    found = find_spellings(folder, pattern)
    return [(spelled, path) for spelled, path in found if not path.name.startswith(".")]


def files_by_key(
    folder: Path,
    pattern: str,
    key: Callable[[Path], str | None],
    owner: str,
    missing: str,
    what: str | None = None,
) -> dict[str, Path]:
    """Return the files in `folder` that match a glob pattern, by a key, sorted.

    Args:
        folder: Where to look.
        pattern: A glob pattern relative to it. Its ending matches in upper and lower case.
        key: Gets the path in the spelling of the pattern. Returns the part that image and label
            have in common, or None for other files.
        owner: The data set, for messages.
        missing: What to do if there are none, for the message.
        what: The files' names in words, for the message; default `pattern`.

    Raises:
        UserError: The folder does not exist, cannot be read or holds no such file, or two files
            have the same key.
    """
    found: dict[str, Path] = {}
    for spelled, path in list_files(folder, pattern, owner):
        name = key(spelled)
        if name is None:
            continue
        if name in found:
            raise UserError(
                f"{owner}: {str(found[name])!r} and {str(path)!r} are both {name!r}",
                "keep one of them",
            )
        found[name] = path
    if not found:
        problem = f"{owner}: no {what or pattern} in {str(folder)!r}"
        raise UserError(problem + _other_files(folder, owner), missing)
    return found


def _other_files(folder: Path, owner: str) -> str:
    """Return what lies in a folder in place of the wanted files, for a message; '' for nothing."""
    paths = [path.relative_to(folder) for _, path in list_files(folder, "**/*", owner)]
    counts = collections.Counter(path.suffix for path in paths)
    if not counts:
        return ""
    ending, count = counts.most_common(1)[0]
    example = next(path for path in paths if path.suffix == ending).as_posix()
    files = f"{count:,} {ending} file{'s' * (count > 1)}".replace("  ", " ")
    return f" ({files} lie{'s' * (count == 1)} there, such as {example!r})"


def read_exclude_list(root: str | os.PathLike, path: str | os.PathLike | None) -> frozenset[Path]:
    """Return the files that a list excludes.

    Args:
        root: The data root. The lines are relative to it.
        path: The list, or None for `ibn_seg_exclude.txt` in the root, which may be missing.

    Raises:
        UserError: The given list does not exist, or a list is no text.
    """
    path, optional = (Path(root) / EXCLUDE_FILE, True) if path is None else (Path(path), False)
    if optional and not path.exists():
        return frozenset()
    lines = read_lines(path, "exclude list", "mend exclude=")
    # A comment starts the line or follows a space: file names may hold '#'.
    names = (re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip() for line in lines)
    return frozenset(Path(root) / name for name in names if name)


def check_partners(
    files: Mapping[str, Path], partners: Mapping[str, Path], kind: str, partner: str
) -> None:
    """Raise an error with the first file without partner and the number of such files."""
    lonely = [path for key, path in files.items() if key not in partners]
    if lonely:
        more = f" and {len(lonely) - 1} more" if len(lonely) > 1 else ""
        raise UserError(
            f"{lonely[0]}{more}: {kind} without {partner}",
            f"every {kind} needs its {partner}; unpack what is missing or move these away",
        )
