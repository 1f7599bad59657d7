"""convolt.cuda.Array: what it does as an ndarray does it, and what it refuses."""

from __future__ import annotations

import copy
import operator
import pickle
from typing import Any

import numpy as np
import pytest

import convolt
from convolt.cuda import asarray, asnumpy, empty, zeros, zeros_like
from cuda_device import needs_device, needs_stand_in
from elements import DTYPES, integers, same
from memory_layouts import LAYOUTS

pytestmark = needs_device

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


@needs_stand_in
def test_a_pickle_comes_back_to_its_device() -> None:
    array = asarray(integers((2, 3)), device="cuda:1")
    assert pickle.loads(pickle.dumps(array)).device == "cuda:1"


def test_the_host_s_array_may_change_at_once() -> None:
    x = integers((40, 50))
    source = x.copy()
    array = asarray(source)
    source[...] = -1
    array[...] = array + asarray(x[:, ::-1])
    np.testing.assert_array_equal(array.numpy(), x + x[:, ::-1])


def test_no_copy_to_the_host_behind_the_back() -> None:
    array = asarray(integers((2, 3)))
    for convert in (np.asarray, np.array, np.ascontiguousarray, list, sum):
        with pytest.raises(TypeError, match=r"use x\.numpy\(\)|an index must be a slice"):
            convert(array)


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
