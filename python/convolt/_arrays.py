"""The array policy: which arrays the compiled operators take, and when one copy is made."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def _as_ndarray(value: Any, name: str, function: str) -> NDArray[Any]:
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{function}: {name} must be a plain array, got a masked array, whose mask would be "
            f"lost; pass {name}.filled(...)"
        )
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{function}: {name} must be a NumPy array, got {type(value).__name__}")
    return np.asarray(value)


def _as_ready(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return `array` itself where the engine can read it, else one copy that it can read."""
    flags = array.flags
    if flags.c_contiguous and flags.aligned and array.dtype.isnative and array.dtype == dtype:
        return array
    return np.array(array, dtype=dtype, order="C")


def operand(
    value: Any, name: str, function: str, *, like: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Return a float32 or float64 array as the engine reads it: C-contiguous, aligned, native.

    Any strides, byte order and alignment are accepted, read-only arrays and subclasses too; what
    the engine cannot read directly is copied once. The dtype is never converted: an integer array,
    or one that differs from `like`, is a ``TypeError``.
    """
    array = value if type(value) is np.ndarray else _as_ndarray(value, name, function)
    dtype = array.dtype.newbyteorder("=")
    if dtype not in _FLOATS:
        raise TypeError(f"{function}: {name} must be float32 or float64, got {array.dtype}")
    if like is not None and dtype != like.dtype:
        raise TypeError(
            f"{function}: {name} must be {like.dtype} as the other operand is, got {dtype} "
            "(float32 and float64 are supported, not a mixture)"
        )
    return _as_ready(array, dtype)


def optional_operand(
    value: Any, name: str, function: str, *, like: NDArray[Any]
) -> NDArray[Any] | None:
    """Return ``None`` for ``None``, else the :func:`operand`."""
    return None if value is None else operand(value, name, function, like=like)


def index_operand(value: Any, function: str) -> NDArray[np.int64]:
    """Return the indices of a pooling as the engine reads them."""
    array = _as_ndarray(value, "indices", function)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{function}: indices must be integers, got {array.dtype}")
    return _as_ready(array, np.dtype(np.int64))


def check_output(out: Any, function: str, **inputs: Any) -> None:
    """Refuse an `out` that is no array or shares memory with an input.

    The inputs are the caller's, before any copy. The engine checks dtype, shape and layout of
    `out`: it writes `out` itself or nothing.
    """
    if out is None:
        return
    if type(out) is not np.ndarray:
        raise TypeError(f"{function}: out must be a NumPy array, got {type(out).__name__}")
    for name, array in inputs.items():
        if isinstance(array, np.ndarray) and np.shares_memory(out, array):
            raise ValueError(f"{function}: out must not share memory with {name}")
