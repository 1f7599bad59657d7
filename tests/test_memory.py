"""Bounded memory: scratch of the size of a tile, and MemoryError where there is none."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convolt
from subprocesses import run_function

MIB = 2**20

needs_linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="reads /proc and limits the address space"
)


def pages(field: int) -> int:
    """Bytes of this process: of address space (field 0), or of resident memory (field 1)."""
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[field]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let the process grow by so many bytes and no more."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages(0) + size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def assert_memory_error(function: Callable[[], object], text: str = "^Unable to allocate") -> None:
    """`text` is the pattern of the message: by default of NumPy's, which names a shape."""
    with pytest.raises(MemoryError, match=text):
        function()


def assert_works() -> None:
    y = convolt.conv2d(np.ones((1, 2, 5, 5)), np.ones((3, 2, 3, 3)))
    assert (y == 18).all()


# --- no column matrix ---------------------------------------------------------------------------


def convolve_without_a_column_matrix() -> None:
    """A batch of 64 in so much memory that the columns of one image would not fit."""
    shape = (64, 64, 224, 224)
    rng = np.random.default_rng(0)
    weight = rng.integers(-4, 4, (64, 64, 3, 3)).astype(np.float64)
    x, y = np.zeros(shape), np.empty(shape)
    images = (0, 31, 63)
    for n in images:
        x[n] = rng.integers(-4, 4, shape[1:])
    threads = min(convolt.get_num_threads(), 4)
    with convolt.num_threads(threads):
        convolt.conv2d(x[:1, :, :32, :32], weight)  # starts the threads, which need stacks
        column_elements = 64 * 9 * 224 * 224
        with room_for(64 * MIB):
            assert_memory_error(lambda: np.empty(column_elements))
            convolt.conv2d(x, weight, padding=1, out=y)
    for n in images:
        padded = np.pad(x[n], ((0, 0), (1, 1), (1, 1)))
        for i, j in [(0, 0), (0, 223), (100, 17), (223, 223), *rng.integers(0, 224, (20, 2))]:
            expected = np.tensordot(weight, padded[:, i : i + 3, j : j + 3], 3)
            np.testing.assert_array_equal(y[n, :, i, j], expected)
    assert not y[1].any()


@needs_linux
@pytest.mark.unsanitized
def test_no_column_matrix_is_stored() -> None:
    if os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < 3 * 2**30:
        pytest.skip("needs 3 GiB of free memory")
    run_function(convolve_without_a_column_matrix, timeout=300)


# --- the arena ----------------------------------------------------------------------------------


def random_calls(rng: np.random.Generator, count: int) -> None:
    for _ in range(count):
        batch, channels, out_channels, k = rng.integers(1, [3, 9, 17, 5])
        height, width = rng.integers(5, 40, 2)
        x = np.ones((batch, channels, height, width), rng.choice([np.float32, np.float64]))
        weight = np.ones((out_channels, channels, k, k), x.dtype)
        parameters = {"stride": int(rng.integers(1, 4)), "padding": int(rng.integers(0, 3))}
        y = convolt.conv2d(x, weight, **parameters)
        convolt.conv2d_backward(y, x, weight, **parameters)
        convolt.avg_pool2d(x, int(k))
        convolt.im2col(x, int(k), **parameters)


def call_with_many_shapes() -> None:
    rng = np.random.default_rng(0)
    random_calls(rng, 300)
    resident = pages(1)
    random_calls(rng, 2000)
    assert convolt.scratch_bytes() <= 4 * MIB
    growth = pages(1) - resident
    assert growth < 8 * MIB, f"grew by {growth / MIB:.1f} MiB"


@needs_linux
@pytest.mark.unsanitized
def test_memory_does_not_grow_with_the_shapes_seen() -> None:
    run_function(call_with_many_shapes)


def hold_and_release() -> None:
    assert convolt.scratch_bytes() == 0
    assert_works()
    of_this_thread = convolt.scratch_bytes()
    assert of_this_thread > 0

    held, release = [], threading.Event()
    ready = threading.Barrier(2)

    def work() -> None:
        assert_works()
        held.append(convolt.scratch_bytes())
        convolt.release_memory()
        held.append(convolt.scratch_bytes())
        assert_works()
        ready.wait()
        release.wait()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    ready.wait()
    assert held == [2 * of_this_thread, of_this_thread]
    assert convolt.scratch_bytes() == 2 * of_this_thread
    convolt.release_memory()
    assert convolt.scratch_bytes() == of_this_thread
    release.set()
    while convolt.scratch_bytes() > 0:
        pass  # it goes with the thread of the system, a little later than Python's
    assert_works()


def test_release_memory_frees_the_scratch_of_this_thread() -> None:
    run_function(hold_and_release)


def window_on_everything() -> Any:
    """Two windows of nine million taps, the table of which is larger than what an arena keeps."""
    x = np.ones((1, 1, 3000, 3001), np.float32)
    return convolt.conv2d(x, x[..., 1:])


def test_large_scratch_is_not_kept() -> None:
    window_on_everything()
    assert convolt.scratch_bytes() <= 64 * MIB


def convolve_by_winograd(algorithm: str) -> None:
    """Layers of VGG-19, one with large images and one with 36 MiB of transformed weights."""
    for size, channels in ((112, 64), (14, 512)):
        x = np.ones((2, channels, size, size), np.float32)
        weight = np.ones((channels, channels, 3, 3), np.float32)
        parameters = {"padding": 1, "algorithm": algorithm}
        with convolt.num_threads(2):
            y = convolt.conv2d(x, weight, **parameters)
            convolt.conv2d_backward(y, x, weight, needs=["dx"], **parameters)
        assert convolt.scratch_bytes() <= 64 * MIB


@pytest.mark.parametrize("algorithm", ["winograd_2x2", "winograd_4x4"])
def test_scratch_of_winograd_is_bounded(algorithm: str) -> None:
    run_function(convolve_by_winograd, algorithm)


# --- short of memory ----------------------------------------------------------------------------

X = (1, 8, 512, 512)  # 8 MiB of float32
# 36 MiB of filters, 144 MiB when they are transformed.
IMAGE, FILTERS = np.ones((1, 1024, 6, 6), np.float32), np.ones((1024, 1024, 3, 3), np.float32)
MORE_FILTERS = np.zeros((1024, 4096, 3, 3), np.float32)  # 144 MiB, none of them touched
SCRATCH = "unable to allocate [0-9]{8,9} bytes of working memory$"
MESSAGES = {
    "scratch": f"^conv2d: {SCRATCH}",
    "weight to prepare": "^PreparedConv2d: unable to allocate working memory$",
    "prepared weight": f"^PreparedConv2d: {SCRATCH}",
}
SHORT_OF_MEMORY: dict[str, Callable[[], object]] = {
    "output": lambda: convolt.conv2d(np.ones(X, np.float32), np.ones((99, 8, 3, 3), np.float32)),
    "transposed output": lambda: convolt.conv_transpose2d(
        np.ones(X, np.float32), np.ones((8, 99, 3, 3), np.float32)
    ),
    "columns": lambda: convolt.im2col(np.ones(X, np.float32), 5),
    "dx of a pooling": lambda: convolt.avg_pool2d_backward(
        np.ones((1, 64, 1, 1)), (1, 64, 512, 512), 512
    ),
    "scratch": window_on_everything,
    "weight to prepare": lambda: convolt.PreparedConv2d(MORE_FILTERS),
    "prepared weight": lambda: convolt.PreparedConv2d(FILTERS, algorithm="winograd_4x4")(IMAGE),
}


def run_short_of_memory(name: str) -> None:
    convolt.set_num_threads(2)
    call = SHORT_OF_MEMORY[name]
    large = np.ones((4, 8, 64, 64), np.float32)
    convolt.conv2d(large, np.ones((16, 8, 3, 3), np.float32))
    with room_for(100 * MIB):
        for _ in range(3):
            assert_memory_error(call, MESSAGES.get(name, "^Unable to allocate"))
            assert_works()
    call()
    assert_works()


@needs_linux
@pytest.mark.unsanitized
@pytest.mark.parametrize("name", SHORT_OF_MEMORY)
def test_memory_error(name: str) -> None:
    run_function(run_short_of_memory, name)


def call_without_room_for_threads() -> None:
    """OpenMP's library would end the process where it cannot start a thread."""
    x, weight = np.ones((4, 16, 64, 64)), np.ones((24, 16, 3, 3))
    y = np.empty((4, 24, 62, 62))
    with convolt.num_threads(32), room_for(40 * MIB):
        convolt.conv2d(x, weight, out=y)
    assert (y == 144).all()
    with convolt.num_threads(32):
        convolt.conv2d(x, weight, out=y)
    assert (y == 144).all()


@needs_linux
@pytest.mark.unsanitized
def test_threads_that_do_not_fit_are_done_without() -> None:
    run_function(call_without_room_for_threads)
