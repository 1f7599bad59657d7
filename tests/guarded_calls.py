"""Every operator on arrays that end, or begin, at a page that nobody may touch.

One element too much, read or written, ends the process: test_guard_pages runs `main` in one of its
own. Each call is announced before it is made, so that the last line names the culprit.
"""

from __future__ import annotations

import ctypes
import itertools
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import convolt
from conv2d_cases import DTYPES, transposed_parameters
from convolt import functional
from gemm_cases import GEMM_CASES
from strategies import (
    Conv2dCase,
    Pool2dCase,
    conv2d_cases,
    conv2d_operands,
    covered,
    exact_integers,
    narrow_cases,
    pool2d_cases,
    seeds,
    square_pool2d_cases,
    winograd_cases,
)

LIBC = ctypes.CDLL(None, use_errno=True)
PROT_NONE = 0
PAGE = mmap.PAGESIZE

Guard = Callable[[Any], Any]


def _guarded(array: Any, at_end: bool) -> Any:
    """A copy of `array` between two pages without any access, right at one of them."""
    if array.size == 0:
        return array.copy()
    body = -(-array.nbytes // PAGE) * PAGE
    memory = mmap.mmap(-1, body + 2 * PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for guard in (address, address + PAGE + body):
        if LIBC.mprotect(ctypes.c_void_p(guard), ctypes.c_size_t(PAGE), PROT_NONE) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")
    offset = PAGE + (body - array.nbytes if at_end else 0)
    copy = np.frombuffer(memory, array.dtype, array.size, offset).reshape(array.shape)
    copy[...] = array
    return copy


def guarded_behind(array: Any) -> Any:
    return _guarded(array, at_end=True)


def guarded_before(array: Any) -> Any:
    return _guarded(array, at_end=False)


GUARDS = [guarded_behind, guarded_before]
guards = st.sampled_from(GUARDS)
problems = settings(derandomize=True, deadline=None, max_examples=60, database=None)


def call(guard: Guard, name: str, *arrays: Any, out: bool = True, **arguments: Any) -> Any:
    """Call a function on plain and on guarded arrays; the results have to be equal."""
    shapes = [None if array is None else array.shape for array in arrays]
    print(guard.__name__, name, shapes, arrays[0].dtype, arguments, flush=True)
    function = getattr(functional, name)
    expected = function(*arrays, **arguments)
    operands = [None if array is None else guard(array) for array in arrays]
    if out:
        arguments["out"] = guard(expected[0] if isinstance(expected, tuple) else expected)
        arguments["out"][...] = np.nan
    result = function(*operands, **arguments)
    wanted, got = (r if isinstance(r, tuple) else (r,) for r in (expected, result))
    for a, b in zip(wanted, got, strict=True):
        np.testing.assert_array_equal(a, b)
    return expected


def output_padding(case: Conv2dCase) -> tuple[int, ...] | None:
    """What takes the output of conv_transpose2d to the size of x; None where nothing may."""
    extra = []
    for n, o, sides, k, s, d in zip(
        case.x_shape[2:],
        case.output_size,
        case.padding,
        case.weight_shape[2:],
        case.stride,
        case.dilation,
        strict=True,
    ):
        extra.append(n - ((o - 1) * s - sum(sides) + covered(k, d)))
        if extra[-1] >= max(s, d):
            return None
    return tuple(extra)


def _convolution(case: Conv2dCase, seed: int, guard: Guard, algorithm: str) -> None:
    x, weight, bias, dy = conv2d_operands(case, seed)
    arguments = {**case.parameters, "algorithm": algorithm}
    call(guard, "conv2d", x, weight, bias, **arguments)
    call(guard, "conv2d_backward", dy, x, weight, out=False, **arguments)
    relu = {"activation": "relu", "y": guard(dy[::-1].copy()), **arguments}
    call(guard, "conv2d_backward", dy, x, weight, out=False, **relu)
    extra = output_padding(case)
    if extra is not None:
        transposed = {**arguments, "output_padding": extra}
        x_bias = np.ones(case.x_shape[1], case.dtype)
        call(guard, "conv_transpose2d", dy, weight, x_bias, **transposed)
        call(guard, "conv_transpose2d_backward", x, dy, weight, out=False, **transposed)


def gemm_drivers() -> None:
    for case, dtype, guard in itertools.product(GEMM_CASES.values(), DTYPES, GUARDS):
        x, weight, bias, dy = (array.astype(dtype) for array in conv2d_operands(case, 1))
        parameters = {**case.parameters, "algorithm": "gemm"}
        call(guard, "conv2d", x, weight, bias, **parameters)
        call(guard, "conv2d_backward", dy, x, weight, out=False, **parameters)
        parameters = {**transposed_parameters(case), "algorithm": "gemm"}
        call(guard, "conv_transpose2d", dy, weight, x[0, :, 0, 0], **parameters)


@problems
@given(conv2d_cases(), seeds, guards)
def convolutions(case: Conv2dCase, seed: int, guard: Guard) -> None:
    _convolution(case, seed, guard, "gemm")


@problems
@given(narrow_cases(), seeds, guards)
def narrow_convolutions(case: Conv2dCase, seed: int, guard: Guard) -> None:
    _convolution(case, seed, guard, "auto")


@problems
@given(winograd_cases(), seeds, guards, st.sampled_from(["winograd_2x2", "winograd_4x4"]))
def winograd_convolutions(case: Conv2dCase, seed: int, guard: Guard, algorithm: str) -> None:
    _convolution(case, seed, guard, algorithm)


@problems
@given(conv2d_cases(), seeds, guards)
def columns(case: Conv2dCase, seed: int, guard: Guard) -> None:
    x = exact_integers(np.random.default_rng(seed), case.x_shape, case.dtype)
    window: dict[str, Any] = {
        "kernel_size": case.weight_shape[2:],
        "stride": case.stride,
        "padding": case.padding,
        "dilation": case.dilation,
    }
    col = call(guard, "im2col", x, **window)
    call(guard, "col2im", col, input_shape=x.shape, **window)
    blocks = call(guard, "unfold", x, **window)
    call(guard, "fold", blocks, output_size=x.shape[2:], **window)


@problems
@given(pool2d_cases(), seeds, guards, st.sampled_from(["max_pool2d", "min_pool2d"]))
def extrema(case: Pool2dCase, seed: int, guard: Guard, name: str) -> None:
    rng = np.random.default_rng(seed)
    x, dy = (exact_integers(rng, shape, case.dtype) for shape in (case.x_shape, case.y_shape))
    call(guard, name, x, **case.parameters)
    _, indices = call(guard, name, x, return_indices=True, **case.parameters)
    backward = {"input_shape": x.shape, **case.parameters}
    call(guard, f"{name}_backward", dy, indices, out=False, **backward)


@problems
@given(pool2d_cases(dilated=False), seeds, guards, st.booleans())
def averages(case: Pool2dCase, seed: int, guard: Guard, count_include_pad: bool) -> None:
    rng = np.random.default_rng(seed)
    x, dy = (exact_integers(rng, shape, case.dtype) for shape in (case.x_shape, case.y_shape))
    arguments = {**case.average_parameters, "count_include_pad": count_include_pad}
    call(guard, "avg_pool2d", x, **arguments)
    call(guard, "avg_pool2d_backward", dy, out=False, input_shape=x.shape, **arguments)


@problems
@given(square_pool2d_cases(), seeds, guards)
def square_windows(case: Pool2dCase, seed: int, guard: Guard) -> None:
    rng = np.random.default_rng(seed)
    x, dy = (exact_integers(rng, shape, case.dtype) for shape in (case.x_shape, case.y_shape))
    arguments = {"input_shape": x.shape, **case.average_parameters}
    call(guard, "avg_pool2d", x, **case.average_parameters)
    call(guard, "avg_pool2d_backward", dy, out=False, **arguments)
    for name in ("max_pool2d", "min_pool2d"):
        call(guard, name, x, **case.parameters)
        _, winners = call(guard, f"{name}_winners", x, out=False, **case.parameters)
        call(guard, f"{name}_winners_backward", dy, winners, out=False, **arguments)


@problems
@given(pool2d_cases(), seeds, guards)
def global_pools(case: Pool2dCase, seed: int, guard: Guard) -> None:
    x = exact_integers(np.random.default_rng(seed), case.x_shape, case.dtype)
    mean = call(guard, "global_avg_pool2d", x)
    call(guard, "global_avg_pool2d_backward", mean, out=False, input_shape=x.shape)
    largest, indices = call(guard, "global_max_pool2d", x, return_indices=True)
    call(guard, "global_max_pool2d_backward", largest, indices, out=False, input_shape=x.shape)


def touch_a_guard(side: str) -> None:
    """Fault on purpose: the guards have to work."""
    array = guarded_behind(np.ones(8)) if side == "behind" else guarded_before(np.ones(8))
    beyond = array.ctypes.data + (array.nbytes if side == "behind" else -8)
    print(ctypes.c_double.from_address(beyond).value)


def main(subject: str, isa: str) -> None:
    """Run one of the subjects above on one instruction set."""
    convolt.set_isa(isa)
    globals()[subject]()
