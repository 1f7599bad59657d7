"""Real data: how far the compiled sums may be from their exact values."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import bounds
from conv2d_cases import DIRECT, DTYPES, direct, make_case, normal, transposed_parameters
from convolt import functional
from strategies import Conv2dCase

SIDES = ((1, 1), (1, 1))
CASES = {
    "3x3": make_case((2, 64, 9, 10), (16, 64, 3, 3), padding=SIDES),
    "1x1": make_case((1, 600, 5, 7), (20, 600, 1, 1)),
    "11x11, stride 4": make_case((2, 3, 43, 39), (8, 3, 11, 11), stride=(4, 4), padding=SIDES),
    "dilated, stride 2": make_case(
        (2, 7, 21, 23), (9, 7, 5, 4), stride=(2, 2), dilation=(2, 3), padding=((4, 3), (5, 6))
    ),
    "many pixels": make_case((3, 2, 60, 61), (3, 2, 3, 3), padding=SIDES),
    "one image row": make_case((1, 4, 1, 900), (5, 4, 1, 9)),
}


class Exact:
    """The passes of a convolution of one group in the widest float there is, tap by tap."""

    def __init__(self, case: Conv2dCase, x: Any, weight: Any, dy: Any) -> None:
        (sh, sw), (dh, dw), (oh, ow) = case.stride, case.dilation, case.output_size
        x, weight, dy = (array.astype(np.longdouble) for array in (x, weight, dy))
        padded = np.pad(x, ((0, 0), (0, 0), *case.padding))
        padded_dx = np.zeros_like(padded)
        self.y, self.dweight = np.zeros_like(dy), np.zeros_like(weight)
        for kh, kw in np.ndindex(weight.shape[2:]):
            rows = slice(kh * dh, kh * dh + (oh - 1) * sh + 1, sh)
            columns = slice(kw * dw, kw * dw + (ow - 1) * sw + 1, sw)
            seen, tap = padded[:, :, rows, columns], weight[:, :, kh, kw]
            self.y += np.moveaxis(np.tensordot(tap, seen, (1, 1)), 0, 1)
            padded_dx[:, :, rows, columns] += np.moveaxis(np.tensordot(tap, dy, (0, 1)), 0, 1)
            self.dweight[:, :, kh, kw] = np.tensordot(dy, seen, ((0, 2, 3), (0, 2, 3)))
        (top, _), (left, _) = case.padding
        h, w = x.shape[2:]
        self.dx = padded_dx[:, :, top : top + h, left : left + w]
        self.dbias = dy.sum(axis=(0, 2, 3))


@cache
def exact(name: str, dtype: Any) -> tuple[list[Any], Exact, Exact]:
    """Operands, the exact results, and their magnitudes."""
    case = CASES[name]
    bias_shape = case.weight_shape[:1]
    shapes = (case.x_shape, case.weight_shape, bias_shape, case.y_shape, case.x_shape[1:2])
    operands = normal(1, *shapes, dtype=dtype)
    x, weight, _, dy, _ = operands
    return operands, Exact(case, x, weight, dy), Exact(case, abs(x), abs(weight), abs(dy))


def assert_within(actual: Any, expected: Any, magnitude: Any, terms: int) -> None:
    limit = bounds.bound(magnitude, terms, actual.dtype)
    error = np.abs(actual.astype(np.longdouble) - expected)
    assert error.shape == limit.shape
    assert (error <= limit).all(), f"{(error / limit).max():.2f} times the bound"


def per_channel(bias: Any) -> Any:
    return bias.astype(np.longdouble)[:, np.newaxis, np.newaxis]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_conv2d(isa: str, name: str, dtype: Any) -> None:
    (x, weight, bias, _, _), results, magnitudes = exact(name, dtype)
    terms = int(np.prod(weight.shape[1:]))
    parameters = CASES[name].parameters
    y, magnitude = results.y + per_channel(bias), magnitudes.y + per_channel(abs(bias))
    actual = functional.conv2d(x, weight, bias, **parameters)
    assert_within(actual, y, magnitude, terms)
    actual = functional.conv2d(x, weight, bias, activation="relu", **parameters)
    assert_within(actual, np.maximum(y, 0), magnitude, terms)


@pytest.mark.parametrize("algorithm", DIRECT)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_conv2d_backward(isa: str, name: str, dtype: Any, algorithm: str) -> None:
    (x, weight, _, dy, _), results, magnitudes = exact(name, dtype)
    out_channels, _, *kernel = weight.shape
    pixels = dy.size // out_channels
    dx, dweight, dbias = functional.conv2d_backward(dy, x, weight, **direct(CASES[name], algorithm))
    assert_within(dx, results.dx, magnitudes.dx, out_channels * int(np.prod(kernel)))
    assert_within(dweight, results.dweight, magnitudes.dweight, pixels)
    assert_within(dbias, results.dbias, magnitudes.dbias, pixels)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_conv_transpose2d(isa: str, name: str, dtype: Any) -> None:
    """It runs from dy to x."""
    (x, weight, _, dy, bias), results, magnitudes = exact(name, dtype)
    parameters = transposed_parameters(CASES[name])
    out_channels, channels, *kernel = weight.shape
    taps, pixels = int(np.prod(kernel)), dy.size // out_channels
    y = functional.conv_transpose2d(dy, weight, bias, **parameters)
    magnitude = magnitudes.dx + per_channel(abs(bias))
    assert_within(y, results.dx + per_channel(bias), magnitude, out_channels * taps)
    gradients = functional.conv_transpose2d_backward(x, dy, weight, **parameters)
    assert_within(gradients.dx, results.y, magnitudes.y, channels * taps)
    assert_within(gradients.dweight, results.dweight, magnitudes.dweight, pixels)
    assert_within(
        gradients.dbias, x.sum((0, 2, 3), np.longdouble), abs(x).sum((0, 2, 3)), x[:, 0].size
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_columns_added_up(isa: str, dtype: Any) -> None:
    """A pixel of col2im and fold is a sum of at most KH*KW numbers."""
    case = make_case((2, 3, 12, 13), (1, 3, 5, 5), padding=((2, 2), (2, 2)))
    (cols,) = normal(2, (2, 75, 12 * 13), dtype=dtype)
    expected = sum_of_columns(case, cols)
    magnitude = sum_of_columns(case, abs(cols))
    folded = functional.fold(cols, (12, 13), 5, padding=2)
    assert_within(folded, expected, magnitude, 25)
    rows = cols.transpose(0, 2, 1).reshape(-1, 75)
    assert_within(functional.col2im(rows, case.x_shape, 5, 1, 2), expected, magnitude, 25)


def sum_of_columns(case: Conv2dCase, cols: Any) -> Any:
    n, c, h, w = case.x_shape
    _, _, kernel_h, kernel_w = case.weight_shape
    taps = cols.astype(np.longdouble).reshape(n, c, kernel_h, kernel_w, h, w)
    padded = np.zeros((n, c, h + kernel_h - 1, w + kernel_w - 1), np.longdouble)
    for kh, kw in np.ndindex(kernel_h, kernel_w):
        padded[:, :, kh : kh + h, kw : kw + w] += taps[:, :, kh, kw]
    return padded[:, :, kernel_h // 2 : kernel_h // 2 + h, kernel_w // 2 : kernel_w // 2 + w]
