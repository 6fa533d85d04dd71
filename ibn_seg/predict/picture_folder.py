"""Finds the pictures of a folder by their content, and names their results."""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ibn_seg.errors import UserError
from ibn_seg.predict.picture_formats import (
    COMMON_SUFFIXES,
    HEAD,
    PICTURE_SUFFIXES,
    VIDEO_SUFFIXES,
    is_companion,
    picture_format,
)
from ibn_seg.predict.prediction_log import LOG_NAME, PredictionLog


@dataclass
class FolderContent:
    """The content of a folder and its subfolders.

    Attributes:
        pictures: The picture files, by the names of their results.
        refused: A line for each unreadable file that should be a picture, and each unreadable
            folder.
        videos: The number of videos.
        results: The number of files that are results of other calls, according to logs in the
            folder.
    """

    pictures: dict[str, Path] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    videos: int = 0
    results: int = 0


def search_folder(source: Path, out: Path, results: Collection[Path] = ()) -> FolderContent:
    """Search a folder for pictures; links are followed.

    Results of earlier calls with another `out` in the folder do not count as pictures. Their logs
    list them.

    Args:
        source: The folder.
        out: The folder for results. If it lies in `source`, it is not searched.
        results: Files that are results and not pictures, as absolute paths without links.

    Raises:
        UserError: There is nothing to predict and no refused file to report.
        EnvError: A log cannot be read.
    """
    content = FolderContent()
    paths = []
    files = sorted(_walk(source, out, content.refused))
    logs = [PredictionLog(path.parent) for path in files if path.name == LOG_NAME]
    earlier = {file for log in logs for file in log.results()}
    for path in files:
        if path.resolve() in results:
            continue
        if path.resolve() in earlier:
            content.results += 1
            continue
        if path.suffix.lower() in VIDEO_SUFFIXES:
            content.videos += 1
        elif _is_candidate(path, content.refused):
            paths.append(path)
    content.refused.sort()
    content.pictures = name_results(source, paths)
    if not content.pictures and not content.refused:
        fix = f"known are {' '.join(COMMON_SUFFIXES)} and others"
        if content.results:
            fix = f"its {content.results} results of earlier calls ({LOG_NAME}) are none"
        if content.videos:
            fix = "give each video by itself"
        raise UserError(f"{source}: the folder holds no pictures", fix)
    return content


def name_results(source: Path, paths: list[Path]) -> dict[str, Path]:
    """Return files by the names of their results: the path in the folder, without suffix.

    If two names would be equal, as for `a.png` and `a.jpg`, the suffix stays. A file of a less
    common format never changes the name of a common one.
    """
    common = [path for path in paths if path.suffix.lower() in COMMON_SUFFIXES]
    rare = [path for path in paths if path.suffix.lower() not in COMMON_SUFFIXES]
    named = dict(zip(_names(source, common), common, strict=True))
    for name, path in zip(_names(source, rare), rare, strict=True):
        if name in named:
            name = path.relative_to(source).as_posix()
        while name in named:
            name += "_"
        named[name] = path
    return dict(sorted(named.items(), key=lambda item: item[1]))


def _names(source: Path, paths: list[Path]) -> list[str]:
    full = [path.relative_to(source).as_posix() for path in paths]
    short = [path.relative_to(source).with_suffix("").as_posix() for path in paths]
    # a.png, a.jpg and a.png.png must not share results.
    shared = {name for name in short if short.count(name) > 1} | set(full)
    return [long if name in shared else name for long, name in zip(full, short, strict=True)]


def _walk(source: Path, out: Path, refused: list[str]) -> Iterator[Path]:
    """Yield the files of a folder and its subfolders, except files in `out`.

    A link back to a folder on the current path is not followed.
    """
    top, results = source.resolve(), out.resolve()
    inside = results if top in results.parents else None

    def refuse(error: OSError) -> None:
        refused.append(f"{error.filename}: cannot be read ({error.strerror})")

    for name, folders, files in os.walk(source, onerror=refuse, followlinks=True):
        here = Path(name)
        real = here.resolve()
        above = {real, *real.parents} | _passed(source, here)
        folders[:] = [
            folder
            for folder in folders
            if not _leads_back(here / folder, above) and (here / folder).resolve() != inside
        ]
        for file in files:
            path = here / file
            if path.is_symlink() and not path.exists():
                refused.append(f"{path}: is a broken link: mend it or take it out")
            elif path.is_file() and inside not in path.resolve().parents:
                yield path


def _passed(source: Path, here: Path) -> set[Path]:
    """Return the real folders on the path from `source` to `here`."""
    parts = here.relative_to(source).parts
    return {source.joinpath(*parts[:depth]).resolve() for depth in range(len(parts))}


def _leads_back(folder: Path, above: set[Path]) -> bool:
    return folder.is_symlink() and folder.resolve() in above


def _is_candidate(path: Path, refused: list[str]) -> bool:
    """Tell whether a file's content is a picture, or its suffix claims so."""
    claims = path.suffix.lower() in PICTURE_SUFFIXES
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        if claims or not path.suffix:
            refused.append(f"{path}: cannot be read ({error.strerror})")
        return False
    if is_companion(head):
        return False
    return claims or picture_format(head, path.suffix) is not None
