"""The compiled gradients of the convolution against their definition and its own laws."""

from __future__ import annotations

import itertools
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
from strategies import Conv2dCase, conv2d_cases, conv2d_operands, exact_integers, seeds

NAN, INF = np.nan, np.inf
NAMES = ("dx", "dweight", "dbias")
SUBSETS = [names for n in range(4) for names in itertools.combinations(NAMES, n)]


def assert_same_gradients(actual: Any, expected: Any) -> None:
    for name, array, wanted in zip(NAMES, actual, expected, strict=True):
        if wanted is None:
            assert array is None, name
        else:
            assert_same(array, wanted)


@thorough
@given(conv2d_cases(), seeds, st.sampled_from(DIRECT))
def test_conv2d_backward(isa: str, case: Conv2dCase, seed: int, algorithm: str) -> None:
    x, weight, _, dy = conv2d_operands(case, seed)
    gradients = functional.conv2d_backward(dy, x, weight, **direct(case, algorithm))
    assert isinstance(gradients, convolt.Conv2dGradients)
    expected = reference.conv2d_backward(dy, x, weight, **case.parameters)
    assert_same_gradients(gradients, expected)


@thorough
@given(conv2d_cases(), seeds)
def test_behind_relu(isa: str, case: Conv2dCase, seed: int) -> None:
    x, weight, bias, dy = conv2d_operands(case, seed)
    y = functional.conv2d(x, weight, bias, activation="relu", **case.parameters)
    relu = {"activation": "relu", "y": y, **case.parameters}
    gradients = functional.conv2d_backward(dy, x, weight, **relu)
    assert_same_gradients(gradients, reference.conv2d_backward(dy, x, weight, **relu))
    masked = functional.conv2d_backward(np.where(y > 0, dy, 0), x, weight, **case.parameters)
    for array, wanted in zip(gradients, masked, strict=True):
        assert_same_bits(array, wanted)


@pytest.mark.parametrize("backend", [functional, reference])
@pytest.mark.parametrize("dtype", DTYPES)
def test_relu_lets_nan_through_and_stops_what_is_infinite(
    isa: str, backend: Any, dtype: Any
) -> None:
    y = np.array([0, -0.0, NAN, 1e-45, INF, 3, NAN, 0, 0], dtype).reshape(1, 1, 1, -1)
    dy = np.array([INF, NAN, 2, 3, -INF, NAN, INF, -INF, -1], dtype).reshape(y.shape)
    identity = np.ones((1, 1, 1, 1), dtype)
    gradients = backend.conv2d_backward(dy, y, identity, activation="relu", y=y)
    y_is_zero = [True, True, False, dtype(1e-45) == 0, False, False, False, True, True]
    expected = dy.copy()
    expected[0, 0, 0, y_is_zero] = 0
    assert_same(gradients.dx, expected)


@pytest.mark.cpu_only
@pytest.mark.parametrize("prepare", [np.copy, np.asfortranarray])
def test_overwritten_dy_has_been_through_relu(isa: str, prepare: Any) -> None:
    (dy, x, weight), _ = expected_result("groups, strided", np.float32)
    y = np.maximum(dy[::-1, ::-1], 0)
    relu = {"activation": "relu", "y": y, **CASES["groups, strided"].parameters}
    expected = functional.conv2d_backward(dy, x, weight, **relu)
    free = prepare(dy)
    gradients = functional.conv2d_backward(free, x, weight, overwrite_dy=True, **relu)
    assert_same_gradients(gradients, expected)
    assert_same(free, np.where(y > 0, dy, 0) if free.flags.c_contiguous else dy)


def test_dy_that_must_not_be_overwritten() -> None:
    def integers(*shape: int) -> Any:
        return exact_integers(np.random.default_rng(3), shape, np.float32)

    block, x, y = integers(4, 2, 5, 5), integers(2, 2, 9, 9), np.abs(integers(2, 2, 5, 5))
    dy, one = block[1:3], integers(2, 2, 1, 1)
    read_only = dy.copy()
    read_only.flags.writeable = False
    for arrays in (
        {"dy": read_only, "x": x, "weight": block[:2].copy(), "y": y},
        {"dy": dy, "x": x, "weight": block[:2], "y": y},
        {"dy": dy, "x": x, "weight": block[1:3], "y": y},
        {"dy": dy, "x": block[2:], "weight": one, "y": y},
        {"dy": dy, "x": x, "weight": integers(2, 2, 5, 5), "y": block[:2]},
        {"dy": dy, "x": x, "weight": integers(2, 2, 5, 5), "y": block[2:]},
    ):
        copies = {name: array.copy() for name, array in arrays.items()}
        expected = functional.conv2d_backward(**copies, activation="relu")
        gradients = functional.conv2d_backward(**arrays, activation="relu", overwrite_dy=True)
        assert_same_gradients(gradients, expected)
        for name, array in arrays.items():
            assert_same(array, copies[name])


def test_dy_that_is_the_saved_output() -> None:
    x, weight = normal(3, (2, 3, 6, 7), (4, 3, 3, 3))
    y = functional.conv2d(x, weight, activation="relu")
    expected = functional.conv2d_backward(y.copy(), x, weight, activation="relu", y=y)
    dy = y.copy()
    relu = {"activation": "relu", "y": dy, "overwrite_dy": True}
    assert_same_gradients(functional.conv2d_backward(dy, x, weight, **relu), expected)
    assert_same(dy, y)


@cache
def expected_result(name: str, dtype: Any) -> tuple[Any, Any]:
    case = CASES[name]
    x, weight, _, dy = (a.astype(dtype) for a in conv2d_operands(case, 1))
    return (dy, x, weight), reference.conv2d_backward(dy, x, weight, **case.parameters)


@pytest.mark.parametrize("algorithm", DIRECT)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_fixed_cases(isa: str, name: str, dtype: Any, algorithm: str) -> None:
    operands, expected = expected_result(name, dtype)
    parameters = direct(CASES[name], algorithm)
    gradients = functional.conv2d_backward(*operands, **parameters)
    assert_same_gradients(gradients, expected)


@pytest.mark.parametrize("needs", SUBSETS)
def test_every_subset_of_the_gradients(needs: tuple[str, ...]) -> None:
    (dy, x, weight), expected = expected_result("groups, strided", np.float32)
    parameters = {**CASES["groups, strided"].parameters, "needs": needs}
    gradients = functional.conv2d_backward(dy, x, weight, **parameters)
    assert_same_gradients(gradients, reference.conv2d_backward(dy, x, weight, **parameters))
    for name in needs:
        assert_same(getattr(gradients, name), getattr(expected, name))


@pytest.mark.parametrize("stride", [1, 2, (3, 2)])
@pytest.mark.parametrize("kernel", [(1, 1), (2, 2), (3, 3), (4, 5)])
@pytest.mark.parametrize("dilation", [1, (2, 3)])
def test_every_padding(stride: Any, kernel: Any, dilation: Any) -> None:
    rng = np.random.default_rng(2)
    x, weight = (exact_integers(rng, s, np.float32) for s in [(2, 2, 9, 18), (3, 2, *kernel)])
    names = ["valid", "full", "same_upper", "same_lower"] + (["same"] if stride == 1 else [])
    for padding in [0, 2, (1, 3), ((0, 4), (3, 1)), ((7, 8), (9, 10)), *names]:
        parameters = {"stride": stride, "dilation": dilation, "padding": padding}
        try:
            y = reference.conv2d(x, weight, **parameters)
        except ValueError:
            continue  # the kernel does not fit
        dy = exact_integers(rng, y.shape, np.float32)
        expected = reference.conv2d_backward(dy, x, weight, **parameters)
        assert_same_gradients(functional.conv2d_backward(dy, x, weight, **parameters), expected)


@for_fixtures
@given(conv2d_cases(), seeds)
def test_gradients_are_adjoint_to_the_convolution(isa: str, case: Conv2dCase, seed: int) -> None:
    x, weight, _, dy = conv2d_operands(case, seed)
    y = functional.conv2d(x, weight, **case.parameters)
    dx, dweight, dbias = functional.conv2d_backward(dy, x, weight, **case.parameters)
    product = np.vdot(y.astype(np.float64), dy)
    assert product == np.vdot(x.astype(np.float64), dx)
    assert product == np.vdot(weight.astype(np.float64), dweight)
    assert_same(dbias, dy.sum(axis=(0, 2, 3), dtype=case.dtype))


@cache
def serial_result(name: str, isa: str) -> tuple[Any, Any]:
    """Operands, and what one thread makes of them on the chosen instruction set."""
    case = LARGE[name]
    operands = normal(3, case.y_shape, case.x_shape, case.weight_shape)
    with convolt.num_threads(1):
        return operands, functional.conv2d_backward(*operands, **case.parameters)


@pytest.mark.cpu_only  # a device has no threads to set
@pytest.mark.parametrize("name", LARGE)
def test_same_bits_for_any_number_of_threads(isa: str, threads: int, name: str) -> None:
    operands, expected = serial_result(name, isa)
    for _ in range(2):
        gradients = functional.conv2d_backward(*operands, **LARGE[name].parameters)
        for array, wanted in zip(gradients, expected, strict=True):
            assert_same_bits(array, wanted)


@pytest.mark.parametrize("name", LARGE)
def test_large_cases_are_right(threads: int, name: str) -> None:
    case = LARGE[name]
    x, weight, _, dy = conv2d_operands(case, 5)
    expected = reference.conv2d_backward(dy, x, weight, **case.parameters)
    assert_same_gradients(functional.conv2d_backward(dy, x, weight, **case.parameters), expected)


def test_same_bits_of_dbias_for_any_number_of_threads(threads: int) -> None:
    (dy,) = normal(6, (2, 5, 512, 512))
    weight = np.zeros((5, 1, 1, 1), np.float32)
    x = np.zeros((2, 1, 512, 512), np.float32)

    def dbias() -> Any:
        return functional.conv2d_backward(dy, x, weight, needs=["dbias"]).dbias

    with convolt.num_threads(1):
        expected = dbias()
    assert_same_bits(dbias(), expected)


def test_relu_of_large_arrays(threads: int) -> None:
    dy, x = normal(7, (1, 3, 1021, 1031), (1, 3, 1021, 1031))
    identity = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    y = np.maximum(x, 0)
    relu = {"activation": "relu", "y": y, "needs": ["dx"]}
    assert_same(functional.conv2d_backward(dy, x, identity, **relu).dx, dy * (y > 0))


@for_fixtures
@given(conv2d_cases(), seeds)
def test_same_bits_of_dx_for_an_image_alone(isa: str, case: Conv2dCase, seed: int) -> None:
    x, weight, dy = normal(seed, case.x_shape, case.weight_shape, case.y_shape, dtype=case.dtype)
    parameters = {**case.parameters, "algorithm": "gemm", "needs": ["dx"]}
    dx = functional.conv2d_backward(dy, x, weight, **parameters).dx
    for n in range(len(x)):
        image = np.s_[n : n + 1]
        alone = functional.conv2d_backward(dy[image], x[image], weight, **parameters).dx
        assert_same_bits(alone, dx[image])


@given(conv2d_cases(), seeds)
def test_images_add_up_to_dweight_and_dbias(case: Conv2dCase, seed: int) -> None:
    x, weight, _, dy = conv2d_operands(case, seed)
    _, dweight, dbias = functional.conv2d_backward(dy, x, weight, **case.parameters)
    sums = [np.zeros_like(dweight), np.zeros_like(dbias)]
    for n in range(len(x)):
        image = np.s_[n : n + 1]
        gradients = functional.conv2d_backward(dy[image], x[image], weight, **case.parameters)
        sums = [total + part for total, part in zip(sums, gradients[1:], strict=True)]
    assert_same(dweight, sums[0])
    assert_same(dbias, sums[1])


@given(conv2d_cases(), seeds)
def test_groups_are_gradients_side_by_side(case: Conv2dCase, seed: int) -> None:
    x, weight, _, dy = conv2d_operands(case, seed)
    gradients = functional.conv2d_backward(dy, x, weight, **case.parameters)
    parameters = {**case.parameters, "groups": 1}
    slices = zip(
        np.split(dy, case.groups, axis=1),
        np.split(x, case.groups, axis=1),
        np.split(weight, case.groups),
        strict=True,
    )
    parts = [functional.conv2d_backward(*operands, **parameters) for operands in slices]
    for array, slabs, axis in zip(gradients, zip(*parts, strict=True), (1, 0, 0), strict=True):
        assert_same(array, np.concatenate(slabs, axis=axis))


@for_fixtures
@given(conv2d_cases(), seeds)
def test_inputs_are_left_alone(threads: int, case: Conv2dCase, seed: int) -> None:
    x, weight, _, dy = conv2d_operands(case, seed)
    y = dy[::-1].copy()
    copies = [array.copy() for array in (dy, x, weight, y)]
    functional.conv2d_backward(dy, x, weight, activation="relu", y=y, **case.parameters)
    for array, copy in zip((dy, x, weight, y), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_pixels_without_a_window_have_no_gradient(isa: str) -> None:
    (dy, x, weight), _ = expected_result("stride beyond the kernel", np.float32)
    parameters = CASES["stride beyond the kernel"].parameters
    dx = functional.conv2d_backward(dy, x + np.nan, weight, needs=["dx"], **parameters).dx
    rows, columns = np.arange(13) % 5 >= 2, np.arange(14) % 4 == 3
    assert not dx[:, :, rows].any()
    assert not dx[:, :, :, columns].any()
    assert dx.any()
