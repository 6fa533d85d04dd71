"""Write files that are never half-written, and load checkpoints without executing anything."""

import contextlib
import errno
import hashlib
import json
import os
import pickle
import tempfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ibn_seg.checkpoint_files import DAMAGE, check_kind, named_classes
from ibn_seg.errors import EnvError, UserError
from ibn_seg.harmless_classes import Entry, entries, stands_for, unknown_names

# The first version where `weights_only=True` is the default and accepts further classes by the name
# they have in files. Older versions also know fewer classes.
RESTRICTED_SINCE = (2, 6)

# The system's errors for another kind of file where a folder should be.
_NO_FOLDER = (errno.EEXIST, errno.ENOTDIR, errno.ELOOP)

# PyTorch keeps the list of allowed classes once per process.
_ONE_READER = threading.Lock()


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it replaces `path` when the block succeeds.

    Readers see the old file or the complete new one, never a part. A block that fails leaves
    nothing behind. The temporary name keeps the suffix of `path`, because image writers choose the
    format by it.

    Raises:
        EnvError: The folder cannot be written, or the disk is full.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem}.", suffix=f".tmp{path.suffix}", dir=path.parent
        )
    except OSError as error:
        raise write_error(path, error) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes private files, but others should be able to read results.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` to `path` atomically, as UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | os.PathLike, data: Any) -> None:
    """Write `data` to `path` atomically as indented JSON; floats keep every digit."""
    write_text(path, json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """Return the content of a JSON file.

    Raises:
        UserError: The file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a JSON file", str(error)) from error


def write_error(path: str | os.PathLike, error: OSError) -> EnvError:
    """Return the one-line error for a failed write to `path`."""
    blocked = _no_folder(error.filename or path) if error.errno in _NO_FOLDER else None
    reason = blocked or error.strerror or str(error)
    fix = "choose another folder" if blocked else "free space or choose another folder"
    return EnvError(f"{path}: cannot be written ({reason})", fix)


def _no_folder(path: str | os.PathLike) -> str | None:
    """Return the first part of a path that exists and is no folder, or None."""
    parts = (*reversed(Path(path).parents), Path(path))
    block = next(
        (part for part in parts if os.path.lexists(part) and not os.path.isdir(part)), None
    )
    if block is None:
        return None
    broken = os.path.islink(block) and not os.path.exists(block)
    return f"{block} is {'a broken link' if broken else 'a file, not a folder'}"


def sha256(path: str | os.PathLike) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha1(path: str | os.PathLike) -> str:
    """Return the hexadecimal SHA-1 of a file, which some publish."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha1").hexdigest()


def load_checkpoint(
    path: str | os.PathLike, map_location: str = "cpu", stand_ins: bool = True
) -> Any:
    """Load the tensors and plain values of a PyTorch checkpoint, or the arrays of an MXNet file.

    All checkpoint readers call this, so they all accept the same files. Unpickling is restricted to
    `torch.load(weights_only=True)`: nothing in a file is executed. Classes known to be harmless
    (`harmless_classes`) are read as they are. An older PyTorch does not accept these classes and
    refuses such files. They are never loaded without the restriction.

    A `.params` file of MXNet becomes tensors under the names that it has (see `mxnet_params`).

    Args:
        path: A local file.
        map_location: The device that the tensors go to.
        stand_ins: Replace objects of other classes, such as Lightning's hyperparameters, by empty
            ones. With False such a file is refused; use that to continue from its whole content.

    Raises:
        UserError: The file is missing, damaged, no checkpoint, or holds forbidden classes.
        EnvError: It cannot be read.
    """
    import torch

    path = Path(path)
    if check_kind(path):
        from ibn_seg.mxnet_params import read_params

        arrays = read_params(path)
        return {name: torch.from_numpy(a).to(map_location) for name, a in arrays.items()}
    names = named_classes(path)
    given = [] if torch.__version__ < RESTRICTED_SINCE else entries(names, stand_ins)
    try:
        with _allowed(given):
            content = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refusal(path, torch.__version__, unknown_names(names, given)) from error
    except DAMAGE as error:
        if any(stands_for(entry) for entry, _ in given):  # which may be what did not fit
            raise _refusal(path, torch.__version__, unknown_names(names, given)) from error
        # PyTorch's first sentence names the problem; the rest is advice for its developers.
        reason = str(error).strip().partition("\n")[0].partition(". ")[0] or type(error).__name__
        raise UserError(
            f"{path}: not a readable PyTorch checkpoint ({reason})", "copy or download it again"
        ) from error
    if network := stands_for(content):
        raise UserError(
            f"{path}: refused, it is a whole pickled object ({network}), not its weights",
            "write network.state_dict() with torch.save where the class is, and use that file",
        )
    return content


@contextlib.contextmanager
def _allowed(given: Iterable[Entry]) -> Iterator[None]:
    """Let the restricted unpickler call the given classes, only in this block.

    PyTorch keeps one list for the whole process, so blocks in several threads run one after the
    other. Classes that the process allowed itself stay allowed.
    """
    given = list(given)
    if not given:
        yield
        return
    import torch

    with _ONE_READER:
        present = {
            each[1] if isinstance(each, tuple) else f"{each.__module__}.{each.__qualname__}"
            for each in torch.serialization.get_safe_globals()
        }
        with torch.serialization.safe_globals([e for e in given if e[1] not in present]):
            yield


def drop_training_state(path: str | os.PathLike) -> None:
    """Keep a checkpoint's network and description; drop what only resuming needs.

    With the common optimisers, the network is a half or a third of the file.

    Args:
        path: A checkpoint of mmengine. A smaller one replaces it.

    Raises:
        UserError: It cannot be read.
        EnvError: It cannot be written.
    """
    import torch

    checkpoint = load_checkpoint(path, stand_ins=False)
    kept = {key: checkpoint[key] for key in ("meta", "state_dict") if key in checkpoint}
    if len(kept) < len(checkpoint):
        with atomic_path(path) as temporary:
            torch.save(kept, temporary)


def _refusal(path: Path, version: Any, unknown: list[str]) -> UserError:
    """Return the error for a file that a PyTorch version's restricted reader refused.

    Args:
        path: The file.
        version: `torch.__version__`, which compares with tuples.
        unknown: Classes and functions in it that are not known as harmless.
    """
    if version < RESTRICTED_SINCE:
        newer = ".".join(map(str, RESTRICTED_SINCE))
        return UserError(
            f"{path}: refused, PyTorch {version} cannot load it safely",
            f"use PyTorch {newer} or newer, or save the state dict alone where it was written and "
            "use that file",
        )
    named = f" ({', '.join(unknown[:3])})" if unknown else ""
    return UserError(
        f"{path}: refused, it holds more than tensors and plain values{named}",
        "loading it could execute code; save the state dict alone and use that file",
    )


def _umask() -> int:
    """Return the process's umask; the system only tells it while setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
