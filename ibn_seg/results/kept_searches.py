"""The ranks of the searches of many runs in one archive, `searches.zip`.

Its members are the files of ranks as they were written, named RUN/CELL/FILE. They are packed
already, so the archive packs nothing. `ibn_seg.reid.kept_ranks` says what one holds.
Equal content gives equal bytes.
"""

import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ibn_seg.errors import UserError
from ibn_seg.evaluation.stored import DAMAGE
from ibn_seg.io import write_bytes

ARCHIVE = "searches.zip"
_AGAIN = "get the file again, or write it again with tools/keep_results.py"


def write_search_files(folder: Path, files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Write the archive, and return its name; without files remove it, and return nothing.

    Args:
        folder: The folder to write to.
        files: The content of each file by its name RUN/CELL/FILE. Their order is kept.

    Raises:
        EnvError: The archive cannot be written.
    """
    if not files:
        (folder / ARCHIVE).unlink(missing_ok=True)
        return ()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            # A fixed time and system: equal content gives equal bytes.
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            archive.writestr(info, content)
    write_bytes(folder / ARCHIVE, out.getvalue())
    return (ARCHIVE,)


def read_search_files(paths: Iterable[Path]) -> dict[str, bytes]:
    """Return the files in some archives by their names RUN/CELL/FILE.

    Raises:
        UserError: An archive is missing or damaged.
    """
    found: dict[str, bytes] = {}
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path}: no such file", _AGAIN)
        try:
            with zipfile.ZipFile(path) as archive:
                found |= {name: archive.read(name) for name in archive.namelist()}
        except DAMAGE as error:
            raise UserError(f"{path}: not an archive of searches, or damaged", _AGAIN) from error
    return found
