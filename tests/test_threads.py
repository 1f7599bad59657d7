"""Threads: the same bits for any number of them, and many callers at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest

import convolt

# Each is large enough to be shared by seven threads.
CONVOLUTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "plain": ((2, 16, 28, 28), (24, 16, 3, 3), {"padding": 1}),
    "pointwise": ((2, 96, 14, 14), (128, 96, 1, 1), {}),
    "few pixels": ((1, 128, 7, 7), (160, 128, 3, 3), {"padding": 1}),
    "one pixel": ((1, 500, 1, 1), (4000, 500, 1, 1), {}),
    "strided groups": ((2, 24, 40, 39), (40, 12, 3, 4), {"stride": (2, 3), "groups": 2}),
    "dilated": ((1, 20, 40, 50), (17, 20, 3, 3), {"dilation": (3, 2), "padding": 5}),
    "depthwise": ((2, 64, 80, 80), (64, 1, 3, 3), {"groups": 64, "padding": 1}),
}

Operation = Callable[[], Any]


def normal(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def convolution_passes(name: str, dtype: Any) -> Operation:
    """All three passes, and the transposed convolution with its own."""
    x_shape, weight_shape, parameters = CONVOLUTIONS[name]
    x, weight = normal(x_shape, dtype), normal(weight_shape, dtype, 1)
    bias = normal(weight_shape[:1], dtype, 2)
    dy = normal(convolt.conv2d(x, weight, **parameters).shape, dtype, 3)

    def run() -> Any:
        y = convolt.conv2d(x, weight, bias, activation="relu", **parameters)
        transposed = convolt.conv_transpose2d(dy, weight, **parameters)
        return (
            y,
            *convolt.conv2d_backward(dy, x, weight, **parameters),
            transposed,
            *convolt.conv_transpose2d_backward(transposed, dy, weight, **parameters),
        )

    return run


def pooling_operations(dtype: Any) -> dict[str, Operation]:
    x = normal((4, 24, 112, 112), dtype)
    window: dict[str, Any] = {"kernel_size": 3, "stride": 1, "padding": 1}
    _, indices = convolt.max_pool2d(x, return_indices=True, **window)
    wide = normal((8, 32, 170, 170), dtype)
    peaks, peak_indices = convolt.global_max_pool2d(wide, return_indices=True)
    return {
        "max_pool2d": partial(convolt.max_pool2d, x, return_indices=True, **window),
        "max_pool2d_backward": partial(convolt.max_pool2d_backward, x, indices, x.shape, **window),
        "avg_pool2d": partial(convolt.avg_pool2d, x, **window),
        "avg_pool2d_backward": partial(convolt.avg_pool2d_backward, x, x.shape, **window),
        "global_avg_pool2d": partial(convolt.global_avg_pool2d, wide),
        "global_avg_pool2d_backward": partial(
            convolt.global_avg_pool2d_backward, peaks, wide.shape
        ),
        "global_max_pool2d": partial(convolt.global_max_pool2d, wide, return_indices=True),
        "global_max_pool2d_backward": partial(
            convolt.global_max_pool2d_backward, peaks, peak_indices, wide.shape
        ),
    }


def column_operations(dtype: Any) -> dict[str, Operation]:
    x = normal((6, 16, 92, 90), dtype)
    col = convolt.im2col(x, 3, padding=1)
    blocks = convolt.unfold(x, 3, padding=1)
    return {
        "im2col": partial(convolt.im2col, x, 3, padding=1),
        "col2im": partial(convolt.col2im, col, x.shape, 3, padding=1),
        "unfold": partial(convolt.unfold, x, 3, padding=1),
        "fold": partial(convolt.fold, blocks, x.shape[2:], 3, padding=1),
    }


def bits(result: Any) -> list[bytes]:
    arrays = result if isinstance(result, tuple) else (result,)
    return [array.tobytes() for array in arrays]


def assert_same_bits_on_any_threads(operation: Operation) -> None:
    with convolt.num_threads(1):
        expected = bits(operation())
    for threads in (1, 2, 3, 7, 7):
        with convolt.num_threads(threads):
            assert bits(operation()) == expected, f"{threads} threads"


# --- the same bits ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution_has_the_same_bits(isa: str, name: str, dtype: Any) -> None:
    assert_same_bits_on_any_threads(convolution_passes(name, dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("operations", [pooling_operations, column_operations])
def test_other_operators_have_the_same_bits(
    operations: Callable[[Any], dict[str, Operation]], dtype: Any
) -> None:
    for operation in operations(dtype).values():
        assert_same_bits_on_any_threads(operation)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_image_alone_has_the_bits_it_has_in_a_batch(threads: int, name: str, dtype: Any) -> None:
    x_shape, weight_shape, parameters = CONVOLUTIONS[name]
    x, weight = normal((5, *x_shape[1:]), dtype), normal(weight_shape, dtype, 1)
    batch = convolt.conv2d(x, weight, algorithm="gemm", **parameters)
    alone = convolt.conv2d(x[3:4], weight, algorithm="gemm", **parameters)
    assert bits(batch[3:4]) == bits(alone)
    gradients = partial(convolt.conv2d_backward, algorithm="gemm", needs=["dx"], **parameters)
    of_batch = gradients(batch, x, weight).dx
    assert bits(of_batch[3:4]) == bits(gradients(alone, x[3:4], weight).dx)


# --- many callers -------------------------------------------------------------------------------


def test_many_threads_call_at_once() -> None:
    """Different shapes, so that a scratch or a setting that they shared would show."""
    operations = [convolution_passes(name, np.float32) for name in CONVOLUTIONS]
    expected = [bits(operation()) for operation in operations]

    def work(worker: int) -> bool:
        order = [(worker + i) % len(operations) for i in range(2 * len(operations))]
        with convolt.num_threads(1 + worker % 3):
            return all(bits(operations[i]()) == expected[i] for i in order)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


def test_callers_share_the_threads() -> None:
    """A call gets what the others leave, at least one: not a team for each of them."""
    callers, threads = 5, 4
    x, weight = np.ones((2, 32, 56, 56), np.float32), np.ones((32, 32, 3, 3), np.float32)
    start = threading.Barrier(callers)

    def work(_: int) -> None:
        start.wait()
        for _ in range(20):
            convolt.conv2d(x, weight, padding=1)

    convolt.set_num_threads(threads)
    try:
        most = 0
        with ThreadPoolExecutor(callers) as pool:
            done = [pool.submit(work, caller) for caller in range(callers)]
            while not all(future.done() for future in done):
                most = max(most, convolt._core.busy_threads())
        for future in done:
            future.result()
    finally:
        convolt.set_num_threads(None)
    if convolt.build_info()["openmp"]:
        assert threads <= most < threads + callers
    assert convolt._core.busy_threads() == 0


def long_convolution() -> tuple[Callable[..., Any], tuple[int, ...]]:
    x, weight = np.ones((8, 64, 112, 112)), np.ones((64, 64, 3, 3))
    return partial(convolt.conv2d, x, weight, padding=1), (8, 64, 112, 112)


def long_transpose() -> tuple[Callable[..., Any], tuple[int, ...]]:
    x, weight = np.ones((8, 64, 112, 112)), np.ones((64, 64, 3, 3))
    return partial(convolt.conv_transpose2d, x, weight, padding=1), (8, 64, 112, 112)


def long_prepared(algorithm: str) -> tuple[Callable[..., Any], tuple[int, ...]]:
    x = np.ones((8, 64, 112, 112))
    prepared = convolt.PreparedConv2d(np.ones((64, 64, 3, 3)), padding=1, algorithm=algorithm)
    return partial(prepared, x), x.shape


def long_pooling(name: str) -> tuple[Callable[..., Any], tuple[int, ...]]:
    return partial(getattr(convolt, name), np.ones((4, 32, 242, 242)), 19, 1), (4, 32, 224, 224)


@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param(long_convolution, id="conv2d"),
        pytest.param(long_transpose, id="conv_transpose2d"),
        pytest.param(partial(long_prepared, "gemm"), id="PreparedConv2d"),
        pytest.param(partial(long_prepared, "winograd"), id="PreparedConv2d, winograd"),
        pytest.param(partial(long_pooling, "max_pool2d"), id="max_pool2d"),
        pytest.param(partial(long_pooling, "avg_pool2d"), id="avg_pool2d"),
    ],
)
def test_other_threads_run_during_a_call(
    prepare: Callable[[], tuple[Callable[..., Any], tuple[int, ...]]],
) -> None:
    """This thread sees the beginning of the result while its end is not there yet."""
    operation, shape = prepare()
    out = np.full(shape, np.nan)

    def call() -> None:
        with convolt.num_threads(1):
            operation(out=out)

    thread = threading.Thread(target=call)
    thread.start()
    while np.isnan(out.flat[0]) and thread.is_alive():
        pass
    unfinished = np.isnan(out.flat[-1])
    thread.join()
    assert unfinished
    assert not np.isnan(out).any()


# --- errors in a thread of the engine -----------------------------------------------------------


@pytest.mark.parametrize("plane", [0, 100, 255])
def test_error_in_a_parallel_region_is_an_exception(threads: int, plane: int) -> None:
    x = normal((8, 32, 128, 128), np.float32)
    y, indices = convolt.max_pool2d(x, 2, return_indices=True)
    expected = convolt.max_pool2d_backward(y, indices, x.shape, 2)
    bad = indices.copy()
    bad.reshape(256, -1)[plane, -1] = 128 * 128
    message = r"^max_pool2d_backward: indices must lie in .*16384\).*, got 16384$"
    with pytest.raises(ValueError, match=message):
        convolt.max_pool2d_backward(y, bad, x.shape, 2)
    assert bits(convolt.max_pool2d_backward(y, indices, x.shape, 2)) == bits(expected)
