"""Fork and signals: what the process around a call may do."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import numpy as np
import pytest

import convolt
from convolt import _core
from subprocesses import run_function

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs fork and POSIX signals")


def small_problem() -> tuple[Any, Any]:
    """About 100 MFLOP: enough for every thread there is."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((4, 16, 64, 64)), rng.standard_normal((24, 16, 3, 3))


def all_passes(x: Any, weight: Any) -> list[bytes]:
    y = convolt.conv2d(x, weight)
    pooled, indices = convolt.max_pool2d(x, 3, 1, return_indices=True)
    dx = convolt.max_pool2d_backward(pooled, indices, x.shape, 3, 1)
    tiled = convolt.conv2d(x, weight, algorithm="winograd")
    prepared = convolt.PreparedConv2d(weight, algorithm="winograd")(x)
    results = (y, *convolt.conv2d_backward(y, x, weight), pooled, dx, tiled, prepared)
    return [array.tobytes() for array in results]


# --- fork ---------------------------------------------------------------------------------------


def check_in_child(check: Callable[[], None]) -> None:
    """Fork, and let the child run a check. A child that hangs is ended with this process."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            check()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


def assert_serial_and_right(expected: list[bytes]) -> None:
    assert convolt.get_num_threads() == 1
    assert all_passes(*small_problem()) == expected
    with convolt.num_threads(4):
        assert all_passes(*small_problem()) == expected
    assert _core.measure_fma_peak("float32", 2) > 0  # which asks for two threads, whatever is set


def fork_after_threads(threads: int) -> None:
    convolt.set_num_threads(threads)
    expected = all_passes(*small_problem())
    child_check = partial(assert_serial_and_right, expected)
    check_in_child(child_check)
    check_in_child(partial(check_in_child, child_check))
    assert convolt.get_num_threads() == threads
    assert all_passes(*small_problem()) == expected


def fork_before_threads() -> None:
    """Where no thread was in use, a child has as many as its parent."""
    convolt.set_num_threads(3)

    def check() -> None:
        assert convolt.get_num_threads() == 3
        all_passes(*small_problem())

    check_in_child(check)


def fork_during_a_call_of_another_thread() -> None:
    convolt.set_num_threads(3)
    x, weight = small_problem()
    expected = all_passes(x, weight)
    done, busy = threading.Event(), threading.Event()

    def work() -> None:
        with convolt.num_threads(2):
            while not done.is_set():
                convolt.conv2d(x, weight)
                busy.set()

    thread = threading.Thread(target=work)
    thread.start()
    busy.wait()
    for _ in range(8):
        check_in_child(partial(assert_serial_and_right, expected))
    done.set()
    thread.join()


def numbered_passes(_: int) -> list[bytes]:
    return all_passes(*small_problem())


def multiprocessing_pool() -> None:
    convolt.set_num_threads(2)
    expected = all_passes(*small_problem())
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(numbered_passes, range(4)) == [expected] * 4
    assert all_passes(*small_problem()) == expected


@pytest.mark.parametrize("threads", [2, 5])
def test_fork_after_threads(threads: int) -> None:
    run_function(fork_after_threads, threads, timeout=60)


@pytest.mark.parametrize(
    "function", [fork_before_threads, fork_during_a_call_of_another_thread, multiprocessing_pool]
)
def test_fork(function: Callable[[], None]) -> None:
    run_function(function, timeout=60)


# --- signals ------------------------------------------------------------------------------------


def slowest_isa() -> str:
    return str(convolt.build_info()["isas_supported"][0])


def many_products() -> tuple[Any, Any]:
    """19 GFLOP: seconds on one thread of the baseline."""
    return np.ones((1, 256, 128, 128)), np.ones((256, 256, 3, 3))


def interrupt_a_call() -> None:
    """Ctrl-C, pressed when the result begins to appear, ends the call long before its end."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    convolt.set_isa(slowest_isa())
    convolt.set_num_threads(1)
    x, weight = many_products()
    out = np.full(x.shape, np.nan)

    def press() -> None:
        while np.isnan(out.flat[0]):
            pass
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    try:
        convolt.conv2d(x, weight, padding=1, out=out)
    except KeyboardInterrupt:
        done = 1 - np.isnan(out).mean()
        assert done < 0.5, f"{done:.0%} was done"
    else:
        raise AssertionError("the call was not interrupted")
    thread.join()
    before = all_passes(*small_problem())
    assert before == all_passes(*small_problem())


class Ticking:
    """A clock whose signal is handled during the call: the third time it raises.

    Where the engine did not look for signals, Python would handle one, when the call is over.
    """

    def __init__(self, handle: Callable[[], None] = lambda: None) -> None:
        self.ticks = 0
        self._handle = handle

    def __enter__(self) -> Ticking:
        signal.signal(signal.SIGALRM, self._tick)
        self._arm()
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _arm(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.02)

    def _tick(self, number: int, frame: FrameType | None) -> None:
        self.ticks += 1
        self._handle()
        self._arm()  # only now: handlers must not pile up


class Enough(Exception):
    """Raised by a signal handler."""


def by_winograd(function: Callable[..., object], tile: str) -> Callable[[], object]:
    return lambda: function(*many_products(), padding=1, algorithm=f"winograd_{tile}")


LONG_CALLS: dict[str, Callable[[], object]] = {
    "forward": lambda: convolt.conv2d(*many_products(), padding=1),
    "winograd, forward": by_winograd(convolt.conv2d, "2x2"),
    "winograd, backward_data": by_winograd(convolt.conv_transpose2d, "4x4"),
    "backward_data": lambda: convolt.conv_transpose2d(*many_products(), padding=1),
    "backward_weights": lambda: convolt.conv2d_backward(
        many_products()[0], *many_products(), padding=1, needs=["dweight"]
    ),
    "max_pool2d": lambda: convolt.max_pool2d(np.ones((1, 16, 512, 512)), 63, 1),
    "avg_pool2d": lambda: convolt.avg_pool2d(np.ones((1, 16, 512, 512)), 63, 1),
}


def raise_in_a_call(name: str, threads: int) -> None:
    convolt.set_isa(slowest_isa())
    convolt.set_num_threads(threads)
    expected = all_passes(*small_problem())
    counter = itertools.count(1)

    def raise_at_third() -> None:
        if next(counter) == 3:
            raise Enough

    try:
        with Ticking(raise_at_third):
            LONG_CALLS[name]()
    except Enough:
        assert all_passes(*small_problem()) == expected
    else:
        raise AssertionError("signals were not handled during the call")


def convolve_in_a_handler(threads: int) -> None:
    convolt.set_num_threads(threads)
    x, weight = many_products()
    rng = np.random.default_rng(0)
    x[...] = rng.standard_normal(x.shape[-2:])
    expected = convolt.conv2d(x, weight)
    small_expected = all_passes(*small_problem())
    results = []

    def handle() -> None:
        convolt.release_memory()  # not what the interrupted call works with
        results.append(all_passes(*small_problem()))

    with Ticking(handle) as clock:
        y = convolt.conv2d(x, weight)
        during = clock.ticks
    assert during >= 2, "signals were not handled during the call"
    assert all(result == small_expected for result in results)
    assert y.tobytes() == expected.tobytes()


def use_a_prepared_weight_in_a_handler(algorithm: str, threads: int) -> None:
    """The handler's call comes while the first call still packs the same weight."""
    convolt.set_isa(slowest_isa())
    convolt.set_num_threads(threads)
    x = np.ones((1, 1024, 1, 1), np.float32)
    rows, handled = 1024, 0
    while handled < 4:  # most of them in the packing, some in the product behind it
        weight = np.full((rows, 1024, 3, 3), 2.0**handled, np.float32)  # not what memory may hold
        prepared = convolt.PreparedConv2d(weight, padding=1, algorithm=algorithm)
        results: list[bytes] = []
        with Ticking(partial(lambda use, to: to.append(use(x).tobytes()), prepared, results)):
            y = prepared(x)
            during = len(results)
        assert set(results) <= {y.tobytes()}
        handled += during
        if during == 0:
            rows *= 2  # until it takes long enough
            assert rows <= 8192, "signals were not handled during the call"


def test_interrupt_ends_a_long_call() -> None:
    run_function(interrupt_a_call)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", LONG_CALLS)
def test_exception_of_a_handler_ends_a_long_call(name: str, threads: int) -> None:
    run_function(raise_in_a_call, name, threads)


@pytest.mark.unsanitized
@pytest.mark.parametrize("threads", [1, 2])
def test_handler_may_convolve(threads: int) -> None:
    run_function(convolve_in_a_handler, threads)


@pytest.mark.unsanitized
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("algorithm", ["gemm", "winograd_4x4"])
def test_handler_may_use_the_prepared_weight_that_it_interrupts(
    algorithm: str, threads: int
) -> None:
    run_function(use_a_prepared_weight_in_a_handler, algorithm, threads)
