"""The compiled transposed convolution against its definition, and against what it transposes."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given

import convolt
from conv2d_cases import (
    CASES,
    DTYPES,
    LARGE,
    assert_same,
    assert_same_bits,
    for_fixtures,
    normal,
    thorough,
    transposed_parameters,
)
from convolt import functional, reference
from strategies import Conv2dCase, conv2d_cases, conv2d_operands, exact_integers, seeds


class Transposed(NamedTuple):
    """Operands that run a convolution backwards: x is its dy, dy its x."""

    x: Any
    weight: Any
    bias: Any
    dy: Any
    parameters: dict[str, Any]


def transposed(case: Conv2dCase, seed: int, dtype: Any = None) -> Transposed:
    large, weight, _, small = (
        None if a is None else a.astype(dtype or case.dtype) for a in conv2d_operands(case, seed)
    )
    bias = np.arange(-1, large.shape[1] - 1).astype(large.dtype) if case.bias else None
    return Transposed(small, weight, bias, large, transposed_parameters(case))


@thorough
@given(conv2d_cases(), seeds)
def test_conv_transpose2d(isa: str, case: Conv2dCase, seed: int) -> None:
    x, weight, bias, dy, parameters = transposed(case, seed)
    y = functional.conv_transpose2d(x, weight, bias, **parameters)
    assert y.shape == case.x_shape
    assert_same(y, reference.conv_transpose2d(x, weight, bias, **parameters))
    gradients = functional.conv_transpose2d_backward(dy, x, weight, **parameters)
    expected = reference.conv_transpose2d_backward(dy, x, weight, **parameters)
    for array, wanted in zip(gradients, expected, strict=True):
        assert_same(array, wanted)


@cache
def expected_result(name: str, dtype: Any) -> tuple[Transposed, Any, Any]:
    operands = transposed(CASES[name], 1, dtype)
    x, weight, bias, dy, parameters = operands
    y = reference.conv_transpose2d(x, weight, bias, **parameters)
    return operands, y, reference.conv_transpose2d_backward(dy, x, weight, **parameters)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_fixed_cases(isa: str, name: str, dtype: Any) -> None:
    (x, weight, bias, dy, parameters), y, expected = expected_result(name, dtype)
    assert_same(functional.conv_transpose2d(x, weight, bias, **parameters), y)
    gradients = functional.conv_transpose2d_backward(dy, x, weight, **parameters)
    for array, wanted in zip(gradients, expected, strict=True):
        assert_same(array, wanted)


@pytest.mark.parametrize("needs", [(), ("dx",), ("dweight",), ("dbias",), ("dx", "dbias")])
def test_subsets_of_the_gradients(needs: tuple[str, ...]) -> None:
    (x, weight, _, dy, parameters), _, expected = expected_result("groups, strided", np.float32)
    gradients = functional.conv_transpose2d_backward(dy, x, weight, needs=needs, **parameters)
    for name in ("dx", "dweight", "dbias"):
        if name in needs:
            assert_same(getattr(gradients, name), getattr(expected, name))
        else:
            assert getattr(gradients, name) is None


@given(conv2d_cases(), seeds)
def test_it_is_dx_of_the_convolution(case: Conv2dCase, seed: int) -> None:
    x, weight, _, image, parameters = transposed(case, seed)
    y = functional.conv_transpose2d(x, weight, **parameters)
    gradients = functional.conv2d_backward(x, image, weight, needs=["dx"], **case.parameters)
    assert_same_bits(y, gradients.dx)


@for_fixtures
@given(conv2d_cases(), seeds)
def test_adjoint_identities(isa: str, case: Conv2dCase, seed: int) -> None:
    x, weight, _, dy, parameters = transposed(case, seed)
    y = functional.conv_transpose2d(x, weight, **parameters)
    dx, dweight, dbias = functional.conv_transpose2d_backward(dy, x, weight, **parameters)
    product = np.vdot(y.astype(np.float64), dy)
    assert product == np.vdot(x.astype(np.float64), dx)
    assert product == np.vdot(weight.astype(np.float64), dweight)
    assert_same(dbias, dy.sum(axis=(0, 2, 3), dtype=case.dtype))


@pytest.mark.parametrize("padding", [0, 1, (1, 0), ((0, 1), (2, 1)), "valid", "full",
                                     "same_upper", "same_lower"])  # fmt: skip
@pytest.mark.parametrize("stride", [1, 2, (3, 2)])
@pytest.mark.parametrize("kernel", [(1, 1), (2, 2), (3, 3), (4, 5)])
def test_every_padding(padding: Any, stride: Any, kernel: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    x, weight = (exact_integers(rng, s, np.float32) for s in [(2, 3, 9, 11), (3, 2, *kernel)])
    parameters = {"stride": stride, "padding": padding}
    expected = reference.conv_transpose2d(x, weight, **parameters)
    assert_same(functional.conv_transpose2d(x, weight, **parameters), expected)
    dy = exact_integers(rng, expected.shape, np.float32)
    gradients = functional.conv_transpose2d_backward(dy, x, weight, **parameters)
    wanted = reference.conv_transpose2d_backward(dy, x, weight, **parameters)
    for array, other in zip(gradients, wanted, strict=True):
        assert_same(array, other)


@pytest.mark.parametrize("output_padding", [(0, 2), (2, 0), (2, 2), (1, 1)])
@pytest.mark.parametrize("stride", [1, 2])
def test_output_padding_beyond_the_stride(
    isa: str, output_padding: tuple[int, int], stride: int
) -> None:
    """A larger dilation allows it: the rows and columns added hold the bias alone."""
    rng = np.random.default_rng(3)
    x, weight, bias = (
        exact_integers(rng, s, np.float32) for s in [(2, 3, 4, 9), (3, 2, 2, 3), (2,)]
    )
    parameters = {"stride": stride, "dilation": 3, "output_padding": output_padding}
    expected = reference.conv_transpose2d(x, weight, bias, **parameters)
    y = functional.conv_transpose2d(x, weight, bias, **parameters)
    assert_same(y, expected)
    dy = exact_integers(rng, y.shape, np.float32)
    gradients = functional.conv_transpose2d_backward(dy, x, weight, **parameters)
    wanted = reference.conv_transpose2d_backward(dy, x, weight, **parameters)
    for array, other in zip(gradients, wanted, strict=True):
        assert_same(array, other)


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("algorithm", ["auto", "gemm"])
def test_a_pixel_becomes_an_image_of_the_size_of_the_kernel(
    isa: str, algorithm: str, groups: int
) -> None:
    """As in the first layer of a generator: a bias for each channel, not for each of its pixels."""
    rng = np.random.default_rng(5)
    shapes = [(5, 36, 1, 1), (36, 24 // groups, 4, 3), (24,)]
    x, weight, bias = (exact_integers(rng, shape, np.float32) for shape in shapes)
    expected = reference.conv_transpose2d(x, weight, bias, groups=groups)
    y = functional.conv_transpose2d(x, weight, bias, groups=groups, algorithm=algorithm)
    assert_same(y, expected)


def all_results(name: str) -> list[Any]:
    case = LARGE[name]
    operands = normal(4, case.y_shape, case.weight_shape, case.x_shape[1:2], case.x_shape)
    x, weight, bias, dy = operands
    parameters = transposed_parameters(case)
    y = functional.conv_transpose2d(x, weight, bias, **parameters)
    return [y, *functional.conv_transpose2d_backward(dy, x, weight, **parameters)]


@cache
def serial_results(name: str, isa: str) -> list[Any]:
    """Return what one thread computes on the chosen instruction set."""
    with convolt.num_threads(1):
        return all_results(name)


@pytest.mark.cpu_only  # a device has no threads to set
@pytest.mark.parametrize("name", LARGE)
def test_same_bits_for_any_number_of_threads(isa: str, threads: int, name: str) -> None:
    for array, wanted in zip(all_results(name), serial_results(name, isa), strict=True):
        assert_same_bits(array, wanted)


@for_fixtures
@given(conv2d_cases(), seeds)
def test_same_bits_for_an_image_alone(isa: str, case: Conv2dCase, seed: int) -> None:
    x, weight = normal(seed, case.y_shape, case.weight_shape, dtype=case.dtype)
    parameters = transposed_parameters(case)
    y = functional.conv_transpose2d(x, weight, **parameters)
    for n in range(len(x)):
        alone = functional.conv_transpose2d(x[n : n + 1], weight, **parameters)
        assert_same_bits(alone, y[n : n + 1])


@given(conv2d_cases(), seeds)
def test_inputs_are_left_alone(case: Conv2dCase, seed: int) -> None:
    x, weight, bias, dy, parameters = transposed(case, seed)
    operands = [x, weight, dy] + ([] if bias is None else [bias])
    copies = [array.copy() for array in operands]
    functional.conv_transpose2d(x, weight, bias, **parameters)
    functional.conv_transpose2d_backward(dy, x, weight, **parameters)
    for array, copy in zip(operands, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_every_pixel_adds_its_multiple_of_the_filter() -> None:
    x = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    weight = np.array([[[[1.0, 10.0, 100.0]]]])
    y = functional.conv_transpose2d(x, weight, stride=2)
    assert_same(y[0, 0], np.array([[1, 10, 102, 20, 200], [0] * 5, [3, 30, 304, 40, 400.0]]))
