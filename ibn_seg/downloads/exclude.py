"""Writes the list of files that a data set leaves out, from the findings of a check."""

import os
from pathlib import Path

from ibn_seg.downloads.check import Check
from ibn_seg.downloads.findings import KINDS
from ibn_seg.errors import EnvError, UserError
from ibn_seg.io import write_text

_HEADER = """\
# Files that the data set leaves out, relative to this data root; with a file goes its partner.
# Written by `ibn-seg data check --fix list`, which adds lines and removes none.
"""


def readable_list(path: str | os.PathLike | None, fix: bool) -> str | os.PathLike | None:
    """Return the exclude list to read; an empty file if the list is yet to be written."""
    return os.devnull if fix and path is not None and not Path(path).exists() else path


def write_exclude_list(result: Check, path: str | os.PathLike | None = None) -> tuple[Path, int]:
    """Add the harmful files of a check to an exclude list, atomically.

    Existing lines stay, including comments. If a file has one partner, the partner is listed too. A
    partner that other files need as well, such as a label of three images, is not listed.

    Args:
        result: The check.
        path: The list; default `ibn_seg_exclude.txt` in the root.

    Returns:
        The list's path and the number of added files.

    Raises:
        UserError: A finding does not concern single files, or a name cannot be written in a list.
        EnvError: The list cannot be written.
    """
    # This import loads mmseg, but the check has already loaded it.
    from ibn_seg.datasets.pairing import EXCLUDE_FILE, read_exclude_list

    path = result.root / EXCLUDE_FILE if path is None else Path(path)
    old = path.read_text(encoding="utf-8") if path.is_file() else _HEADER
    listed = (
        {result.relative(file) for file in read_exclude_list(result.root, path)}
        if (path.is_file())
        else set()
    )
    new = {name: why for name, why in _to_leave_out(result).items() if name not in listed}
    if new:
        separator = "" if old.endswith("\n") or not old else "\n"
        lines = "".join(f"{name}  # {why}\n" for name, why in new.items())
        try:
            write_text(path, f"{old}{separator}{lines}")
        except EnvError as error:
            advice = "name another list: --exclude FILE, and exclude=FILE in the data set's config"
            raise EnvError(str(error).rpartition(": ")[0], advice) from error
    return path, len(new)


def _to_leave_out(result: Check) -> dict[str, str]:
    """Return each file to leave out once, with the reason."""
    chosen: dict[str, str] = {}
    for finding in result.findings:
        if not KINDS[finding.kind].harmful or not finding.files:
            continue
        name = finding.files[0]
        chosen.setdefault(name, f"{finding.kind}: {finding.text}")
        partners = result.partners.get(result.root / name, [])
        if len(partners) == 1 and len(result.partners[partners[0]]) == 1:
            chosen.setdefault(result.relative(partners[0]), f"partner of {name}")
    for name in chosen:
        if "\n" in name or " #" in name or name != name.strip() or name.startswith("#"):
            raise UserError(f"{name!r}: this name cannot stand in a list", "rename the file")
    return chosen
