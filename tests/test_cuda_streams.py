"""Streams: which one a call is enqueued on, and what is waited for.

The streams of the stand-in run nothing until somebody waits for them, so that an order that nobody
asked for shows.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import convolt
import foreign_arrays
from convolt.cuda import Array, asarray, use_stream
from cuda_device import needs_device, needs_stand_in
from foreign_arrays import CapsuleArray, InterfaceArray, on_host
from operator_calls import OPERATORS, POOLED, X, arrays_of

pytestmark = [needs_device, pytest.mark.usefixtures("numpy_on_the_cpu")]


@pytest.fixture(autouse=True)
def libraries(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    return foreign_arrays.install(monkeypatch)


@pytest.fixture
def streams() -> Iterator[list[int]]:
    """Streams of the stand-in, which run nothing until somebody waits for them."""
    host = convolt.cuda._load.module().host
    made = [host.create_stream() for _ in range(2)]
    yield made
    convolt.cuda.synchronize()
    for stream in made:
        host.destroy_stream(stream)


def late(x: Any, stream: int) -> Array:
    """An array that gets its elements on a stream, at its own time."""
    with use_stream(stream):
        array = asarray(np.full_like(x, -77))
        array += asarray(x + 77)
    return array


@needs_stand_in
@pytest.mark.parametrize("name", OPERATORS)
def test_operands_from_other_streams_are_waited_for(name: str, streams: list[int]) -> None:
    first, second = streams
    expected = arrays_of(OPERATORS[name](lambda x: x))

    def put(x: Any) -> Array:
        return late(x, second) if x.dtype == np.float32 else asarray(x)

    with use_stream(first):
        results = arrays_of(OPERATORS[name](put))
    for result, array in zip(results, expected, strict=True):
        np.testing.assert_allclose(result.numpy(), array, rtol=1e-5, atol=1e-5)


@needs_stand_in
def test_a_library_s_stream_is_computed_on(
    streams: list[int], libraries: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = streams
    cuda = convolt.cuda._load.module()
    used: list[int] = []
    compute = cuda.avg_pool2d_forward

    def watched(*arguments: Any) -> Any:
        used.append(cuda.current_stream())
        return compute(*arguments)

    monkeypatch.setattr(cuda, "avg_pool2d_forward", watched)
    expected = convolt.reference.avg_pool2d(X, 2)

    def check(x: Any, stream: int) -> None:
        y = convolt.avg_pool2d(x, 2)
        assert used.pop() == stream
        np.testing.assert_array_equal(on_host(y), expected)

    check(InterfaceArray(late(X, first), stream=first), first)
    check(InterfaceArray(asarray(X), stream=1), 0)
    check(asarray(X), 0)
    libraries.stream = second
    check(CapsuleArray(late(X, first)), second)
    with use_stream(first):
        check(CapsuleArray(late(X, second)), first)
        check(InterfaceArray(late(X, second), stream=second), first)
        check(late(X, second), first)
    assert cuda.current_stream() == 0


@needs_stand_in
def test_memory_is_not_given_back_before_its_last_use(streams: list[int]) -> None:
    first, second = streams
    with use_stream(first):
        x = asarray(X)
    with use_stream(second):
        y = convolt.max_pool2d(x, 2)
    del x
    with use_stream(first):
        others = [asarray(np.full_like(X, 99)) for _ in range(4)]
    np.testing.assert_array_equal(y.numpy(), convolt.reference.max_pool2d(X, 2))
    del others


@needs_stand_in
def test_memory_is_not_given_back_before_another_library_s_last_use(
    streams: list[int], libraries: SimpleNamespace
) -> None:
    first, second = streams
    x = CapsuleArray(asarray(X))
    libraries.stream = second
    with use_stream(first):
        y = convolt.max_pool2d(x, 2)
    z = convolt.avg_pool2d(y, 2)  # on the stream of the library, as its own kernels would be
    del y
    with use_stream(first):
        others = [asarray(np.full(POOLED.shape, 99, np.float32)) for _ in range(4)]
        convolt.cuda.synchronize()
    expected = convolt.avg_pool2d(convolt.max_pool2d(X, 2), 2)
    np.testing.assert_array_equal(on_host(z), expected)
    del others


class OwnStream:
    """A stream that is destroyed with its object, as CuPy's are."""

    def __init__(self) -> None:
        self.ptr = convolt.cuda._load.module().host.create_stream()

    def __del__(self) -> None:
        convolt.cuda._load.module().host.destroy_stream(self.ptr)


@needs_stand_in
def test_a_stream_lives_as_long_as_what_was_computed_on_it() -> None:
    stream = OwnStream()
    alive = weakref.ref(stream)
    with use_stream(stream):
        y = convolt.max_pool2d(asarray(X), 2)
    del stream
    assert alive() is not None
    np.testing.assert_array_equal(y.numpy(), convolt.max_pool2d(X, 2))
    del y
    assert alive() is None


@needs_stand_in
def test_a_stream_lives_as_long_as_what_was_taken_for_it() -> None:
    stream, foreign = OwnStream(), CapsuleArray(asarray(X))
    alive = weakref.ref(stream)
    with use_stream(stream):
        x = asarray(foreign)
    del stream
    assert alive() is not None
    np.testing.assert_array_equal(x.numpy(), X)
    del x
    assert alive() is None


@needs_stand_in
def test_the_current_stream_of_a_library_lives_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = OwnStream()
    current = [stream]
    library = sys.modules["interface_library"]
    cuda = SimpleNamespace(get_current_stream=lambda: current[0])
    monkeypatch.setattr(library, "cuda", cuda, raising=False)
    alive = weakref.ref(stream)
    x = InterfaceArray(late(X, stream.ptr), stream=stream.ptr)
    own = asarray(x)
    y = convolt.max_pool2d(x, 2)
    current[0] = SimpleNamespace(ptr=0)
    del stream, x
    assert alive() is not None
    np.testing.assert_array_equal(on_host(y), convolt.max_pool2d(X, 2))
    del y
    assert alive() is not None
    np.testing.assert_array_equal(own.numpy(), X)
    del own
    gc.collect()
    assert alive() is None


@needs_stand_in
def test_a_stream_that_was_destroyed_before_its_arrays() -> None:
    host = convolt.cuda._load.module().host
    stream, before = host.create_stream(), host.live_objects()["bytes"]
    with use_stream(stream):
        x = asarray(X)
        convolt.cuda.synchronize()
    host.destroy_stream(stream)
    del x
    assert host.live_objects()["bytes"] == before


@needs_stand_in
def test_the_results_of_a_stream_are_waited_for(streams: list[int]) -> None:
    first, second = streams
    with use_stream(first):
        x = late(X, second)
        x *= 2
    with use_stream(second):
        x += 1
    np.testing.assert_array_equal(x.numpy(), 2 * X + 1)
    with use_stream(first):
        y = x + x
    np.testing.assert_array_equal((y - x).numpy(), 2 * X + 1)


@pytest.mark.parametrize(
    ("stream", "handle"),
    [
        (0, 0),
        (1, 0),
        (SimpleNamespace(cuda_stream=0), 0),
        (SimpleNamespace(ptr=0), 0),
        (SimpleNamespace(__cuda_stream__=lambda: (0, 1)), 0),
        (SimpleNamespace(__cuda_stream__=(0, 0)), 0),
    ],
)
def test_streams_as_libraries_have_them(stream: Any, handle: int) -> None:
    cuda = convolt.cuda._load.module()
    with use_stream(stream):
        assert cuda.current_stream() == handle
        y = convolt.max_pool2d(asarray(X), 2)
    np.testing.assert_array_equal(y.numpy(), convolt.max_pool2d(X, 2))


@pytest.mark.parametrize("stream", [None, -1, True, "1", 1.0, SimpleNamespace(ptr=None)])
def test_what_is_no_stream(stream: Any) -> None:
    with (
        pytest.raises(TypeError, match=r"^use_stream: stream must be a handle as an int, or an"),
        use_stream(stream),
    ):
        raise AssertionError
