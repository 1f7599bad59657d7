"""Memory layouts of float arrays: the same values and shape, other memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Array = NDArray[Any]


def _copy(array: Array) -> Array:
    return np.array(array, order="C")


def _fortran(array: Array) -> Array:
    return np.array(array, order="F")


def _channels_last(array: Array) -> Array:
    if array.ndim < 3:
        return _fortran(array)
    return np.moveaxis(_copy(np.moveaxis(array, 1, -1)), -1, 1)


def _reversed(array: Array) -> Array:
    flip = (slice(None, None, -1),) * array.ndim
    return _copy(array[flip])[flip]


def _stepped(array: Array) -> Array:
    """Every second or third element, of which the others are NaN."""
    steps = [2 + axis % 2 for axis in range(array.ndim)]
    shape = [n * step + 1 for n, step in zip(array.shape, steps, strict=True)]
    view = np.full(shape, np.nan, array.dtype)[tuple(slice(1, None, step) for step in steps)]
    view[...] = array
    return view


def _zero_stride(array: Array) -> Array:
    """A stride of zero along every axis on which the array is constant."""
    first = array
    for axis in range(array.ndim):
        slab = first.take(range(min(1, first.shape[axis])), axis=axis)
        if np.array_equal(np.broadcast_to(slab, first.shape), first):
            first = slab
    return np.broadcast_to(_copy(first), array.shape)


def _misaligned(array: Array) -> Array:
    holder = np.empty(array.nbytes + 1, np.uint8)
    view = holder[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def _byte_swapped(array: Array) -> Array:
    return array.astype(array.dtype.newbyteorder("S"))


def _read_only(array: Array) -> Array:
    copy = _copy(array)
    copy.flags.writeable = False
    return copy


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "contiguous": _copy,
    "fortran": _fortran,
    "channels_last": _channels_last,
    "reversed": _reversed,
    "stepped": _stepped,
    "zero_stride": _zero_stride,
    "misaligned": _misaligned,
    "byte_swapped": _byte_swapped,
    "read_only": _read_only,
}
"""Functions that lay a float array out anew: the same values and shape, other memory."""

layouts = st.sampled_from(sorted(LAYOUTS))
