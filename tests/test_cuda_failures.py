"""What `_cuda` does when CUDA fails: every call of the runtime in turn, memory, other devices."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import convolt
from cuda_device import needs_stand_in
from strategies import exact_integers

pytestmark = [needs_stand_in, pytest.mark.usefixtures("numpy_on_the_cpu")]

cuda: Any = convolt.cuda._load.module() if convolt.cuda.is_available() else None
host: Any = getattr(cuda, "host", None)

RNG = np.random.default_rng(5)
X, WEIGHT, BIAS, DY = (
    exact_integers(RNG, shape, np.float32)
    for shape in [(2, 4, 6, 5), (6, 2, 3, 3), (6,), (2, 6, 6, 5)]
)
# What the stand-in says of a planned failure.
REASONS = (": unknown error", ": CUBLAS_STATUS_EXECUTION_FAILED")

WINDOW = ((1, 1), (1, 1, 1, 1), (1, 1))
POOL = ((2, 2), (2, 2), (0, 0, 0, 0), (1, 1), False)


def winners_and_back(x: Any) -> Any:
    y, winners = cuda.pool2d_max_forward("max_pool2d", x, *POOL, "winners", None)
    return cuda.pool2d_winners_backward("max_pool2d_backward", y, winners, x.shape, *POOL)


def indices_and_back(x: Any) -> Any:
    y, indices = cuda.pool2d_max_forward("max_pool2d", x, *POOL, "indices", None)
    return cuda.pool2d_max_backward("max_pool2d_backward", y, indices, x.shape, *POOL)


def sgd(x: Any) -> Any:
    parameter, velocity = cuda.copy(x), cuda.copy(x)
    assert cuda.sgd_update(x, parameter, velocity, 0.5, 0.25)
    return parameter


CALLS: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "conv2d_forward": lambda x, weight, bias, dy: cuda.conv2d_forward(
        x, weight, bias, *WINDOW, 2, True, None, None
    ),
    "conv2d_backward": lambda x, weight, bias, dy: cuda.conv2d_backward(
        dy, x, weight, dy, False, *WINDOW, 2, (True, True, True), None
    ),
    "conv_transpose2d_forward": lambda x, weight, bias, dy: cuda.conv_transpose2d_forward(
        dy, weight, None, *WINDOW, 2, (6, 5), None, None
    ),
    "prepare_conv2d": lambda x, weight, bias, dy: cuda.prepare_conv2d(
        weight, bias, (1, 1), (1, 1), 2, False, None
    )(x, (1, 1, 1, 1), None),
    "image_to_columns": lambda x, weight, bias, dy: cuda.image_to_columns(
        "im2col", x, (2, 2), *WINDOW, None
    ),
    "pool2d_winners_backward": lambda x, weight, bias, dy: winners_and_back(x),
    "pool2d_max_backward": lambda x, weight, bias, dy: indices_and_back(x),
    "global_max_pool2d": lambda x, weight, bias, dy: cuda.global_max_pool2d_forward(x, True, None),
    "batch_norm2d": lambda x, weight, bias, dy: cuda.batch_norm2d(dy, bias, bias, None, None, 0.5),
    "local_response_norm": lambda x, weight, bias, dy: cuda.local_response_norm_backward(
        x, x, 3, 1.0, 0.5, 1.0
    ),
    "sgd_update": lambda x, weight, bias, dy: sgd(x),
    "binary": lambda x, weight, bias, dy: cuda.binary("add", dy, bias.reshape((6, 1, 1))),
    "sum": lambda x, weight, bias, dy: cuda.sum(x, 1),
    "matmul": lambda x, weight, bias, dy: cuda.matmul(
        x.reshape((8, 30)), False, dy.reshape((12, 30)), True
    ),
    "join": lambda x, weight, bias, dy: cuda.join([x, x], 1),
    "copy": lambda x, weight, bias, dy: cuda.copy(x),
    "from_host": lambda x, weight, bias, dy: cuda.from_host(X),
    "to_host": lambda x, weight, bias, dy: x.to_host(),
    "strided view": lambda x, weight, bias, dy: cuda.view(
        x.pointer, (5, 6), (4, 20), "float32", x, 1
    ),
    "dlpack": lambda x, weight, bias, dy: cuda.from_dlpack(x),
    "event": lambda x, weight, bias, dy: cuda.Event().record(),
}


def on_host(result: Any) -> list[Any]:
    """Every array of a result, in NumPy."""
    if isinstance(result, tuple):
        return [array for part in result for array in on_host(part)]
    return [result.to_host()] if isinstance(result, cuda.DeviceArray) else [result]


@pytest.fixture
def stream() -> Iterator[int]:
    """A stream that is current while the test runs."""
    made = host.create_stream()
    before = cuda.set_stream(made)
    yield made
    cuda.synchronize()
    cuda.set_stream(*before)
    gc.collect()
    host.destroy_stream(made)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No plan of a test reaches the next one, and nothing that it made."""
    gc.collect()
    before = host.live_objects()
    yield
    host.fail_call(0)
    gc.collect()
    assert host.reports() == []
    after = host.live_objects()
    after["cublas_handles"] = before["cublas_handles"]  # one for each thread and device
    assert after == before


def outcome(call: Callable[[], Any]) -> tuple[Any, str]:
    """Return the arrays of a call, or the error without the frames that hold arrays."""
    try:
        return on_host(call()), ""
    except (RuntimeError, MemoryError) as error:
        return None, f"{type(error).__name__}: {error}"


def fail_each(call: Callable[[], Any]) -> list[str]:
    """Let each call of the runtime in `call` fail, and return the errors."""
    expected, _ = outcome(call)
    before = host.live_objects()
    errors: list[str] = []
    while True:
        host.fail_call(len(errors) + 1)
        arrays, error = outcome(call)
        none_failed = host.failure_is_planned()
        host.fail_call(0)
        gc.collect()
        assert host.live_objects() == before
        if not error:
            # What failed was to free or to restore, and spoiled nothing.
            for array, other in zip(arrays, expected, strict=True):
                np.testing.assert_array_equal(array, other)
        if none_failed:
            return errors
        errors.append(error)


@pytest.mark.parametrize("name", CALLS)
def test_every_failure_is_an_error_and_nothing_leaks(name: str) -> None:
    arrays = [cuda.from_host(array) for array in (X, WEIGHT, BIAS, DY)]
    errors = fail_each(lambda: CALLS[name](*arrays))
    raised = [error for error in errors if error]
    assert raised
    for error in raised:
        assert error.startswith("MemoryError: ") or error.endswith(REASONS), error


@pytest.mark.parametrize("name", ["conv2d_forward", "pool2d_winners_backward", "binary"])
def test_failures_between_two_streams(name: str, stream: int) -> None:
    cuda.set_stream(0)
    arrays = [cuda.from_host(array) for array in (X, WEIGHT, BIAS, DY)]
    cuda.set_stream(stream)
    assert fail_each(lambda: CALLS[name](*arrays))


def test_an_error_names_the_kernel() -> None:
    x = cuda.from_host(X)
    assert "RuntimeError: unary: unknown error" in fail_each(lambda: cuda.unary("exp", x))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: cuda.copy(x), "copy: unable to allocate 960 bytes of device memory"),
        (lambda x: cuda.binary("add", x, 1.0), "add: unable to allocate 960 bytes"),
        (lambda x: cuda.empty((1000,), "uint8"), "empty: unable to allocate 1000 bytes"),
        (lambda x: cuda.from_host(X), "from_host: unable to allocate 960 bytes"),
        (
            lambda x: cuda.pool2d_max_forward("min_pool2d", x, *POOL, "values", None),
            "min_pool2d: unable to allocate 192 bytes of device memory",
        ),
    ],
)
def test_out_of_memory(call: Callable[[Any], Any], message: str) -> None:
    x = cuda.from_host(X)
    total = cuda.memory_use()[1]
    host.set_memory_limit(host.live_objects()["bytes"])
    try:
        with pytest.raises(MemoryError, match=message):
            call(x)
    finally:
        host.set_memory_limit(total)
    call(x)


def test_arrays_of_two_devices() -> None:
    x = cuda.from_host(X, device=1)
    assert (x.device, cuda.current_device()) == (1, 0)
    y = cuda.binary("multiply", x, x)
    assert (y.device, cuda.current_device()) == (1, 0)
    np.testing.assert_array_equal(y.to_host(), X * X)
    with pytest.raises(ValueError, match=r"add: b must be on device 1, .* got one on device 0"):
        cuda.binary("add", x, cuda.from_host(X))
    with pytest.raises(ValueError, match="conv2d: weight must be on device 1"):
        CALLS["conv2d_forward"](x, cuda.from_host(WEIGHT), None, None)
    prepared = cuda.prepare_conv2d(
        cuda.from_host(WEIGHT, device=1), None, (1, 1), (1, 1), 2, False, None
    )
    assert prepared(x, (1, 1, 1, 1), None).device == prepared.weight().device == 1
    with pytest.raises(ValueError, match="PreparedConv2d: weight must be on device 0"):
        prepared(cuda.from_host(X), (1, 1, 1, 1), None)
    assert cuda.from_dlpack(x).device == x.__dlpack_device__()[1] == 1
    with pytest.raises(RuntimeError, match="cudaSetDevice: "):
        cuda.empty((1,), "float32", device=99)


def test_memory_that_is_held_at_the_end_of_the_process() -> None:
    """Nothing is reported, and the owner of foreign memory is let go."""
    program = '''
import numpy as np
from convolt import _cuda

# Not of this module's dictionary, which would be part of a cycle that nobody sees.
apart = {}
exec("""class Owner:
    def __del__(self):
        print("let go")
""", apart)

memory = _cuda.from_host(np.ones(4))
held = _cuda.view(memory.pointer, (4,), None, "float64", apart["Owner"](), None)
capsule = held.__dlpack__()
event = _cuda.Event()
'''
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "let go\n", "")
