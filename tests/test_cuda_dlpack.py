"""DLPack between `_cuda` and a library that keeps to its letter: who owns what, for how long."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import convolt
from cuda_device import needs_device
from dlpack_capsules import (
    BFLOAT,
    CPU,
    CUDA_MANAGED,
    FLOATING,
    INTEGER,
    READ_ONLY,
    UNSIGNED,
    Producer,
    give_back,
    take,
)

pytestmark = [needs_device, pytest.mark.usefixtures("numpy_on_the_cpu")]

cuda: Any = convolt.cuda._load.module() if convolt.cuda.is_available() else None
X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


class Owner:
    """Of memory; a weak reference tells when it is let go."""


@pytest.fixture
def memory() -> Any:
    """An array on the device for producers to offer."""
    return cuda.from_host(X)


# --- theirs in ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [None, 1])
def test_the_deleter_is_called_once_at_the_end(memory: Any, version: int | None) -> None:
    producer = Producer(memory.pointer, X.shape, version=version)
    array = cuda.from_dlpack(producer)
    rows = array.rows(1, 2)
    del array
    gc.collect()
    assert (rows.pointer, producer.deleted) == (memory.pointer + X[0].nbytes, 0)
    np.testing.assert_array_equal(rows.to_host(), X[1:])
    del rows
    gc.collect()
    assert producer.deleted == 1


def test_the_deleter_is_called_in_another_thread(memory: Any) -> None:
    producer = Producer(memory.pointer, X.shape)
    arrays = [cuda.from_dlpack(producer)]
    thread = threading.Thread(target=arrays.clear)
    thread.start()
    thread.join()
    assert producer.deleted == 1


@pytest.mark.parametrize("version", [None, 1])
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"element": (BFLOAT, 16)}, TypeError, "array must be float32, float64, int64 or uint8"),
        ({"element": (FLOATING, 16)}, TypeError, "code 2 of 16 bits"),
        ({"element": (INTEGER, 32)}, TypeError, "code 0 of 32 bits"),
        ({"lanes": 4}, TypeError, "array must be float32"),
        ({"shape": (2, -1)}, ValueError, "shape must not be negative"),
        ({"shape": (2, 2), "strides": (0, 1), "element": (UNSIGNED, 8)}, None, None),
    ],
    ids=["bfloat16", "float16", "int32", "lanes", "negative", "strides"],
)
def test_the_deleter_is_called_after_a_refusal(
    memory: Any, version: int | None, change: dict[str, Any], error: Any, message: str
) -> None:
    producer = Producer(memory.pointer, **{"shape": X.shape, "version": version, **change})
    if error is None:
        cuda.from_dlpack(producer)
    else:
        with pytest.raises(error, match=f"from_dlpack: .*{message}|{message}"):
            cuda.from_dlpack(producer)
    gc.collect()
    assert producer.deleted == 1


def test_the_deleter_is_called_after_a_version_that_nobody_knows(memory: Any) -> None:
    producer = Producer(memory.pointer, X.shape, version=2)
    with pytest.raises(BufferError, match="from_dlpack: array must come in version 1 of DLPack"):
        cuda.from_dlpack(producer)
    assert producer.deleted == 1


def test_memory_of_the_host_is_refused_before_it_is_asked_for(memory: Any) -> None:
    producer = Producer(memory.pointer, X.shape, device=(CPU, 0))
    with pytest.raises(BufferError, match="from_dlpack: array must be on a CUDA device"):
        cuda.from_dlpack(producer)
    assert producer.requests == []


def test_what_a_producer_is_asked(memory: Any) -> None:
    old, new = (Producer(memory.pointer, X.shape, version=version) for version in (None, 1))
    for producer in (old, new):
        cuda.from_dlpack(producer)
    assert new.requests == [{"stream": 1, "max_version": (1, 0)}]
    assert old.requests == [*new.requests, {"stream": 1}]


def test_a_failure_of_the_producer_passes(memory: Any) -> None:
    class Failing(Producer):
        def __dlpack__(self, **request: Any) -> Any:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        cuda.from_dlpack(Failing(memory.pointer, X.shape))


def test_what_is_read_only_stays_so(memory: Any) -> None:
    array = cuda.from_dlpack(Producer(memory.pointer, X.shape, flags=READ_ONLY))
    assert not array.writeable
    assert not array.rows(0, 1).reshape((12,)).writeable
    for write in (
        lambda: cuda.fill(array, 1),
        lambda: cuda.copy_from_host(array, X),
        lambda: cuda.copy_from(array, memory),
        lambda: cuda.unary("exp", memory, array),
    ):
        with pytest.raises(ValueError, match="read-only array"):
            write()
    with pytest.raises(BufferError, match="a read-only array needs a consumer of DLPack 1"):
        array.__dlpack__()
    managed = take(array.__dlpack__(max_version=(1, 0)))
    assert managed.flags == READ_ONLY
    give_back(managed)


@pytest.mark.parametrize(
    ("element", "dtype"),
    [((FLOATING, 64), "float64"), ((INTEGER, 64), "int64"), ((UNSIGNED, 8), "uint8")],
)
def test_element_types(element: tuple[int, int], dtype: str) -> None:
    values = np.arange(6, dtype=dtype)
    memory = cuda.from_host(values)
    array = cuda.from_dlpack(Producer(memory.pointer, (2, 3), element=element))
    assert array.dtype == dtype
    np.testing.assert_array_equal(array.to_host(), values.reshape(2, 3))


def test_managed_memory_and_an_offset(memory: Any) -> None:
    producer = Producer(
        memory.pointer, (2, 4), device=(CUDA_MANAGED, 0), byte_offset=X[0, 0].nbytes
    )
    np.testing.assert_array_equal(cuda.from_dlpack(producer).to_host(), X[0, 1:])


@pytest.mark.parametrize(
    ("part", "copied"),
    [
        (X, False),
        (X[:1, :, :], False),
        (X[:, :1][1:], False),
        (X.transpose(2, 0, 1), True),
        (X[:, ::-1, 1:3], True),
        (np.broadcast_to(X[0, 0], (5, 4)), True),
        (X[:, :0], False),
    ],
    ids=["all", "front", "one row", "transposed", "backwards", "repeated", "nothing"],
)
def test_strides(memory: Any, part: Any, copied: bool) -> None:
    base = X.__array_interface__["data"][0]
    offset = part.__array_interface__["data"][0] - base if part.size else 0
    producer = Producer(
        memory.pointer,
        part.shape,
        strides=tuple(stride // 4 for stride in part.strides),
        byte_offset=offset,
    )
    array = cuda.from_dlpack(producer)
    np.testing.assert_array_equal(array.to_host(), part)
    assert (producer.deleted == 1) == copied
    if not copied:
        assert array.pointer == memory.pointer + offset


# --- ours out -------------------------------------------------------------------------------------


def test_a_capsule_that_nobody_takes() -> None:
    memory, owner = cuda.from_host(X), Owner()
    capsule = cuda.view(memory.pointer, X.shape, None, X.dtype, owner, None).__dlpack__()
    released = weakref.ref(owner)
    del owner
    assert released() is not None
    del capsule
    assert released() is None


@pytest.mark.parametrize("max_version", [None, (0, 8), (1, 0), (2, 5)])
def test_what_a_consumer_gets(max_version: tuple[int, int] | None) -> None:
    array = cuda.from_host(X)
    managed = take(array.__dlpack__(stream=1, max_version=max_version))
    if max_version is not None and max_version[0] >= 1:
        assert (managed.major, managed.flags) == (1, 0)
    tensor = managed.tensor
    assert (tensor.data, tensor.byte_offset) == (array.pointer, 0)
    assert (tensor.device_type, tensor.device_id) == array.__dlpack_device__() == (2, 0)
    assert (tensor.code, tensor.bits, tensor.lanes) == (FLOATING, 32, 1)
    assert tensor.shape[: tensor.ndim] == [2, 3, 4]
    assert tensor.strides[: tensor.ndim] == [12, 4, 1]
    give_back(managed)


def test_the_memory_outlives_the_array_in_a_consumer() -> None:
    memory, owner = cuda.from_host(X), Owner()
    array = cuda.view(memory.pointer, X.shape, None, X.dtype, owner, None)
    released = weakref.ref(owner)
    managed = take(array.__dlpack__())
    del array, owner
    gc.collect()
    assert released() is not None
    give_back(managed)  # from where nobody holds the GIL
    assert released() is None


def test_a_copy_for_the_consumer() -> None:
    array = cuda.from_host(X)
    managed = take(array.__dlpack__(copy=True))
    assert managed.tensor.data != array.pointer
    give_back(managed)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"dl_device": (1, 0)}, BufferError),
        ({"dl_device": (2, 1)}, BufferError),
        ({"stream": 0}, ValueError),
        ({"stream": -2}, ValueError),
    ],
)
def test_what_a_consumer_cannot_have(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match="__dlpack__: "):
        cuda.from_host(X).__dlpack__(**arguments)
    cuda.from_host(X).__dlpack__(dl_device=(2, 0), stream=-1)
