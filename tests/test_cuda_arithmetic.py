"""Arithmetic of arrays on a device: NumPy's, and what is refused of it."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from convolt.cuda import Array, asarray, empty
from cuda_device import needs_device
from elements import DTYPES, integers, same

pytestmark = needs_device

BINARY = [
    *(operator.add, operator.sub, operator.mul, operator.truediv),
    *(np.maximum, np.minimum, np.multiply),
]
COMPARISONS = [operator.gt, operator.ge, operator.lt, operator.le]
SHAPES = [
    ((2, 3), (2, 3)),
    ((2, 3), (3,)),
    ((3,), (2, 3)),
    ((2, 1), (1, 3)),
    ((2, 3, 4, 5), (3, 1, 1)),
    ((2, 0), (1,)),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("function", BINARY)
def test_two_arrays(function: Callable[..., Any], shapes: Any, dtype: Any) -> None:
    a, b = (integers(shape, dtype, positive=True) for shape in shapes)
    same(function(asarray(a), asarray(b)), function(a, b))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", [2, -1.5, np.float64(0.25), np.array(4.0), True])
@pytest.mark.parametrize("function", BINARY)
def test_an_array_and_a_number(function: Callable[..., Any], number: Any, dtype: Any) -> None:
    a = integers((2, 3), dtype, positive=True)
    plain = dtype(number)
    same(function(asarray(a), number), function(a, plain))
    same(function(number, asarray(a)), function(plain, a))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", COMPARISONS)
def test_comparisons_give_numbers(function: Callable[..., Any], dtype: Any) -> None:
    a, b = integers((4, 5), dtype), integers((4, 5), dtype)
    same(function(asarray(a), asarray(b)), function(a, b).astype(dtype))
    same(function(asarray(a), 1), function(a, 1).astype(dtype))
    same(function(1, asarray(a)), function(1, a).astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_functions_of_one_array(dtype: Any) -> None:
    a = integers((3, 4), dtype, positive=True)
    same(-asarray(a), -a)
    same(abs(-asarray(a)), a)
    same(np.reciprocal(asarray(2 * a)), 1 / (2 * a))
    for function in (np.exp, np.log, np.sqrt, np.tanh):
        got, expected = function(asarray(a)).numpy(), function(a)
        assert got.dtype == dtype
        np.testing.assert_allclose(got, expected, rtol=8 * np.finfo(dtype).eps)
    for exponent in (2, 0.5, -0.75):
        got, expected = (asarray(a) ** exponent).numpy(), a ** dtype(exponent)
        np.testing.assert_allclose(got, expected, rtol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize(
    "function", [operator.iadd, operator.isub, operator.imul, operator.itruediv]
)
def test_in_place(function: Callable[..., Any]) -> None:
    a, b = integers((3, 4)), integers((4,), positive=True)
    array = asarray(a)
    for other in (b, np.float32(2)):
        a = function(a, other)
        result = function(array, asarray(other) if np.ndim(other) else other)
        assert result is array
    same(array, a)


def test_out() -> None:
    a, b = integers((3, 4)), integers((3, 4))
    x, y, out = asarray(a), asarray(b), empty((3, 4))
    assert np.add(x, y, out=out) is out
    same(out, a + b)
    assert np.negative(x, out=x) is x
    same(x, -a)
    assert np.maximum(x, 0, out=None) is not x
    same(np.multiply(x, 2, dtype=np.float32), -2 * a)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("m", "k", "n"), [(2, 3, 4), (1, 1, 1), (5, 7, 1), (0, 3, 2), (2, 0, 3)])
def test_products_of_matrices(m: int, k: int, n: int, dtype: Any) -> None:
    a, b = integers((m, k), dtype), integers((k, n), dtype)
    expected = a @ b
    same(asarray(a) @ asarray(b), expected)
    same(asarray(np.ascontiguousarray(a.T)).T @ asarray(b), expected)
    same(asarray(a) @ asarray(np.ascontiguousarray(b.T)).T, expected)
    both = [asarray(np.ascontiguousarray(matrix.T)).T for matrix in (a, b)]
    same(both[0] @ both[1], expected)
    assert both[0].shape == (m, k)


AXES = [None, 0, 1, 3, -1, (0, 2, 3), (1,), (-1, 0), [2, 3]]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", ["sum", "mean", "max"])
def test_reductions(name: str, axis: Any, keepdims: bool) -> None:
    x = integers((2, 4, 4, 2), np.float64)
    axes = tuple(axis) if isinstance(axis, list) else axis
    expected = getattr(x, name)(axis=axes, keepdims=keepdims)
    same(getattr(asarray(x), name)(axis, keepdims=keepdims), expected)


def test_sums_of_nothing() -> None:
    x = np.zeros((0, 3), np.float32)
    same(asarray(x).sum(axis=0), np.zeros(3, np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same(asarray(x).mean(axis=0), x.mean(axis=0))
    with pytest.raises(ValueError, match="axis must be from -2 to 1, got 2"):
        asarray(x).sum(axis=2)


def test_nan_and_infinities_go_where_numpy_sends_them() -> None:
    a = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0])
    b = a[:, None] * np.ones(6)
    with np.errstate(all="ignore"):
        for function in (np.maximum, np.minimum, np.add, np.multiply, np.divide):
            same(function(asarray(a), asarray(b)), function(a, b))
        same(asarray(a) > 0, (a > 0).astype(float))
        same(np.exp(asarray(a[1:5])), np.exp(a[1:5]))
        same(asarray(b).max(axis=0), b.max(axis=0))


@pytest.mark.parametrize(
    "call",
    [
        lambda a: a == a,
        lambda a: a // 2,
        lambda a: a & 1,
        lambda a: np.sin(a),
        lambda a: np.add(a, a, where=True),
        lambda a: np.stack([a, a]),
        lambda a: np.where(a, a, a),
    ],
)
def test_what_numpy_does_with_its_own_only(call: Callable[[Array], Any]) -> None:
    with pytest.raises(TypeError, match=r"^convolt\.cuda\.Array: .* use x\.numpy\(\)$"):
        call(asarray(integers((2, 3))))


@pytest.mark.parametrize(
    "call",
    [
        lambda a, x: a + x,
        lambda a, x: x + a,
        lambda a, x: x @ a.reshape(3, 2),
        lambda a, x: np.multiply(a, a, out=x),
        lambda a, x: np.concatenate([a, x]),
        lambda a, x: a.T @ x,
        lambda a, x: x.T @ a,
        lambda a, x: a + "1",
    ],
)
def test_a_mixture_with_arrays_on_the_host(call: Callable[[Array, Any], Any]) -> None:
    x = integers((2, 3))
    with pytest.raises(TypeError, match=r"operands of \w+ must be arrays on the device or numbers"):
        call(asarray(x), x)


def test_a_mixture_of_dtypes() -> None:
    a = asarray(integers((2, 3)))
    with pytest.raises(TypeError, match="float"):
        a + asarray(integers((2, 3), np.float64))
    with pytest.raises(TypeError, match="dtype of multiply must be float32"):
        np.multiply(a, 2, dtype=np.float64)


def test_only_a_matrix_has_a_transpose() -> None:
    with pytest.raises(
        ValueError, match=r"T must be of a matrix, got an array of shape \(2, 3, 4\)"
    ):
        asarray(integers((2, 3, 4))).T  # noqa: B018
