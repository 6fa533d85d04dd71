"""Files of MXNet, written without it, and the folder of golden ones."""

import struct
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.parity.fill_mxnet import filled_array

_HEADER = struct.pack("<QQ", 0x112, 0)
_MAGIC = {1: 0xF993FAC8, 2: 0xF993FAC9, 3: 0xF993FACA}
_TYPES = {
    name: number
    for number, name in enumerate(
        ("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool")
    )
}
_GOLDEN = Path(__file__).parent / "parity" / "mxnet_golden.tar.xz"


def write_params(
    path: Path, arrays: Mapping[str, np.ndarray], generation: int = 2, device: int = 1
) -> Path:
    """Write a `.params` file of one generation, with the bytes that MXNet writes on a device."""
    parts = [_HEADER, struct.pack("<Q", len(arrays))]
    for array in arrays.values():
        if generation:
            parts.append(struct.pack("<I", _MAGIC[generation]))
        if generation > 1:
            parts.append(struct.pack("<i", 0))
        sizes = "I" if generation == 0 else "q"
        parts.append(struct.pack(f"<i{array.ndim}{sizes}", array.ndim, *array.shape))
        parts.append(struct.pack("<iii", device, 0, _TYPES[str(array.dtype)]))
        parts.append(np.ascontiguousarray(array).tobytes())
    parts.append(struct.pack("<Q", len(arrays)))
    for name in arrays:
        text = name.encode()
        parts.append(struct.pack("<Q", len(text)) + text)
    path.write_bytes(b"".join(parts))
    return path


def filled(entry: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the arrays of a golden network, under the names of its file."""
    groups = {"": entry.get("arrays"), "arg:": entry.get("arg"), "aux:": entry.get("aux")}
    return {
        f"{prefix}{name}": filled_array(name, shape, entry["seed"])
        for prefix, shapes in groups.items()
        for name, shape in (shapes or {}).items()
    }


def unpack_golden(folder: Path) -> Path:
    """Unpack the golden files below a folder and return where they are.

    They are those of `../shared/golden/mxnet`, without real networks and with one `.params` file of
    a network. `filled` and `write_params` make the others.
    """
    with tarfile.open(_GOLDEN) as archive:
        archive.extractall(folder, filter="data")
    return folder / "mxnet"
