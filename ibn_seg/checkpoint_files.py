"""Tell what kind of file a checkpoint is, from its first bytes and the names in its pickle."""

import pickle
import pickletools
import struct
import zipfile
import zlib
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ibn_seg.errors import EnvError, UserError

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
# PyTorch's old format is a sequence of pickles that begins with this number.
_OLD_MAGIC = 0x1950A86A20F9469CFC6C
_OLD_PICKLES = 4
# The first protocol with another operation for naming classes; 5 uses the same one.
_NEW_PROTOCOLS = (4, 5)
_AGAIN = "copy or download it again"
# Enough for the first file of a tar archive, which two blocks about its times may precede.
_TAR_BLOCK, _START = 512, 2048
# That file in the archives which PyTorch wrote at first.
_OLD_TAR = b"sys_info\0"
_REWRITE = "if you trust it, load it with torch.load and write its state dict with torch.save"
_TAR_AT, _TAR = 257, b"ustar"
# Files that people mistake for checkpoints: first bytes, kind of file, remedy.
_OTHERS = (
    (b"version https://git-lfs", "a pointer of Git LFS", "fetch the file itself: git lfs pull"),
    (b"\x1f\x8b", "compressed by gzip", "unpack it: gunzip"),
    (b"BZh", "compressed by bzip2", "unpack it: bunzip2"),
    (b"\xfd7zXZ", "compressed by xz", "unpack it: unxz"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it"),
    (b"Rar!", "a RAR archive", "unpack it"),
    (b"\x89HDF", "an HDF5 file", "give weights of PyTorch"),
    (b"\x93NUMPY", "a NumPy array", "give weights of PyTorch"),
)
_CONFIG = (", but a program or a config", "give CONFIG first and then CHECKPOINT")
# Errors that damaged bytes cause in PyTorch's reader and restricted unpickler.
DAMAGE = (
    RuntimeError, EOFError, ValueError, LookupError, OSError, struct.error,
    AssertionError, AttributeError, TypeError,
)  # fmt: skip
# The readers of archives and pickles use this limit too: a damaged length may be huge.
_DAMAGED_LISTS = (zipfile.BadZipFile, zlib.error, MemoryError, OverflowError)
# The first bytes of files with arrays of MXNet.
MXNET = struct.pack("<Q", 0x112)
_MXNET_SUFFIX = ".params"
_WEB_PAGE = (b"<!doctype", b"<html", b"<?xml")
_SAFETENSORS = (
    "write its tensors to a .pth file: torch.save(safetensors.torch.load_file('FILE'), 'FILE.pth')"
)


def check_kind(path: Path) -> bool:
    """Raise unless a file looks like the output of `torch.save` or like arrays of MXNet.

    Returns:
        Whether it holds arrays of MXNet.

    Raises:
        UserError: There is no such file, or it is no checkpoint; the line says what it is.
        EnvError: It cannot be read.
    """
    if path.is_dir():
        raise UserError(f"{path}: is a folder, not a PyTorch checkpoint", "give a .pth file in it")
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: not a PyTorch checkpoint, nor a file", "give a .pth file")
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint", "give the path of a .pth file")
    try:
        with path.open("rb") as file:
            start = file.read(_START)
    except OSError as error:
        raise EnvError(
            f"{path}: cannot be read ({error.strerror or error})", "check its permissions"
        ) from error
    if start.startswith(MXNET):
        return True
    if not start.startswith((_ZIP, _PICKLE)):
        kind, fix = _CONFIG if path.suffix == ".py" else _describe(start)
        other = "not a file of MXNet, nor " if path.suffix == _MXNET_SUFFIX else "not "
        raise UserError(f"{path}: {other}a PyTorch checkpoint{kind}", fix)
    return False


def named_classes(path: Path) -> set[str]:
    """Return the classes and functions named in a checkpoint, with their modules.

    Nothing is unpickled. The list ends at the first part that cannot be followed; PyTorch's reader
    then reports the damage.

    Raises:
        UserError: It is a pickle or an archive that `torch.save` did not write.
    """
    try:
        if zipfile.is_zipfile(path):
            return _named_in_zip(path)
        with path.open("rb") as file:
            return _named_in_row(path, file)
    except UserError:
        raise
    except (*DAMAGE, *_DAMAGED_LISTS):
        return set()


def _describe(start: bytes) -> tuple[str, str]:
    """Return what kind of file has these first bytes, and what to do."""
    if not start:
        return ", it is empty", _AGAIN
    for begin, kind, fix in _OTHERS:
        if start.startswith(begin):
            return f", but {kind}", fix
    if start.lstrip().lower().startswith(_WEB_PAGE):
        return ", but a web page", "download the file that the page links to"
    if start.lstrip().startswith(b"{"):
        return ", but a JSON file", "of a network of MXNet, give the .params file"
    if any(start.startswith(_OLD_TAR, block) for block in range(0, _START, _TAR_BLOCK)):
        return ", but PyTorch's format before 0.1.11, which cannot be read safely", _REWRITE
    if start[_TAR_AT:].startswith(_TAR):
        return ", but a tar archive", "unpack it"
    # The format begins with the length of a JSON header, eight bytes.
    if start[8:9] == b"{":
        return ", but a safetensors file", _SAFETENSORS
    return "", _AGAIN


def _named_in_zip(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        members = {name.partition("/")[2]: name for name in archive.namelist()}
        if "constants.pkl" in members:
            raise UserError(
                f"{path}: is a TorchScript archive, a program and not a checkpoint",
                "write its weights to a .pth file: "
                "torch.save(torch.jit.load('FILE').state_dict(), 'FILE.pth')",
            )
        if "data.pkl" not in members:
            raise UserError(
                f"{path}: not a PyTorch checkpoint, but another ZIP archive without data.pkl",
                "unpack it and give the .pth or .params file in it",
            )
        with archive.open(members["data.pkl"]) as file:
            return set(_names(path, file))


def _named_in_row(path: Path, file: BinaryIO) -> set[str]:
    first = list(pickletools.genops(file))
    if not any(value == _OLD_MAGIC for _, value, _ in first):
        raise UserError(
            f"{path}: not a PyTorch checkpoint, but a pickle that torch.save did not write",
            "load it where it was written and write the state dict with torch.save",
        )
    found: set[str] = set()
    for _ in range(_OLD_PICKLES - 1):
        found.update(_names(path, file))
    return found


def _names(path: Path, file: BinaryIO) -> Iterator[str]:
    """Yield the names in one pickle, as Python 3 spells them.

    PyTorch writes protocol 2. It names classes with a single operation, under their Python 2 names.
    """
    for operation, value, _ in pickletools.genops(file):
        if operation.name == "PROTO" and value in _NEW_PROTOCOLS:
            raise UserError(
                f"{path}: refused, PyTorch's safe reader does not know its pickle protocol {value}",
                "write it with torch.save(..., pickle_protocol=2), which is the default",
            )
        if operation.code.encode("latin-1") in (pickle.GLOBAL, pickle.INST):
            module, _, name = value.partition(" ")
            module, name = NAME_MAPPING.get(
                (module, name), (IMPORT_MAPPING.get(module, module), name)
            )
            yield f"{module}.{name}"
