"""Read the arrays of an MXNet `.params` file without MXNet.

The format is that of `NDArray::Save` and `NDArray::Load` in apache/mxnet, src/ndarray/ndarray.cc,
versions 0.10 to 1.9.1. All numbers are little-endian, nothing is padded::

    file    u64 0x112 | u64 reserved | u64 n | n arrays | u64 n | n names
    name    u64 length | UTF-8
    array   one of four generations, which a number at its beginning tells apart

Every count and size is compared with the bytes that are left before anything is made from it.
"""

import math
import os
import struct
from collections import Counter
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ibn_seg.checkpoint_files import MXNET
from ibn_seg.errors import EnvError, UserError

_AGAIN = "copy or download it again"
# The generations 1, 2 and 3 begin with these numbers; 0 begins with its number of dimensions.
_GENERATIONS = {0xF993FAC8: 1, 0xF993FAC9: 2, 0xF993FACA: 3}
_GENERATION_LIKE = 0xF993FA00
_SPARSE = {1: "row-sparse", 2: "CSR"}
_BOOL, _BFLOAT16 = 7, 12
# The numbers 8 to 11 stand for 16-bit and unsigned integers, which MXNet 1.x refuses too.
_DTYPES = {
    0: "<f4", 1: "<f8", 2: "<f2", 3: "|u1", 4: "<i4", 5: "|i1", 6: "<i8",
    _BOOL: "|u1", _BFLOAT16: "<u2",
}  # fmt: skip
# The smallest array (generation 0 without dimensions) and name that a file can hold, in bytes.
_LEAST_ARRAY, _LEAST_NAME = 4, 8
# NumPy 1 allows no more.
_MOST_DIMENSIONS = 32
# For arrays without values, whose other dimensions no number of bytes limits.
_MOST_BYTES = 2**62


def read_params(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Return the arrays of a `.params` file by their names, in the order of the file.

    Names keep the prefixes `arg:` and `aux:` of symbol checkpoints. bfloat16 becomes float32. The
    device that an array was saved on is ignored.

    Args:
        path: A file of any generation; generations may differ within it.

    Raises:
        UserError: The file is damaged, or it holds what no network here has: no arrays, arrays
            without names or of one name, sparse arrays, or arrays of unknown size.
        EnvError: It cannot be read.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return _Reader(path, file).read()
    except OSError as error:
        raise EnvError(
            f"{path}: cannot be read ({error.strerror or error})", "check its permissions"
        ) from error


class _Reader:
    """Takes one part of the file after the other, and knows how many bytes are left."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._left = os.fstat(file.fileno()).st_size
        self._part = "header"

    def read(self) -> dict[str, np.ndarray]:
        """Return all arrays by name."""
        if self._take(8) != MXNET:
            raise self._bad("its first eight bytes are not 0x112", "give a file of MXNet")
        self._take(8)  # reserved, which MXNet does not look at
        count = self._count(_LEAST_ARRAY, "arrays")
        if not count:
            raise self._bad("it holds no arrays", "give a file with weights")
        arrays = []
        for index in range(count):
            self._part = f"array {index + 1} of {count}"
            arrays.append(self._array())
        self._part = "names"
        names = self._names(count)
        if self._left:
            raise self._bad(f"{self._left} bytes follow its end")
        return dict(zip(names, arrays, strict=True))

    def _names(self, arrays: int) -> list[str]:
        count = self._count(_LEAST_NAME, "names")
        if not count:
            raise self._bad("its arrays have no names", "save a dict of arrays by name")
        if count != arrays:
            raise self._bad(f"it holds {arrays} arrays and {count} names")
        names: list[str] = []
        for _ in range(count):
            (length,) = self._numbers("Q")
            try:
                names.append(self._take(length).decode("utf-8"))
            except UnicodeDecodeError as error:
                raise self._bad(f"name {len(names) + 1} is not UTF-8") from error
        twice = [name for name, found in Counter(names).items() if found > 1]
        if twice:
            raise self._bad(f"two arrays have the name {twice[0]!r}", "save each by its own name")
        return names

    def _array(self) -> np.ndarray:
        (first,) = self._numbers("I")
        generation = _GENERATIONS.get(first, 0)
        if generation == 0:
            if first & 0xFFFFFF00 == _GENERATION_LIKE:
                raise self._bad(f"unknown generation 0x{first:08X} of arrays", "use MXNet 1.9.1")
            return self._dense(0, self._dimensions(first, "I"))
        if generation >= 2:
            (storage,) = self._numbers("i")
            if storage:
                kind = _SPARSE.get(storage, f"of the unknown storage type {storage}")
                raise self._bad(f"it is {kind}", "save dense arrays: array.tostype('default')")
        (dimensions,) = self._numbers("i")
        return self._dense(generation, self._dimensions(dimensions, "q"))

    def _dimensions(self, count: int, kind: str) -> tuple[int, ...]:
        size = struct.calcsize(f"<{kind}")
        if not 0 <= count <= min(self._left // size, _MOST_DIMENSIONS):
            raise self._bad(f"{count} dimensions")
        shape = self._numbers(f"{count}{kind}")
        if any(size < 0 for size in shape):
            raise self._bad(f"its shape is {shape}")
        return shape

    def _dense(self, generation: int, shape: tuple[int, ...]) -> np.ndarray:
        if not shape and generation < 3:
            # MXNet's mark of an array that was never filled; nothing follows it.
            raise self._bad("an array without a shape", "save it after the first forward pass")
        self._numbers("ii")  # where it was: type and number of the device
        (kind,) = self._numbers("i")
        if kind not in _DTYPES:
            raise self._bad(f"unknown type of values {kind}", "save float32 arrays")
        dtype = np.dtype(_DTYPES[kind])
        if math.prod(filter(None, shape)) * dtype.itemsize > _MOST_BYTES:
            raise self._bad(f"its shape is {shape}")
        values = np.frombuffer(self._take(math.prod(shape) * dtype.itemsize), dtype)
        if kind == _BOOL:  # NumPy would keep other bytes than 0 and 1
            values = values != 0
        elif kind == _BFLOAT16:  # the upper half of a float32
            values = (values.astype("<u4") << 16).view("<f4")
        return values.reshape(shape)

    def _count(self, least: int, what: str) -> int:
        """Return a number of parts, of which each takes at least `least` bytes."""
        (count,) = self._numbers("Q")
        if count > self._left // least:
            raise self._bad(f"{count} {what} in {self._left} bytes")
        return count

    def _numbers(self, kinds: str) -> tuple[int, ...]:
        return struct.unpack(f"<{kinds}", self._take(struct.calcsize(f"<{kinds}")))

    def _take(self, size: int) -> bytearray:
        """Return the next bytes, in memory that arrays may write to."""
        if size > self._left:
            raise self._bad(f"it is cut off, {size} bytes should follow and {self._left} do")
        taken = bytearray(size)
        if self._file.readinto(taken) < size:
            raise self._bad("it became shorter while it was read")
        self._left -= size
        return taken

    def _bad(self, reason: str, fix: str = _AGAIN) -> UserError:
        return UserError(f"{self._path}: not a readable MXNet file, {self._part}: {reason}", fix)
