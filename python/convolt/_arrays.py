"""The array policy: which arrays the compiled operators take, and when one copy is made."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))

# The devices of DLPack whose memory a CUDA device reads: its own, and managed memory.
_CUDA_DEVICES = (2, 13)


def is_on_device(value: Any) -> bool:
    """Tell whether `value` is an array on a CUDA device, of this library or another."""
    if isinstance(value, np.ndarray):
        return False
    if hasattr(value, "__cuda_array_interface__"):
        return True
    describe = getattr(value, "__dlpack_device__", None)
    return describe is not None and describe()[0] in _CUDA_DEVICES


def own_array(value: Any, name: str, function: str) -> Any:
    """Return a `convolt.cuda.Array` over what is on a CUDA device."""
    from convolt.cuda._array import as_own

    return as_own(value, f"{function}: {name}")


def _as_array(value: Any, name: str, function: str) -> NDArray[Any]:
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{function}: {name} must be a plain array, got a masked array, whose mask would be "
            f"lost; pass {name}.filled(...)"
        )
    if isinstance(value, np.ndarray):
        return np.asarray(value)
    if is_on_device(value):
        own: NDArray[Any] = own_array(value, name, function)
        return own
    raise TypeError(f"{function}: {name} must be a NumPy array, got {type(value).__name__}")


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
    array = value if type(value) is np.ndarray else _as_array(value, name, function)
    dtype = array.dtype.newbyteorder("=")
    if dtype not in _FLOATS:
        raise TypeError(f"{function}: {name} must be float32 or float64, got {array.dtype}")
    if like is not None and dtype != like.dtype:
        raise TypeError(
            f"{function}: {name} must be {like.dtype} as the other operand is, got {dtype} "
            "(float32 and float64 are supported, not a mixture)"
        )
    if like is not None and type(array) is not type(like):
        _refuse_mixture(array, name, function)
    return _as_ready(array, dtype)


def _refuse_mixture(array: Any, name: str, function: str) -> None:
    if isinstance(array, np.ndarray):
        raise TypeError(
            f"{function}: {name} must be on the CUDA device as the other operand is, got a NumPy "
            f"array; convolt.cuda.asarray({name}) puts it there"
        )
    raise TypeError(
        f"{function}: {name} must be a NumPy array as the other operand is, got an array on a CUDA "
        "device; convolt.cuda.asarray(x) puts the other one there"
    )


def optional_operand(
    value: Any, name: str, function: str, *, like: NDArray[Any]
) -> NDArray[Any] | None:
    """Return ``None`` for ``None``, else the :func:`operand`."""
    return None if value is None else operand(value, name, function, like=like)


def index_operand(value: Any, function: str, *, like: NDArray[Any]) -> NDArray[np.int64]:
    """Return the indices of a pooling as the engine reads them, which are where `like` is."""
    array = _as_array(value, "indices", function)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{function}: indices must be integers, got {array.dtype}")
    if type(array) is not type(like):
        _refuse_mixture(array, "indices", function)
    if is_on_device(array) and array.dtype != np.int64:
        raise TypeError(f"{function}: indices must be int64 on a CUDA device, got {array.dtype}")
    return _as_ready(array, np.dtype(np.int64))


def winners_operand(value: Any, function: str, *, like: NDArray[Any]) -> NDArray[Any]:
    """Return the winners of a pooling as the engine reads them, which are where `like` is."""
    array = _as_array(value, "winners", function)
    if type(array) is not type(like):
        _refuse_mixture(array, "winners", function)
    return _as_ready(array, array.dtype)


def check_output(out: Any, function: str, **inputs: Any) -> None:
    """Refuse an `out` that is no array or shares memory with an input.

    The inputs are the caller's, before any copy. The engine checks dtype, shape and layout of
    `out`: it writes `out` itself or nothing.
    """
    if out is None:
        return
    if type(out) is not np.ndarray and not is_on_device(out):
        raise TypeError(f"{function}: out must be a NumPy array, got {type(out).__name__}")
    if is_on_device(out) != any(map(is_on_device, inputs.values())):
        _refuse_mixture(out, "out", function)
    if type(out) is not np.ndarray:
        out = _own_output(out, function)
    for name, array in inputs.items():
        if _share_memory(out, array, name, function):
            raise ValueError(f"{function}: out must not share memory with {name}")


def _own_output(out: Any, function: str) -> Any:
    """Return an array over the memory of `out`, which is on a device and not to be copied."""
    own = own_array(out, "out", function)
    if own is not out and not own.borrowed:
        raise ValueError(f"{function}: out must be C-contiguous, got an array that is not")
    return own


def _share_memory(out: Any, array: Any, name: str, function: str) -> bool:
    if isinstance(out, np.ndarray):
        return isinstance(array, np.ndarray) and np.shares_memory(out, array)
    return is_on_device(array) and bool(out.overlaps(own_array(array, name, function)))
