"""Winograd convolution: how far rounding takes it from the exact sums, and what overflows."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import bounds
from conv2d_cases import DTYPES
from convolt import functional
from strategies import Conv2dCase
from winograd_model import (
    DATA,
    EVERY_METHOD,
    TILES,
    assert_below,
    assert_within,
    correlate,
    exact,
    largest_of_tiles,
    magnitude,
    same,
    transposed,
    with_filters,
)

CASES = {
    "few channels": same(1, 16, 30, 29, out_channels=16),
    "7x7": same(3, 200, 7, 7, out_channels=24),
    "14x14": same(1, 300, 14, 14, out_channels=17),
    "28x28": same(1, 64, 28, 28, out_channels=40),
    "groups": same(2, 64, 13, 18, out_channels=32, groups=2),
}


@cache
def problem(name: str, taps: int, kind: str, dtype: Any) -> tuple[list[Any], list[Any]]:
    """Return x, weight, bias and dy, and the exact y and dx."""
    case, rng = with_filters(CASES[name], taps), np.random.default_rng(1)
    padding, groups = case.padding, case.groups
    x, dy = (DATA[kind](rng, shape).astype(dtype) for shape in (case.x_shape, case.y_shape))
    draw = DATA["uniform" if kind == "uniform" else "normal"]
    weight = draw(rng, case.weight_shape).astype(dtype)
    if kind == "channels scaled":
        spread = np.ptp(rng.integers(-20, 21, (2, case.weight_shape[0], 1, 1, 1)), 0)
        weight = np.ldexp(weight, spread - 20).astype(dtype)
    bias = rng.standard_normal(case.weight_shape[:1]).astype(dtype)
    y = exact(x, weight, padding, groups) + bias[:, np.newaxis, np.newaxis]
    return [x, weight, bias, dy], [y, exact(dy, *transposed(weight, padding, groups), groups)]


def results(case: Conv2dCase, operands: list[Any], algorithm: str) -> list[Any]:
    x, weight, bias, dy = operands
    parameters = {**case.parameters, "algorithm": algorithm}
    y = functional.conv2d(x, weight, bias, **parameters)
    return [y, functional.conv2d_backward(dy, x, weight, **parameters, needs=["dx"]).dx]


@EVERY_METHOD
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["normal", "uniform"])
@pytest.mark.parametrize("name", CASES)
def test_as_accurate_as_a_plain_sum(
    isa: str, name: str, kind: str, dtype: Any, algorithm: str, taps: int
) -> None:
    """With data of random sign."""
    case = with_filters(CASES[name], taps)
    operands, expected = problem(name, taps, kind, dtype)
    x, weight, bias, dy = (abs(array) for array in operands)
    absolute = correlate(x, weight, case.padding, case.groups, dtype)
    absolute += bias[:, np.newaxis, np.newaxis]
    turned = transposed(weight, case.padding, case.groups)
    sums = [absolute, correlate(dy, *turned, case.groups, dtype)]
    for actual, right, total in zip(
        results(case, operands, algorithm), expected, sums, strict=True
    ):
        whole = slice(taps // 2, -(taps // 2))
        error, inside = abs(actual - right), np.s_[:, :, whole, whole]
        points = "winograd_2x2" if (algorithm, taps) == ("winograd_2x2", 3) else "winograd_4x4"
        limit = bounds.bound(total, weight[0].size, dtype, points)
        assert_below(error[inside], limit[inside])
        assert_below(error, largest_of_tiles(limit, TILES[algorithm]))


@EVERY_METHOD
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("name", CASES)
def test_within_what_rounding_explains(
    isa: str, name: str, kind: str, dtype: Any, algorithm: str, taps: int
) -> None:
    """With data of any kind."""
    case, tile = with_filters(CASES[name], taps), TILES[algorithm]
    operands, expected = problem(name, taps, kind, dtype)
    x, weight, bias, dy = operands
    size = magnitude(x, weight, case.padding, tile, case.groups)
    turned, padding = transposed(weight, case.padding, case.groups)
    sizes = [size + abs(bias)[:, np.newaxis, np.newaxis]]
    sizes.append(magnitude(dy, turned, padding, tile, case.groups))
    for actual, right, total, filters in zip(
        *(results(case, operands, algorithm), expected, sizes, (weight, turned)), strict=True
    ):
        assert_within(actual, right, total, filters)
