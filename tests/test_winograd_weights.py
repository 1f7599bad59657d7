"""The gradient of filters by Winograd, F(3x3, 4x4) and F(5x5, 2x2): sums, rounding, promises."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest

import bounds
import convolt
from conv2d_cases import DTYPES, assert_same_bits, make_case
from convolt import functional, reference
from strategies import Conv2dCase
from winograd_model import DATA, assert_below, assert_gradient_within, same, with_filters

EVERY_TAPS = pytest.mark.parametrize("taps", [3, 5], ids=["3x3", "5x5"])


def dweight(dy: Any, x: Any, case: Conv2dCase, algorithm: str = "winograd") -> Any:
    weight = np.zeros(case.weight_shape, x.dtype)
    parameters = {**case.parameters, "algorithm": algorithm, "needs": ["dweight"]}
    return functional.conv2d_backward(dy, x, weight, **parameters).dweight


def direct(dy: Any, x: Any, case: Conv2dCase) -> Any:
    """Return the sums in a type whose rounding is nothing to that of x."""
    wider = np.float64 if x.dtype == np.float32 else np.longdouble
    before, after = zip(*case.padding, strict=True)
    padded = np.pad(x.astype(wider), ((0, 0), (0, 0), *zip(before, after, strict=True)))
    height, width = case.output_size
    sums = np.zeros(case.weight_shape, wider)
    operands = zip(
        np.split(dy.astype(wider), case.groups, 1),
        np.split(padded, case.groups, 1),
        np.split(sums, case.groups),
        strict=True,
    )
    for gradient, image, filters in operands:
        for kh, kw in np.ndindex(case.weight_shape[2:]):
            seen = image[:, :, kh : kh + height, kw : kw + width]
            filters[:, :, kh, kw] = np.einsum("nohw,nchw->oc", gradient, seen, optimize=True)
    return sums


# Around a tile, a vector of tiles, a strip of them, a panel of channels, a block of rows.
CASES = {
    "one strip": same(2, 20, 13, 11, out_channels=19),
    "many rows": same(1, 17, 9, 12, out_channels=203),
    "many channels": same(1, 260, 9, 12, out_channels=18),
    "strips": same(3, 9, 37, 41, out_channels=10),
    "strips, many rows": same(1, 33, 70, 75, out_channels=130),
    "a strip and a tile": same(257, 3, 4, 4, out_channels=5),
    "groups": same(2, 24, 14, 10, out_channels=36, groups=3),
    "groups, strips": same(9, 6, 24, 23, out_channels=8, groups=2),
    "padded": make_case((2, 9, 12, 13), (17, 9, 3, 3), padding=((0, 3), (4, 1))),
    "not padded": make_case((3, 8, 20, 11), (9, 8, 3, 3)),
}
CASE_NAMES = pytest.mark.parametrize("name", CASES)


@cache
def problem(name: str, taps: int, kind: str, dtype: Any) -> tuple[Any, Any, Any]:
    """Return dy, x and the exact gradient."""
    case, rng = with_filters(CASES[name], taps), np.random.default_rng(7)
    x, dy = (DATA[kind](rng, shape).astype(dtype) for shape in (case.x_shape, case.y_shape))
    return dy, x, direct(dy, x, case)


KINDS = pytest.mark.parametrize(
    ("kind", "dtype"), [*((kind, np.float32) for kind in DATA), ("normal", np.float64)]
)


@EVERY_TAPS
@KINDS
@CASE_NAMES
def test_within_what_rounding_explains(
    isa: str, name: str, kind: str, dtype: Any, taps: int
) -> None:
    """With data of any kind."""
    case = with_filters(CASES[name], taps)
    dy, x, expected = problem(name, taps, kind, dtype)
    assert_gradient_within(dweight(dy, x, case), expected, dy, x, case)


def enough(name: str, taps: int) -> bool:
    """Whether a tap in a corner meets as many pixels of dy as `auto` demands."""
    batch, _, height, width = CASES[name].y_shape
    met = batch * (height - taps // 2) * (width - taps // 2)
    return bool(met**2 >= (100 if taps == 3 else 625) * batch * height * width)


@pytest.mark.parametrize("kind", ["normal", "uniform", "after a ReLU"])
@pytest.mark.parametrize(
    ("name", "taps"), [pair for pair in product(CASES, (3, 5)) if enough(*pair)]
)
def test_as_accurate_as_a_plain_sum(isa: str, name: str, kind: str, taps: int) -> None:
    """Each filter against the sum of its own absolute products, where `auto` may ask for it."""
    case = with_filters(CASES[name], taps)
    dy, x, expected = problem(name, taps, kind, np.float32)
    total = direct(abs(dy), abs(x), case)
    error = abs(dweight(dy, x, case) - expected)
    assert_below(error, bounds.bound(total, 0, np.float32, "winograd_4x4"))


@EVERY_TAPS
@pytest.mark.parametrize("dtype", DTYPES)
@CASE_NAMES
def test_any_number_of_threads(isa: str, threads: int, name: str, dtype: Any, taps: int) -> None:
    case = with_filters(CASES[name], taps)
    dy, x, _ = problem(name, taps, "normal", dtype)
    shared = dweight(dy, x, case)
    with convolt.num_threads(1):
        assert_same_bits(dweight(dy, x, case), shared)


def test_the_small_tile_has_none(isa: str) -> None:
    case = CASES["strips"]
    dy, x, _ = problem("strips", 3, "normal", np.float32)
    expected = dweight(dy, x, case, "gemm")
    assert_same_bits(dweight(dy, x, case, "winograd_2x2"), expected)
    assert not np.array_equal(dweight(dy, x, case), expected)


@EVERY_TAPS
@pytest.mark.parametrize("shape", [(0, 3, 5, 6), (2, 0, 5, 6)])
@pytest.mark.parametrize("out_channels", [0, 4])
def test_of_nothing(isa: str, shape: tuple[int, ...], out_channels: int, taps: int) -> None:
    case = make_case(shape, (out_channels, shape[1], taps, taps), padding=((1, 1), (1, 1)))
    dy, x = np.ones(case.y_shape, np.float32), np.ones(shape, np.float32)
    assert_same_bits(dweight(dy, x, case), np.zeros(case.weight_shape, np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [(0, 0), (5, 6), (12, 10)])
def test_non_finite_pixel_of_x(isa: str, at: tuple[int, int], value: float) -> None:
    """It reaches every filter of its channel, each tap that met it, and no other channel."""
    case = CASES["one strip"]
    dy, x, _ = (array.copy() for array in problem("one strip", 3, "normal", np.float32))
    clean = dweight(dy, x, case)
    x[(1, 7, *at)] = value
    actual = dweight(dy, x, case)
    met = ~np.isfinite(reference.conv2d_backward(dy, x, np.zeros_like(clean), padding=1).dweight)
    assert met[:, 7].any()
    assert not np.isfinite(actual[met]).any()
    actual[:, 7] = clean[:, 7]
    assert_same_bits(actual, clean)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_non_finite_pixel_of_dy(isa: str, value: float) -> None:
    """It reaches all taps of its filter, and no other filter."""
    case = CASES["one strip"]
    dy, x, _ = (array.copy() for array in problem("one strip", 3, "normal", np.float32))
    clean = dweight(dy, x, case)
    dy[0, 11, 12, 4] = value
    actual = dweight(dy, x, case)
    assert not np.isfinite(actual[11]).any()
    actual[11] = clean[11]
    assert_same_bits(actual, clean)
