"""The drivers of the GEMM: whichever multiplies, the defined numbers, and the same bits."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest

import convolt
from conv2d_cases import (
    DTYPES,
    assert_same,
    assert_same_bits,
    normal,
    transposed_parameters,
)
from convolt import functional, reference
from gemm_cases import ALONE, GEMM_CASES, SHARED
from strategies import Conv2dCase, Conv2dOperands, conv2d_operands

GEMM = {"algorithm": "gemm"}


class Expected(NamedTuple):
    operands: Conv2dOperands
    x_bias: Any
    y: Any
    dx: Any
    dweight: Any


def expect(case: Conv2dCase, dtype: Any) -> Expected:
    operands = Conv2dOperands(*(array.astype(dtype) for array in conv2d_operands(case, 1)))
    x, weight, bias, dy = operands
    gradients = reference.conv2d_backward(dy, x, weight, **case.parameters)
    return Expected(
        operands,
        np.arange(-3, x.shape[1] - 3).astype(dtype),
        reference.conv2d(x, weight, bias, **case.parameters),
        gradients.dx,
        gradients.dweight,
    )


@cache
def expected_result(name: str, dtype: Any) -> Expected:
    return expect({**GEMM_CASES, **SHARED}[name], dtype)


def poisoned(shape: tuple[int, ...], dtype: Any) -> Any:
    return np.full(shape, np.nan, dtype)


def assert_right(name: str, dtype: Any) -> None:
    """Every pass, each way to call it, writes the whole of the expected result."""
    case = {**GEMM_CASES, **SHARED}[name]
    (x, weight, bias, dy), x_bias, y, dx, dweight = expected_result(name, dtype)
    parameters = {**case.parameters, **GEMM}
    out = poisoned(y.shape, dtype)
    assert_same(functional.conv2d(x, weight, bias, out=out, **parameters), y)
    out[...] = np.nan
    assert_same(functional.PreparedConv2d(weight, bias, **parameters)(x, out), y)
    rectified = functional.PreparedConv2d(weight, activation="relu", **parameters)
    assert_same(rectified(x), np.maximum(y - bias[:, np.newaxis, np.newaxis], 0))

    del out
    poisoned(dweight.shape, dtype)  # freed at once: the gradient may get its memory
    gradients = functional.conv2d_backward(dy, x, weight, **parameters)
    assert_same(gradients.dx, dx)
    assert_same(gradients.dweight, dweight)
    out = poisoned(dx.shape, dtype)
    transposed = {**transposed_parameters(case), **GEMM}
    functional.conv_transpose2d(dy, weight, x_bias, out=out, **transposed)
    assert_same(out, dx + x_bias[:, np.newaxis, np.newaxis])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", GEMM_CASES)
def test_every_pass(isa: str, name: str, dtype: Any) -> None:
    assert_right(name, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SHARED)
def test_every_pass_on_threads(isa: str, threads: int, name: str, dtype: Any) -> None:
    assert_right(name, dtype)


def passes(name: str, dtype: Any) -> list[Any]:
    """Return what every pass makes of data whose sums are rounded."""
    case = SHARED[name]
    x, weight, bias, dy = normal(
        3, case.x_shape, case.weight_shape, case.weight_shape[:1], case.y_shape, dtype=dtype
    )
    parameters = {**case.parameters, **GEMM}
    y = functional.conv2d(x, weight, bias, **parameters)
    prepared = functional.PreparedConv2d(weight, bias, **parameters)
    return [y, prepared(x), *functional.conv2d_backward(dy, x, weight, **parameters)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SHARED)
def test_same_bits_on_any_threads(isa: str, name: str, dtype: Any) -> None:
    with convolt.num_threads(1):
        expected = passes(name, dtype)
    assert_same_bits(expected[1], expected[0])
    for threads in (2, 3, 7):
        with convolt.num_threads(threads):
            for array, wanted in zip(passes(name, dtype), expected, strict=True):
                assert_same_bits(array, wanted)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ALONE)
def test_same_bits_for_an_image_alone(isa: str, name: str, dtype: Any) -> None:
    case = ALONE[name]
    x, weight, bias, dy = normal(
        4, case.x_shape, case.weight_shape, case.weight_shape[:1], case.y_shape, dtype=dtype
    )
    parameters = {**case.parameters, **GEMM}
    layer = {**parameters, "activation": "relu"}
    y = functional.conv2d(x, weight, bias, **layer)
    prepared = functional.PreparedConv2d(weight, bias, **layer)
    assert_same_bits(prepared(x), y)
    dx = functional.conv2d_backward(dy, x, weight, **parameters).dx
    for n in (0, len(x) // 2, len(x) - 1):
        image = np.s_[n : n + 1]
        assert_same_bits(functional.conv2d(x[image], weight, bias, **layer), y[image])
        assert_same_bits(prepared(x[image]), y[image])
        alone = functional.conv2d_backward(dy[image], x[image], weight, **parameters).dx
        assert_same_bits(alone, dx[image])
