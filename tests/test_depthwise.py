"""Convolutions with few channels in a group, which have kernels of their own."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bounds
import convolt
from conv2d_cases import (
    DTYPES,
    assert_same,
    assert_same_bits,
    for_fixtures,
    make_case,
    normal,
    thorough,
    transposed_parameters,
)
from convolt import functional, reference
from strategies import Conv2dCase, conv2d_operands, narrow_cases, seeds

NAN, INF = np.nan, np.inf

SAME = ((1, 1), (1, 1))

# Windows with kernels of their own, and some that the kernels for any window do.
WINDOWS = {
    "3x3": {"kernel": 3},
    "3x3, stride 2": {"kernel": 3, "stride": 2},
    "3x3, stride 2, even padding": {"kernel": 3, "stride": 2, "padding": ((2, 1), (0, 2))},
    "5x5": {"kernel": 5, "padding": ((2, 2), (2, 2))},
    "5x5, stride 2": {"kernel": 5, "stride": 2, "padding": ((2, 1), (2, 1))},
    "3x3, padding beyond": {"kernel": 3, "padding": ((4, 3), (5, 19))},
    "3x3, stride 2, padding beyond": {"kernel": 3, "stride": 2, "padding": ((5, 3), (41, 4))},
    "3x3, dilated": {"kernel": 3, "dilation": 2},
    "3x3, stride 3": {"kernel": 3, "stride": 3},
    "7x7": {"kernel": 7, "padding": ((3, 3), (3, 3))},
    "1x1": {"kernel": 1, "padding": ((0, 0), (0, 0))},
}
NARROW = {
    "depthwise": {"groups": 5},
    "two filters each": {"groups": 3, "filters": 2},
    "four channels": {"groups": 2, "channels": 4, "filters": 4},
    "many channels, few filters": {"groups": 1, "channels": 19, "filters": 7},
}


def window_case(
    size: tuple[int, int],
    kernel: int,
    *,
    stride: int = 1,
    padding: Any = SAME,
    dilation: int = 1,
    groups: int = 3,
    channels: int = 1,
    filters: int = 1,
    batch: int = 1,
    dtype: Any = np.float32,
) -> Conv2dCase:
    return make_case(
        (batch, channels * groups, *size),
        (filters * groups, channels, kernel, kernel),
        stride=(stride, stride),
        padding=padding,
        dilation=(dilation, dilation),
        groups=groups,
        dtype=dtype,
    )


def assert_all_passes_are_right(case: Conv2dCase, seed: int, activation: str | None) -> None:
    x, weight, bias, dy = conv2d_operands(case, seed)
    y = functional.conv2d(x, weight, bias, activation=activation, **case.parameters)
    expected = reference.conv2d(x, weight, bias, activation=activation, **case.parameters)
    assert_same(y, expected)
    gradients = functional.conv2d_backward(dy, x, weight, **case.parameters)
    wanted = reference.conv2d_backward(dy, x, weight, **case.parameters)
    for array, other in zip(gradients, wanted, strict=True):
        assert_same(array, other)


# --- the definition, in exact integers ----------------------------------------------------------


@thorough
@given(narrow_cases(), seeds, st.sampled_from([None, "relu"]))
def test_all_passes(isa: str, case: Conv2dCase, seed: int, activation: str | None) -> None:
    assert_all_passes_are_right(case, seed, activation)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("window", WINDOWS)
def test_every_width_and_height(isa: str, window: str, dtype: Any) -> None:
    """Around each multiple of a vector, with every remainder of a tile of rows."""
    for width in (*range(1, 20), 28, 31, 32, 33, 34, 47, 48, 49, 56, 64, 65, 112):
        size = (1 + width % 9, width)
        case = window_case(size, **WINDOWS[window], batch=2, dtype=dtype)
        if min(case.output_size) > 0:
            assert_all_passes_are_right(case, width, "relu" if width % 2 else None)


@pytest.mark.parametrize("channels", NARROW)
@pytest.mark.parametrize("window", WINDOWS)
def test_every_window_with_few_channels(isa: str, window: str, channels: str) -> None:
    for size in ((7, 7), (14, 15), (3, 40)):
        arguments: dict[str, Any] = {**WINDOWS[window], **NARROW[channels]}
        case = window_case(size, **arguments, batch=2)
        if min(case.output_size) > 0:
            assert_all_passes_are_right(case, 7, None)


@pytest.mark.parametrize("window", WINDOWS)
def test_bias_of_the_transposed_convolution(isa: str, window: str) -> None:
    """It runs through the gradient of the image."""
    for size in ((7, 7), (8, 33), (4, 18)):
        case = window_case(size, **WINDOWS[window])
        _, weight, bias, dy = conv2d_operands(case, 3)
        parameters = transposed_parameters(case)
        expected = reference.conv_transpose2d(dy, weight, bias, **parameters)
        y = functional.conv_transpose2d(dy, weight, bias, **parameters)
        assert_same(y, expected)


@pytest.mark.cpu_only  # a block of the CPU is meant
@pytest.mark.parametrize("channels", [1, 8, 64])
def test_rows_wider_than_a_block(isa: str, channels: int) -> None:
    """Wide rows are cut, the sooner the more channels there are."""
    for stride, dilation in ((1, 1), (2, 1), (1, 3)):
        for width in (901, 2400):
            case = window_case(
                (5, width), 3, stride=stride, dilation=dilation, groups=1, channels=channels
            )
            assert_all_passes_are_right(case, width, None)


@pytest.mark.parametrize(
    ("kernel", "size"), [(5, (30, 3000)), (5, (2673, 15)), (3, (7414, 15)), (3, (30, 7000))]
)
def test_rows_of_a_second_call(isa: str, kernel: int, size: tuple[int, int]) -> None:
    """Large planes are cut; what is left is a whole number of the highest tiles."""
    half = kernel // 2
    case = window_case(size, kernel, padding=((half, half), (half, half)), groups=1)
    assert_all_passes_are_right(case, kernel, None)


def test_more_planes_than_come_at_a_time(isa: str) -> None:
    for kernel in (2, 3):
        case = window_case((4, 5), kernel, groups=200, batch=3)
        assert_all_passes_are_right(case, 9, None)


# --- values that spread -------------------------------------------------------------------------


@pytest.mark.parametrize("value", [INF, NAN])
@pytest.mark.parametrize("window", WINDOWS)
def test_non_finite_values_reach_their_windows_alone(isa: str, window: str, value: float) -> None:
    """One of them in each operand in turn, also where it meets padding or a narrow row ends."""
    rng = np.random.default_rng(0)
    for size in ((5, 7), (6, 21)):
        case = window_case(size, **WINDOWS[window])
        x, weight, _, dy = conv2d_operands(case, 5)
        for target in (x, weight, dy):
            for index in rng.integers(target.size, size=6):
                before = target.reshape(-1)[index]
                target.reshape(-1)[index] = value
                with np.errstate(invalid="ignore"):
                    expected = reference.conv2d(x, weight, **case.parameters)
                    wanted = reference.conv2d_backward(dy, x, weight, **case.parameters)
                assert_same(functional.conv2d(x, weight, **case.parameters), expected)
                dx, dweight, _ = functional.conv2d_backward(dy, x, weight, **case.parameters)
                assert_same(dweight, wanted.dweight)
                if target is not weight:
                    assert_same(dx, wanted.dx)
                target.reshape(-1)[index] = before


def test_relu_keeps_nan(isa: str) -> None:
    x = np.array([-1.0, NAN, 2.0, -INF, INF, -0.0] * 9, np.float32).reshape(1, 1, 6, 9)
    delta = np.zeros((1, 1, 3, 3), np.float32)
    delta[0, 0, 1, 1] = 1
    for size in (6, 3):
        image = np.where(np.isinf(x), 3, x)[:, :, :, :size]
        y = functional.conv2d(image, delta, padding=1, activation="relu")
        alone = functional.conv2d(image, delta, padding=1)
        assert_same(y, np.where(alone < 0, np.float32(0), alone))


# --- the same bits ------------------------------------------------------------------------------


# Each does enough work for seven threads.
LARGE = {
    "3x3": window_case((56, 57), 3, groups=96, batch=3),
    "3x3, stride 2": window_case((80, 81), 3, stride=2, groups=96, batch=5),
    "5x5": window_case((28, 28), 5, padding=((2, 2), (2, 2)), groups=99, batch=5),
    "one large plane": window_case((400, 405), 3, groups=1, batch=2),
    "one channel, many images": window_case((20, 21), 3, groups=1, filters=2, batch=1500),
    "7x7": window_case((30, 31), 7, padding=((3, 3), (3, 3)), groups=40, batch=2),
    "four channels": window_case((40, 41), 3, groups=16, channels=4, filters=4, batch=2),
    "few filters": window_case((50, 51), 3, groups=1, channels=40, filters=3, batch=3),
}


@cache
def serial_result(name: str, isa: str) -> tuple[Any, Any]:
    """Operands, and what one thread makes of them on the chosen instruction set."""
    case = LARGE[name]
    operands = normal(3, case.x_shape, case.weight_shape, case.weight_shape[:1], case.y_shape)
    with convolt.num_threads(1):
        return operands, all_passes(case, *operands)


def all_passes(case: Conv2dCase, x: Any, weight: Any, bias: Any, dy: Any) -> tuple[Any, ...]:
    y = functional.conv2d(x, weight, bias, **case.parameters)
    return (y, *functional.conv2d_backward(dy, x, weight, **case.parameters))


@pytest.mark.cpu_only  # a device has no threads to set
@pytest.mark.parametrize("name", LARGE)
def test_same_bits_for_any_number_of_threads(isa: str, threads: int, name: str) -> None:
    operands, expected = serial_result(name, isa)
    for array, wanted in zip(all_passes(LARGE[name], *operands), expected, strict=True):
        assert_same_bits(array, wanted)


@pytest.mark.parametrize("name", LARGE)
def test_large_cases_are_right(threads: int, name: str) -> None:
    assert_all_passes_are_right(LARGE[name], 4, "relu")


@for_fixtures
@given(narrow_cases(), seeds)
def test_same_bits_for_an_image_alone(isa: str, case: Conv2dCase, seed: int) -> None:
    x, weight, dy = normal(seed, case.x_shape, case.weight_shape, case.y_shape, dtype=case.dtype)
    parameters = case.parameters
    y = functional.conv2d(x, weight, **parameters)
    dx = functional.conv2d_backward(dy, x, weight, needs=["dx"], **parameters).dx
    for n in range(len(x)):
        image = np.s_[n : n + 1]
        assert_same_bits(functional.conv2d(x[image], weight, **parameters), y[image])
        alone = functional.conv2d_backward(dy[image], x[image], weight, needs=["dx"], **parameters)
        assert_same_bits(alone.dx, dx[image])


# --- rounding -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", NARROW)
@pytest.mark.parametrize("window", WINDOWS)
def test_rounding(isa: str, window: str, channels: str, dtype: Any) -> None:
    arguments: dict[str, Any] = {**WINDOWS[window], **NARROW[channels]}
    case = window_case((17, 23), **arguments, batch=2)
    x, weight, dy = normal(8, case.x_shape, case.weight_shape, case.y_shape, dtype=dtype)
    wide = [a.astype(np.longdouble) for a in (x, weight, dy)]
    exact = exact_passes(case, *wide)
    magnitudes = exact_passes(case, *(abs(a) for a in wide))
    y = functional.conv2d(x, weight, **case.parameters)
    dx, dweight, _ = functional.conv2d_backward(dy, x, weight, **case.parameters)
    taps = int(np.prod(weight.shape[2:]))
    terms = (weight.shape[1] * taps, weight.shape[0] // case.groups * taps, dy[:, 0].size)
    for actual, value, magnitude, count in zip(
        (y, dx, dweight), exact, magnitudes, terms, strict=True
    ):
        limit = bounds.bound(magnitude, count, dtype)
        assert (abs(actual - value) <= limit).all()


def exact_passes(case: Conv2dCase, x: Any, weight: Any, dy: Any) -> tuple[Any, Any, Any]:
    """Tap by tap, and group by group at once."""
    (sh, sw), (dh, dw), groups = case.stride, case.dilation, case.groups
    n, _, oh, ow = dy.shape
    channels = weight.shape[1]
    padded = np.pad(x, ((0, 0), (0, 0), *case.padding))
    padded_dx, y, dweight = np.zeros_like(padded), np.zeros_like(dy), np.zeros_like(weight)
    gradients = dy.reshape(n, groups, -1, oh, ow)
    for kh, kw in np.ndindex(weight.shape[2:]):
        rows = slice(kh * dh, kh * dh + (oh - 1) * sh + 1, sh)
        columns = slice(kw * dw, kw * dw + (ow - 1) * sw + 1, sw)
        seen = padded[:, :, rows, columns].reshape(n, groups, channels, oh, ow)
        tap = weight[:, :, kh, kw].reshape(groups, -1, channels)
        y += np.einsum("gmc,ngchw->ngmhw", tap, seen).reshape(y.shape)
        padded_dx[:, :, rows, columns] += np.einsum("gmc,ngmhw->ngchw", tap, gradients).reshape(
            n, -1, oh, ow
        )
        dweight[:, :, kh, kw] = np.einsum("ngmhw,ngchw->gmc", gradients, seen).reshape(-1, channels)
    (top, _), (left, _) = case.padding
    height, width = x.shape[2:]
    return y, padded_dx[:, :, top : top + height, left : left + width], dweight
