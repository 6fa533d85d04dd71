"""Check NumPy's numbers and arrays in a checkpoint before NumPy gets them.

NumPy trusts a pickle. Objects over given bytes, or a structure past the end of an array, make it
follow pointers that the file chose. Here only numbers, times and text are allowed, and an array
must have as many bytes as its shape needs.
"""

import math
import pickle
import re
from typing import Any

import numpy as np

# Booleans, whole, real and complex numbers, times, bytes, text; no objects, no structures.
_CODE = re.compile(r"b1|[mM]8|[iufcSU]\d{1,9}")
_ORDERS = ("<", ">", "=", "|")
_TIMES = "mM"
_UNIT = re.compile(r"[a-zA-Zμ]{1,7}")


class PickledType:
    """Replaces `numpy.dtype`, whose own state could describe any memory.

    Args:
        code: Such as 'f8', which is what NumPy writes.
        _: NumPy's further arguments, without effect.

    Attributes:
        dtype: NumPy's type. `numpy.dtype(...)` reads it from this attribute too.
    """

    def __init__(self, code: object, *_: object) -> None:
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            raise pickle.UnpicklingError(f"a checkpoint may not hold arrays of {code!r}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        """Set the byte order, and the unit of times; refuse a structure."""
        _, order, *structure = state[:5]
        if order not in _ORDERS or any(part is not None for part in structure):
            raise pickle.UnpicklingError("a checkpoint may not hold arrays of structures")
        dtype = self.dtype
        if dtype.kind in _TIMES and len(state) > 8:
            dtype = np.dtype(f"{dtype.kind}8{_unit(state[8])}")
        self.dtype = dtype.newbyteorder(order)

    def __reduce__(self) -> Any:
        """Pickle as NumPy's type does."""
        return self.dtype.__reduce__()


class PickledArray(np.ndarray):
    """Replaces `numpy.ndarray` while a file is read: an array that is empty until it gets a state.

    Args:
        kind: The class of the array, as NumPy's `_reconstruct` is given it; no subclass.
        _: Other arguments from the file, which have no effect.
    """

    def __new__(cls, kind: object = None, *_: object) -> "PickledArray":
        """Make an empty array."""
        # If a process itself allows NumPy's own class, PyTorch passes that class.
        if kind not in (cls, np.ndarray):
            raise pickle.UnpicklingError("a checkpoint may hold plain arrays only")
        return super().__new__(cls, 0, np.int8)

    def __setstate__(self, state: tuple) -> None:
        """Set shape, type and values if they fit each other."""
        _, shape, kind, fortran, data = state
        dtype = _checked(kind, data)
        sizes = isinstance(shape, tuple) and all(isinstance(n, int) and n >= 0 for n in shape)
        if not sizes or math.prod(shape) * dtype.itemsize != len(data):
            raise pickle.UnpicklingError(f"{len(data)} bytes for an array of {shape}")
        super().__setstate__((1, shape, dtype, bool(fortran), data))

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle as NumPy's array does."""
        return self.view(np.ndarray).__reduce_ex__(protocol)


def scalar(kind: object, data: object = b"") -> np.generic:
    """Return a number, time or text of NumPy from its bytes."""
    dtype = _checked(kind, data)
    if len(data) != dtype.itemsize:
        raise pickle.UnpicklingError(f"{len(data)} bytes for a number of {dtype}")
    if not data:  # an empty text
        return dtype.type()
    return np.frombuffer(data, dtype)[0]


def _checked(kind: object, data: object) -> np.dtype:
    """Return the type of bytes; refuse anything else in their place."""
    dtype = kind.dtype if isinstance(kind, PickledType) else kind
    if not isinstance(dtype, np.dtype) or dtype.hasobject or not isinstance(data, bytes):
        raise pickle.UnpicklingError("a checkpoint may not hold arrays of objects")
    return dtype


def _unit(given: Any) -> str:
    """Return the unit of times as text, such as '[D]', from the last part of NumPy's state."""
    _, (name, count, *_) = given
    name = name.decode() if isinstance(name, bytes) else name
    if not isinstance(name, str) or not _UNIT.fullmatch(name) or not isinstance(count, int):
        raise pickle.UnpicklingError(f"a checkpoint may not hold times in {name!r}")
    return "" if name == "generic" else f"[{count}{name}]"
