"""The compiled column matrices against their definition, and their adjoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import convolt
from conv2d_cases import (
    CASES,
    DTYPES,
    assert_same,
    assert_same_bits,
    for_fixtures,
    make_case,
    normal,
    thorough,
)
from convolt import functional, reference
from strategies import Conv2dCase, conv2d_cases, conv2d_operands, exact_integers, seeds


def window(case: Conv2dCase) -> dict[str, Any]:
    """Return the keyword arguments of all four functions."""
    parameters = {key: case.parameters[key] for key in ("stride", "padding", "dilation")}
    return {"kernel_size": case.weight_shape[2:], **parameters}


def columns(case: Conv2dCase, seed: int) -> tuple[Any, Any]:
    """Return integers in the layouts of im2col and of unfold."""
    n, c = case.x_shape[:2]
    taps, pixels = c * np.prod(case.weight_shape[2:]), np.prod(case.output_size)
    rng = np.random.default_rng(seed)
    return tuple(
        exact_integers(rng, shape, case.dtype, terms=case.terms)
        for shape in ((n * pixels, taps), (n, taps, pixels))
    )


def image(case: Conv2dCase, seed: int) -> Any:
    return exact_integers(np.random.default_rng(seed), case.x_shape, case.dtype, terms=case.terms)


def assert_case(case: Conv2dCase, seed: int) -> None:
    x = image(case, seed)
    assert_same(functional.im2col(x, **window(case)), reference.im2col(x, **window(case)))
    assert_same(functional.unfold(x, **window(case)), reference.unfold(x, **window(case)))
    rows, cols = columns(case, seed)
    expected = reference.col2im(rows, x.shape, **window(case))
    assert_same(functional.col2im(rows, x.shape, **window(case)), expected)
    expected = reference.fold(cols, x.shape[2:], **window(case))
    assert_same(functional.fold(cols, x.shape[2:], **window(case)), expected)


@thorough
@given(conv2d_cases(), seeds)
def test_columns(isa: str, case: Conv2dCase, seed: int) -> None:
    assert_case(case, seed)


# The parts that are staged: 512 windows of a row, 384 runs of a window or 65536 elements for
# im2col and col2im, 8192 elements of a plane for unfold and fold. Where padded rows would be longer
# than copies for each tap or window, they are not shared.
PARTS = {
    "511 windows": make_case((2, 1, 1, 512), (1, 1, 1, 2)),
    "512 windows": make_case((2, 1, 1, 513), (1, 1, 1, 2)),
    "513 windows": make_case((2, 1, 2, 514), (1, 1, 2, 2)),
    "1100 dilated windows": make_case((1, 2, 3, 1104), (1, 2, 2, 3), dilation=(1, 2)),
    "600 windows with a stride": make_case((1, 2, 3, 1201), (1, 2, 2, 3), stride=(1, 2)),
    "1026 runs": make_case((1, 342, 4, 5), (1, 342, 3, 3)),
    "1026 runs of one": make_case((1, 342, 4, 5), (1, 342, 3, 1)),
    "1026 runs of two": make_case((2, 513, 3, 4), (1, 513, 2, 2)),
    "planes of 12000": make_case(
        (1, 2, 40, 300), (1, 2, 3, 3), stride=(2, 1), padding=((1, 1), (1, 1))
    ),
    "planes of 96000 together": make_case((1, 8, 100, 120), (1, 8, 2, 5), padding=((2, 2), (2, 2))),
    "far taps": make_case(
        (1, 2, 3, 301), (1, 2, 2, 2), dilation=(1, 300), padding=((1, 1), (0, 0))
    ),
    "far taps both ways": make_case((1, 2, 41, 41), (1, 2, 3, 3), stride=(3, 3), dilation=(20, 20)),
    "far windows": make_case((1, 2, 30, 60), (1, 2, 2, 3), stride=(9, 19), dilation=(1, 7)),
    "padding only": make_case(
        (1, 2, 2, 2), (1, 2, 3, 3), dilation=(40, 40), padding=((80, 80), (80, 80))
    ),
    "turned image in parts": make_case((1, 1700, 9, 9), (1, 1700, 1, 1)),
    "turned image": make_case((2, 37, 9, 31), (1, 37, 1, 1)),
    "few windows, few runs": make_case((3, 1, 6, 7), (1, 1, 2, 3)),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel_width", [*range(1, 14), 17])
def test_widths(isa: str, kernel_width: int, stride: int, dtype: Any) -> None:
    """Runs and rows of every length around those of vectors, whole and not."""
    for out_width in (1, 2, 3, 4, 7, 8, 9, 13, 16, 17, 24, 31, 32, 33):
        width = (out_width - 1) * stride + kernel_width
        case = make_case((1, 2, 4, width), (1, 2, 2, kernel_width), stride=(1, stride))
        assert_case(replace(case, dtype=dtype), kernel_width)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*CASES, *PARTS])
def test_fixed_cases(isa: str, name: str, dtype: Any) -> None:
    case = {**CASES, **PARTS}[name]
    assert_case(replace(case, groups=1, dtype=dtype), 1)


@for_fixtures
@given(conv2d_cases(), seeds)
def test_adjoint_identities(isa: str, case: Conv2dCase, seed: int) -> None:
    x = image(case, seed)
    rows, cols = columns(case, seed)
    folded = functional.col2im(rows, x.shape, **window(case))
    unfolded = functional.im2col(x, **window(case))
    assert np.vdot(unfolded.astype(float), rows) == np.vdot(x.astype(float), folded)
    folded = functional.fold(cols, x.shape[2:], **window(case))
    unfolded = functional.unfold(x, **window(case))
    assert np.vdot(unfolded.astype(float), cols) == np.vdot(x.astype(float), folded)


@given(conv2d_cases(), seeds)
def test_rows_are_the_columns_turned(case: Conv2dCase, seed: int) -> None:
    x = image(case, seed)
    cols = functional.unfold(x, **window(case))
    turned = cols.transpose(0, 2, 1).reshape(-1, cols.shape[1])
    assert_same(functional.im2col(x, **window(case)), turned)


@given(conv2d_cases(), seeds)
def test_a_convolution_is_a_product_with_the_columns(case: Conv2dCase, seed: int) -> None:
    n, _, h, w = case.x_shape
    out_channels, channels, *_ = case.weight_shape
    case = replace(case, groups=1, x_shape=(n, channels, h, w))
    x, weight, _, _ = conv2d_operands(case, seed)
    product = functional.im2col(x, **window(case)) @ weight.reshape(out_channels, -1).T
    y = product.reshape(n, *case.output_size, out_channels).transpose(0, 3, 1, 2)
    assert_same(functional.conv2d(x, weight, **case.parameters), y)


def test_shapes_of_the_book() -> None:
    for images, shape in ((1, (9, 75)), (10, (90, 75))):
        x = np.zeros((images, 3, 7, 7), np.float32)
        assert functional.im2col(x, 5, stride=1, padding=0).shape == shape


def test_order_of_the_elements() -> None:
    """Windows in the order image, row, column; their elements channel, row, column."""
    x = np.arange(2 * 2 * 2 * 3, dtype=np.float64).reshape(2, 2, 2, 3)
    rows = functional.im2col(x, (2, 2))
    expected = [[0, 1, 3, 4, 6, 7, 9, 10], [1, 2, 4, 5, 7, 8, 10, 11]]
    assert_same(rows, np.array(expected + [[v + 12 for v in row] for row in expected], float))
    assert_same(functional.unfold(x, (2, 2))[1], rows[2:].T)


PADDINGS = [0, 2, (1, 3), ((0, 4), (3, 1)), "valid", "full", "same_upper", "same_lower"]


@pytest.mark.parametrize("padding", [*PADDINGS, "same"])
@pytest.mark.parametrize("kernel_size", [1, 2, (3, 4)])
@pytest.mark.parametrize("stride", [1, (2, 3)])
def test_every_padding(padding: Any, kernel_size: Any, stride: Any) -> None:
    if padding == "same" and stride != 1:
        return
    arguments = (kernel_size, stride, padding)
    keywords = {"stride": stride, "padding": padding}
    rng = np.random.default_rng(2)
    x = exact_integers(rng, (2, 2, 9, 18), np.float32)
    rows = reference.im2col(x, *arguments)
    assert_same(functional.im2col(x, *arguments), rows)
    assert_same(
        functional.unfold(x, kernel_size, **keywords), reference.unfold(x, kernel_size, **keywords)
    )
    rows = exact_integers(rng, rows.shape, np.float32)
    expected = reference.col2im(rows, x.shape, *arguments)
    assert_same(functional.col2im(rows, x.shape, *arguments), expected)
    cols = rows.reshape(2, -1, rows.shape[1]).transpose(0, 2, 1)
    assert_same(functional.fold(cols, (9, 18), kernel_size, **keywords), expected)


# Enough elements for seven threads.
THREADED: dict[str, Callable[[], Any]] = {
    "im2col": lambda: functional.im2col(*normal(3, (3, 4, 260, 260)), 3, padding=1),
    "unfold": lambda: functional.unfold(*normal(3, (3, 4, 260, 260)), 3, padding=1),
    "col2im": lambda: functional.col2im(
        *normal(3, (3 * 260**2, 36)), (3, 4, 260, 260), 3, padding=1
    ),
    "fold": lambda: functional.fold(*normal(3, (3, 36, 260**2)), 260, 3, padding=1),
}


@cache
def serial_result(name: str) -> Any:
    with convolt.num_threads(1):
        return THREADED[name]()


@pytest.mark.cpu_only  # a device has no threads to set
@pytest.mark.parametrize("name", THREADED)
def test_same_bits_for_any_number_of_threads(threads: int, name: str) -> None:
    assert_same_bits(THREADED[name](), serial_result(name))


def test_copies_are_exact_for_any_value(isa: str) -> None:
    """Columns are copies: NaN, infinities and the signs of zeros arrive as they were."""
    x = np.resize([np.nan, -np.inf, -0.0, 0.0, 1e-45, 3e38], (2, 3, 9, 19)).astype(np.float32)
    assert_same_bits(functional.im2col(x, 3, padding=1), reference.im2col(x, 3, padding=1))
    assert_same_bits(functional.unfold(x, 3, padding=1), reference.unfold(x, 3, padding=1))


@given(conv2d_cases(), seeds)
def test_inputs_are_left_alone(case: Conv2dCase, seed: int) -> None:
    x = image(case, seed)
    rows, cols = columns(case, seed)
    copies = [array.copy() for array in (x, rows, cols)]
    functional.im2col(x, **window(case))
    functional.unfold(x, **window(case))
    functional.col2im(rows, x.shape, **window(case))
    functional.fold(cols, x.shape[2:], **window(case))
    for array, copy in zip((x, rows, cols), copies, strict=True):
        np.testing.assert_array_equal(array, copy)
