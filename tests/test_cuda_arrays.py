"""convolt.cuda.Array: what it does as an ndarray does it, and what it refuses."""

from __future__ import annotations

import copy
import operator
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convolt
from convolt.cuda import Array, asarray, asnumpy, empty, zeros, zeros_like
from cuda_device import needs_device
from memory_layouts import LAYOUTS

pytestmark = needs_device

DTYPES = [np.float32, np.float64]
RNG = np.random.default_rng(7)


def integers(shape: tuple[int, ...], dtype: Any = np.float32, *, positive: bool = False) -> Any:
    return RNG.integers(1 if positive else -4, 5, shape).astype(dtype)


def same(array: Array, expected: Any) -> None:
    assert type(array) is Array
    got, expected = array.numpy(), np.asarray(expected)
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    np.testing.assert_array_equal(got, expected)


# --- to the device and back -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [*DTYPES, np.int64, np.uint8])
@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3), (2, 3, 4, 5), (0,), (2, 0, 3)])
def test_a_copy_there_and_back(shape: tuple[int, ...], dtype: Any) -> None:
    x = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    array = asarray(x)
    same(array, x)
    described = (array.shape, array.dtype, array.ndim, array.size, array.nbytes)
    assert described == (x.shape, x.dtype, x.ndim, x.size, x.nbytes)
    assert array.device == "cuda:0"
    assert array.numpy() is not array.numpy()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_on_the_host(layout: str) -> None:
    x = integers((2, 3, 4, 5), np.float64)
    same(asarray(LAYOUTS[layout](x)), x)


def test_the_copies_are_apart() -> None:
    x = integers((3, 4))
    array, before = asarray(x), x.copy()
    x[...] = 9
    same(array, before)
    host = array.numpy()
    host[...] = 8
    same(array, before)


def test_a_conversion_on_the_way() -> None:
    same(asarray([[1, 2], [3, 4]], np.float32), np.array([[1, 2], [3, 4]], np.float32))
    same(asarray(np.array([1.5, 2.5], ">f4")), np.array([1.5, 2.5], np.float32))
    array = asarray(np.ones(3, np.float32))
    assert asarray(array, np.float32) is array
    with pytest.raises(TypeError, match=r"^asarray: dtype must be float32 as that of x"):
        asarray(array, np.float64)


@pytest.mark.parametrize("dtype", [np.int32, np.float16, np.complex64, bool, object])
def test_dtypes_that_no_operator_takes(dtype: Any) -> None:
    with pytest.raises(TypeError, match=r"^asarray: dtype must be float32 or float64, or int64"):
        asarray(np.zeros(3, dtype))
    with pytest.raises(TypeError, match=r"^empty: dtype must be"):
        empty(3, dtype)


def test_asarray_and_asnumpy_leave_what_is_there() -> None:
    array, x = asarray(integers((2, 3))), integers((2, 3))
    assert asarray(array) is array
    assert asarray(array, device="cuda:0") is array
    assert asnumpy(x) is x
    np.testing.assert_array_equal(asnumpy(array), array.numpy())


def test_new_arrays() -> None:
    same(zeros((2, 3)), np.zeros((2, 3), np.float32))
    same(zeros(4, np.float64), np.zeros(4))
    same(zeros_like(asarray(integers((2, 2), np.float64))), np.zeros((2, 2)))
    same(np.zeros_like(asarray(integers((2, 2)))), np.zeros((2, 2), np.float32))
    array = empty((2, 5), np.int64)
    assert (array.shape, array.dtype) == ((2, 5), np.int64)


# --- parts and views ------------------------------------------------------------------------------


def test_views_share_memory() -> None:
    x = integers((4, 6))
    array = asarray(x)
    for view in (array.reshape(2, 12), array.reshape((24,)), array[1:3], array.view(), array[...]):
        assert array.overlaps(view)
    array[1:3][...] = 7
    array.reshape(24)[0:2] = 5
    x[1:3] = 7
    x.ravel()[0:2] = 5
    same(array, x)


def test_copies_do_not() -> None:
    array = asarray(integers((4, 6)))
    for other in (array.copy(), array[:, 1:3], copy.deepcopy(array), +1 * array):
        assert not array.overlaps(other)
    same(array.copy(), array.numpy())


@pytest.mark.parametrize(
    "shape", [(24,), (-1,), (2, -1), (4, 3, 2), (-1, 1), (1, 24, 1), ([2, 12],), ((3, 8),)]
)
def test_reshape(shape: tuple[Any, ...]) -> None:
    x = integers((4, 6))
    same(asarray(x).reshape(*shape), x.reshape(*shape))


def test_reshape_of_nothing_and_to_what_does_not_fit() -> None:
    same(asarray(np.zeros((0, 3), np.float32)).reshape(0, 5), np.zeros((0, 5), np.float32))
    for shape in ((5, 5), (-1, 5), (-1, -1)):
        with pytest.raises(ValueError, match=r"reshape: shape must hold 24 elements, got \("):
            asarray(np.zeros((4, 6), np.float32)).reshape(*shape)


PARTS = {
    "rows": np.s_[1:3],
    "of the end": np.s_[-2:],
    "beyond": np.s_[2:99],
    "none": np.s_[3:1],
    "all": np.s_[...],
    "channels": np.s_[:, 1:2],
    "no channels": np.s_[:, 2:2],
    "third axis": np.s_[:, :, :-1],
}


@pytest.mark.parametrize("key", PARTS.values(), ids=PARTS)
def test_parts(key: Any) -> None:
    x = integers((4, 3, 5))
    same(asarray(x)[key], x[key])


@pytest.mark.parametrize("key", [0, (0, 1), np.s_[::2], np.s_[1:2, 1:2], [0, 1], None, np.s_[:, 0]])
def test_other_parts(key: Any) -> None:
    with pytest.raises(TypeError, match="an index must be a slice without a step"):
        asarray(integers((4, 3, 5)))[key]


def test_assignment() -> None:
    x = integers((4, 3))
    array, pointer = asarray(x), asarray(x)
    pointer = array.__cuda_array_interface__["data"][0]
    array[...] = 3
    same(array, np.full_like(x, 3))
    array[...] = x
    same(array, x)
    array[1:3] = asarray(-x[1:3])
    x[1:3] *= -1
    same(array, x)
    array[0:2] = x[2:4, ::-1][:, ::-1]
    x[0:2] = x[2:4]
    same(array, x)
    assert array.__cuda_array_interface__["data"][0] == pointer


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        (np.s_[...], np.zeros((3, 4), np.float32), ValueError),
        (np.s_[...], np.zeros((4, 3)), ValueError),
        (np.s_[0:1], np.zeros((4, 3), np.float32), ValueError),
        (np.s_[...], [[1, 2, 3]] * 4, TypeError),
        (np.s_[:, 0:1], 0, TypeError),
        (0, 0, TypeError),
    ],
)
def test_assignments_that_are_refused(key: Any, value: Any, error: type[Exception]) -> None:
    array = zeros((4, 3))
    with pytest.raises(error, match=r"^convolt\.cuda\.Array: "):
        array[key] = value
    same(array, np.zeros((4, 3), np.float32))


def test_what_is_read_only() -> None:
    array = zeros((2, 2))
    view = array.view()
    view.flags.writeable = False
    assert array.flags.writeable
    for write in (
        lambda: operator.setitem(view, np.s_[...], 1),
        lambda: operator.iadd(view, 1),
        lambda: np.exp(view, out=view),
        lambda: operator.setitem(view[0:1], np.s_[...], 1),
        lambda: operator.setitem(view.reshape(4), np.s_[...], 1),
        lambda: convolt.global_avg_pool2d(zeros((1, 4, 1, 1)), out=view.reshape(1, 4, 1, 1)),
    ):
        with pytest.raises(ValueError, match="read-only"):
            write()
    same(array, np.zeros((2, 2), np.float32))


def test_concatenate() -> None:
    parts = [integers((2, n, 3)) for n in (1, 4, 2)]
    same(np.concatenate(list(map(asarray, parts)), axis=1), np.concatenate(parts, axis=1))
    parts = [integers((n, 2)) for n in (3, 0, 1)]
    same(np.concatenate(list(map(asarray, parts))), np.concatenate(parts))


# --- arithmetic -----------------------------------------------------------------------------------

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


# --- as an object ---------------------------------------------------------------------------------


def test_what_python_asks_of_it() -> None:
    array = asarray(integers((2, 3)))
    assert len(array) == 2
    assert repr(array) == "convolt.cuda.Array(shape=(2, 3), dtype=float32, device='cuda:0')"
    assert float(asarray(np.full((), 2.5))) == 2.5
    assert bool(asarray(np.ones(1)))
    assert not asarray(np.zeros(1))
    with pytest.raises(TypeError, match=r"len\(\) must come with an axis"):
        len(array.sum())
    with pytest.raises(ValueError, match="truth value"):
        bool(array)
    with pytest.raises(TypeError, match="unhashable"):
        hash(array)


def test_copies_and_pickles() -> None:
    array = asarray(integers((2, 3), np.float64))
    for other in (copy.copy(array), copy.deepcopy(array), pickle.loads(pickle.dumps(array))):
        same(other, array.numpy())
        assert other is not array


def test_no_copy_to_the_host_behind_the_back() -> None:
    array = asarray(integers((2, 3)))
    for convert in (np.asarray, np.array, np.ascontiguousarray, list, sum):
        with pytest.raises(TypeError, match=r"use x\.numpy\(\)|an index must be a slice"):
            convert(array)


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


# --- the device -----------------------------------------------------------------------------------


def test_the_device() -> None:
    assert convolt.cuda.device_count() >= 1
    properties = convolt.cuda.device_properties()
    assert properties["multiprocessors"] >= 1
    assert properties["name"]
    memory = convolt.cuda.memory_info()
    assert 0 < memory["free"] <= memory["total"]
    convolt.cuda.synchronize()
    convolt.cuda.release_memory()
    with pytest.raises(TypeError, match=r"^allow_tf32: allowed must be True or False, got 1$"):
        convolt.cuda.allow_tf32(1)


def test_products_that_are_allowed_to_round_more() -> None:
    a, b = integers((8, 16)), integers((16, 8))
    convolt.cuda.allow_tf32(True)
    try:
        same(asarray(a) @ asarray(b), a @ b)  # small integers have no more than 10 bits
    finally:
        convolt.cuda.allow_tf32(False)
