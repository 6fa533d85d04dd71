"""Files that are never half-written, and checkpoints that never execute anything."""

import contextlib
import hashlib
import json
import os
import pickle
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ibn_seg.errors import EnvError, UserError

# What `torch.save` writes: a ZIP archive, and before PyTorch 1.6 a pickle.
_CHECKPOINT_STARTS = (b"PK\x03\x04", b"\x80")

# The first version whose `weights_only=True` is the default and can be told of further classes
# under the names that files have for them. Older ones also know fewer classes by themselves.
RESTRICTED_SINCE = (2, 6)

# What reading damaged bytes ends in, in PyTorch's reader and restricted unpickler.
_DAMAGE = (
    RuntimeError, EOFError, ValueError, LookupError, OSError, struct.error,
    AssertionError, AttributeError, TypeError,
)  # fmt: skip


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place when the block succeeds.

    Readers see the old file or the whole new one, never a part; a failed block leaves nothing.
    The temporary name keeps the suffix of `path`, because image writers choose the format by it.

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
        # mkstemp makes private files; results are meant to be read by others.
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
    except ValueError as error:
        raise UserError(f"{path}: not a JSON file", str(error)) from error


def write_error(path: str | os.PathLike, error: OSError) -> EnvError:
    """Return the one-line error for a failed write to `path`."""
    reason = error.strerror or str(error)
    return EnvError(f"{path}: cannot be written ({reason})", "free space or choose another folder")


def sha256(path: str | os.PathLike) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_checkpoint(path: str | os.PathLike, map_location: str = "cpu") -> Any:
    """Load a PyTorch checkpoint that holds tensors and plain values only.

    Unpickling is restricted to `torch.load(weights_only=True)`: a checkpoint that holds anything
    that could execute code is refused before it does. An older PyTorch refuses some harmless ones
    too, such as those of mmengine's own `CheckpointHook`; nothing is loaded unrestricted then.

    Args:
        path: A local file.
        map_location: The device that the tensors go to.

    Raises:
        UserError: The file is missing, damaged, or holds other objects than weights.
    """
    import torch

    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint", "give the path of a .pth file")
    with path.open("rb") as file:
        start = file.read(4)
    if not start.startswith(_CHECKPOINT_STARTS):
        raise UserError(f"{path}: not a PyTorch checkpoint", "copy or download it again")
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refusal(path, torch.__version__) from error
    except _DAMAGE as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"{path}: not a readable PyTorch checkpoint ({reason})", "copy or download it again"
        ) from error


def drop_training_state(path: str | os.PathLike) -> None:
    """Leave of a checkpoint the network and what it is, not what only resuming needs.

    With the common optimisers that is a half or a third of the file.

    Args:
        path: A checkpoint of mmengine, which a smaller one takes the place of.

    Raises:
        UserError: It cannot be read.
        EnvError: It cannot be written.
    """
    import torch

    checkpoint = load_checkpoint(path)
    kept = {key: checkpoint[key] for key in ("meta", "state_dict") if key in checkpoint}
    if len(kept) < len(checkpoint):
        with atomic_path(path) as temporary:
            torch.save(kept, temporary)


def _refusal(path: Path, version: Any) -> UserError:
    """Return the error for a file that the restricted reader of a version of PyTorch refused.

    Args:
        path: The file.
        version: `torch.__version__`, which compares with tuples.
    """
    if version < RESTRICTED_SINCE:
        newer = ".".join(map(str, RESTRICTED_SINCE))
        return UserError(
            f"{path}: refused, PyTorch {version} cannot load it safely",
            f"use PyTorch {newer} or newer, or save the state dict alone where it was written and "
            "use that file",
        )
    return UserError(
        f"{path}: refused, it holds more than tensors and plain values",
        "loading it could execute code; save the state dict alone and use that file",
    )


def _umask() -> int:
    """Return the process's umask; the system only tells it while setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
