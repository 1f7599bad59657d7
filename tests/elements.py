"""Small arrays of whole numbers, and what it means that an array on a device has them."""

from __future__ import annotations

from typing import Any

import numpy as np

from convolt.cuda import Array

DTYPES = [np.float32, np.float64]
RNG = np.random.default_rng(7)


def integers(shape: tuple[int, ...], dtype: Any = np.float32, *, positive: bool = False) -> Any:
    """Whole numbers from -4 to 4, or from 1 if they are to be positive."""
    return RNG.integers(1 if positive else -4, 5, shape).astype(dtype)


def same(array: Array, expected: Any) -> None:
    """Assert that an array on a device has these elements, this dtype and this shape."""
    assert type(array) is Array
    got, expected = array.numpy(), np.asarray(expected)
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    np.testing.assert_array_equal(got, expected)
