"""Archives in the form of the official ones, good and bad."""

import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path


def pack_zip(path: Path, folder: Path, prefix: str = "", method: int = zipfile.ZIP_STORED) -> Path:
    """Pack every file below a folder."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, f"{prefix}{file.relative_to(folder).as_posix()}")
    return path


def pack_tar(path: Path, folder: Path, prefix: str = "", mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for file in sorted(folder.rglob("*")):
            archive.add(file, f"{prefix}{file.relative_to(folder).as_posix()}", recursive=False)
    return path


def zip_of(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def zip_with_link(path: Path, name: str, target: str) -> Path:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, target)
    return path


def zip_that_lies(path: Path, name: str, data: bytes, declared: int) -> Path:
    """Make a zip whose headers declare another size than the content has."""
    zip_of(path, {name: data}, zipfile.ZIP_DEFLATED)
    size = len(data).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, declared.to_bytes(4, "little")))
    return path


def tar_of(path: Path, entries: list[tuple[str, bytes, str]], mode: str = "w") -> Path:
    """Write a tar of (name, data or link target, kind)."""
    kinds = {"file": tarfile.REGTYPE, "link": tarfile.SYMTYPE, "hard link": tarfile.LNKTYPE,
             "device": tarfile.CHRTYPE, "pipe": tarfile.FIFOTYPE}  # fmt: skip
    with tarfile.open(path, mode) as archive:
        for name, data, kind in entries:
            info = tarfile.TarInfo(name)
            info.type = kinds[kind]
            if kind == "file":
                info.size = len(data)
            else:
                info.linkname = os.fsdecode(data)
            archive.addfile(info, io.BytesIO(data) if kind == "file" else None)
    return path
