"""Which dtype a result has, and in which one it is computed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_FLOATS = (np.float16, np.float32, np.float64)


def result_dtype(function: str, *operands: Any) -> np.dtype[Any]:
    """Return what NumPy promotes the operands to, and float64 where that is no float.

    Operands are arrays, dtypes, or numbers, which promote as NumPy's own do.
    """
    dtype: np.dtype[Any] = np.result_type(*operands)
    if dtype.kind in "iub":
        return np.dtype(np.float64)
    if dtype.type not in _FLOATS:
        raise TypeError(
            f"{function}: the operands must be of float16, float32, float64, integers or bools, "
            f"got {dtype}"
        )
    return dtype if dtype.isnative else dtype.newbyteorder("=")


def computing_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype to compute a result of `dtype` in: the engine and BLAS have no float16."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def after_forward(kept: Array | None, layer: object) -> Array:
    """Return what the forward pass of a layer kept."""
    if kept is None:
        raise RuntimeError(f"{type(layer).__name__}.backward: forward must be called before")
    return kept
