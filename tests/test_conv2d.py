"""The compiled convolution against its definition and its own laws."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convolt
from conv2d_cases import (
    CASES,
    DIRECT,
    DTYPES,
    LARGE,
    assert_same,
    assert_same_bits,
    direct,
    for_fixtures,
    normal,
    thorough,
)
from convolt import functional, reference
from strategies import (
    Conv2dCase,
    conv2d_cases,
    conv2d_operands,
    covered,
    exact_integers,
    seeds,
)

activations = st.sampled_from([None, "relu"])


@thorough
@given(conv2d_cases(), seeds, activations, st.sampled_from(DIRECT))
def test_conv2d(
    isa: str, case: Conv2dCase, seed: int, activation: str | None, algorithm: str
) -> None:
    x, weight, bias, _ = conv2d_operands(case, seed)
    expected = reference.conv2d(x, weight, bias, activation=activation, **case.parameters)
    y = functional.conv2d(x, weight, bias, activation=activation, **direct(case, algorithm))
    assert_same(y, expected)


@cache
def expected_result(name: str, dtype: Any) -> tuple[Any, Any]:
    case = CASES[name]
    x, weight, bias, _ = (a.astype(dtype) for a in conv2d_operands(case, 1))
    return (x, weight, bias), reference.conv2d(x, weight, bias, **case.parameters)


@pytest.mark.parametrize("algorithm", DIRECT)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_fixed_cases(isa: str, name: str, dtype: Any, algorithm: str) -> None:
    (x, weight, bias), expected = expected_result(name, dtype)
    parameters = direct(CASES[name], algorithm)
    assert_same(functional.conv2d(x, weight, bias, **parameters), expected)
    y = functional.conv2d(x, weight, bias, activation="relu", **parameters)
    assert_same(y, np.maximum(expected, 0))
    unbiased = expected - bias[:, np.newaxis, np.newaxis]
    assert_same(functional.conv2d(x, weight, **parameters), unbiased)


@pytest.mark.parametrize("stride", [1, 2, (3, 2)])
@pytest.mark.parametrize("kernel", [(1, 1), (2, 2), (3, 3), (4, 5)])
@pytest.mark.parametrize("dilation", [1, (2, 3)])
def test_padding_is_zeros_around_the_image(stride: Any, kernel: Any, dilation: Any) -> None:
    rng = np.random.default_rng(2)
    x, weight = (exact_integers(rng, s, np.float32) for s in [(2, 2, 9, 18), (3, 2, *kernel)])
    names = ["valid", "full", "same_upper", "same_lower"] + (["same"] if stride == 1 else [])
    for padding in [0, 2, (1, 3), ((0, 4), (3, 1)), ((7, 8), (9, 10)), *names]:
        window = {"stride": stride, "dilation": dilation}
        try:
            expected = reference.conv2d(x, weight, padding=padding, **window)
        except ValueError:
            continue  # the kernel does not fit
        assert_same(functional.conv2d(x, weight, padding=padding, **window), expected)
        if isinstance(padding, tuple) and isinstance(padding[0], tuple):
            around = np.pad(x, ((0, 0), (0, 0), *padding))
            assert_same(functional.conv2d(around, weight, **window), expected)


@cache
def serial_result(name: str, isa: str) -> tuple[Any, Any]:
    """Operands, and what one thread makes of them on the chosen instruction set."""
    case = LARGE[name]
    operands = normal(3, case.x_shape, case.weight_shape, case.weight_shape[:1])
    with convolt.num_threads(1):
        return operands, functional.conv2d(*operands, activation="relu", **case.parameters)


@pytest.mark.cpu_only  # a device has no threads to set
@pytest.mark.parametrize("name", LARGE)
def test_same_bits_for_any_number_of_threads(isa: str, threads: int, name: str) -> None:
    operands, expected = serial_result(name, isa)
    assert convolt.get_num_threads() == threads
    y = functional.conv2d(*operands, activation="relu", **LARGE[name].parameters)
    assert_same_bits(y, expected)


@pytest.mark.parametrize("name", LARGE)
def test_large_cases_are_right(threads: int, name: str) -> None:
    case = LARGE[name]
    x, weight, bias, _ = conv2d_operands(case, 4)
    expected = reference.conv2d(x, weight, bias, **case.parameters)
    assert_same(functional.conv2d(x, weight, bias, **case.parameters), expected)


@pytest.mark.parametrize("name", LARGE)
def test_same_bits_from_run_to_run(name: str) -> None:
    (x, weight, bias), _ = serial_result(name, "default")
    first, again = (functional.conv2d(x, weight, bias, **LARGE[name].parameters) for _ in range(2))
    assert_same_bits(again, first)


@for_fixtures
@given(conv2d_cases(), seeds)
def test_same_bits_for_an_image_alone(isa: str, case: Conv2dCase, seed: int) -> None:
    x, weight = normal(seed, case.x_shape, case.weight_shape, dtype=case.dtype)
    parameters = {**case.parameters, "algorithm": "gemm"}
    y = functional.conv2d(x, weight, **parameters)
    for n in range(len(x)):
        assert_same_bits(functional.conv2d(x[n : n + 1], weight, **parameters), y[n : n + 1])


@pytest.mark.parametrize("size", [(7, 7), (13, 13), (1, 40)])
@pytest.mark.parametrize("channels", [28, 57])  # reductions of 252 and 513, in one and three blocks
def test_same_bits_for_an_image_alone_among_many(
    isa: str, size: tuple[int, int], channels: int
) -> None:
    x, weight = normal(5, (50, channels, *size), (20, channels, 3, 3))
    y = functional.conv2d(x, weight, padding=1, algorithm="gemm")
    for n in (0, 17, 49):
        alone = functional.conv2d(x[n : n + 1], weight, padding=1, algorithm="gemm")
        assert_same_bits(alone, y[n : n + 1])


@given(conv2d_cases(), seeds)
def test_linearity(case: Conv2dCase, seed: int) -> None:
    rng = np.random.default_rng(seed)
    terms = 4 * case.terms
    x, other = (exact_integers(rng, case.x_shape, case.dtype, terms=terms) for _ in range(2))
    weight = exact_integers(rng, case.weight_shape, case.dtype, terms=terms)
    y, other_y = (functional.conv2d(image, weight, **case.parameters) for image in (x, other))
    assert_same(functional.conv2d(x - 2 * other, weight, **case.parameters), y - 2 * other_y)


@given(conv2d_cases(), seeds)
def test_groups_are_convolutions_side_by_side(case: Conv2dCase, seed: int) -> None:
    x, weight, bias, _ = conv2d_operands(case, seed)
    y = functional.conv2d(x, weight, bias, **case.parameters)
    images, filters = np.split(x, case.groups, axis=1), np.split(weight, case.groups)
    biases = [None] * case.groups if bias is None else np.split(bias, case.groups)
    parts = [
        functional.conv2d(*operands, **{**case.parameters, "groups": 1})
        for operands in zip(images, filters, biases, strict=True)
    ]
    assert_same(y, np.concatenate(parts, axis=1))


@given(conv2d_cases(), seeds)
def test_mirrored_image_and_filter_give_the_mirrored_result(case: Conv2dCase, seed: int) -> None:
    x, weight, bias, _ = conv2d_operands(case, seed)
    y = functional.conv2d(x, weight, bias, **case.parameters)
    rows, columns = (
        (o - 1) * s + covered(k, d)
        for o, k, s, d in zip(
            case.output_size, weight.shape[2:], case.stride, case.dilation, strict=True
        )
    )
    seen = np.pad(x, ((0, 0), (0, 0), *case.padding))[:, :, :rows, :columns]
    flip = np.s_[:, :, ::-1, ::-1]
    parameters = {**case.parameters, "padding": 0}
    mirrored = functional.conv2d(seen[flip], weight[flip], bias, **parameters)
    assert_same(mirrored[flip], y)


@pytest.mark.parametrize("dtype", DTYPES)
def test_pointwise_convolution_is_a_matrix_product(isa: str, dtype: Any) -> None:
    rng = np.random.default_rng(6)
    x, weight = (exact_integers(rng, s, dtype) for s in ((3, 70, 9, 11), (45, 70, 1, 1)))
    y = functional.conv2d(x, weight)
    assert_same(y, (weight[:, :, 0, 0] @ x.reshape(3, 70, 99)).reshape(3, 45, 9, 11))
    strided = functional.conv2d(x, weight, stride=2)
    assert_same(strided, np.ascontiguousarray(y[:, :, ::2, ::2]))


def test_delta_filter_moves_the_image(isa: str) -> None:
    (x,) = normal(7, (2, 1, 9, 40))
    for kh, kw in np.ndindex(3, 3):
        weight = np.zeros((1, 1, 3, 3), np.float32)
        weight[0, 0, kh, kw] = 1
        moved = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))[:, :, kh : kh + 9, kw : kw + 40]
        assert_same(functional.conv2d(x, weight, padding=1), moved)


@for_fixtures
@given(conv2d_cases(), seeds)
def test_inputs_are_left_alone(threads: int, case: Conv2dCase, seed: int) -> None:
    operands = conv2d_operands(case, seed)
    before = [None if a is None else a.copy() for a in operands]
    functional.conv2d(*operands[:3], activation="relu", **case.parameters)
    for array, copy in zip(operands, before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_relu_keeps_nan_and_ends_at_zero(isa: str) -> None:
    x = np.array([-1.0, np.nan, 2.0, -np.inf, np.inf, -0.0] * 9, np.float32).reshape(1, 1, 6, 9)
    weight = np.ones((7, 1, 1, 1), np.float32)
    y = functional.conv2d(x, weight, activation="relu")
    assert_same(y, np.maximum(x, 0).repeat(7, axis=1))
