"""The table of semantics, row by row, on the compiled operators; errors are in test_errors.py."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from conv2d_cases import DTYPES, assert_same, for_fixtures
from convolt import functional, reference
from strategies import Conv2dCase, conv2d_cases, conv2d_operands, seeds

NAN, INF = np.nan, np.inf


def row(*values: float) -> Any:
    """Return an image of one row."""
    return np.array(values, np.float32).reshape(1, 1, 1, -1)


def ones(*shape: int) -> Any:
    return np.ones(shape, np.float32)


# --- layout and dtype ---------------------------------------------------------------------------


def test_layout_of_every_axis() -> None:
    """Each element of x, weight and bias has a power of ten that shows where it went."""
    x = 10.0 ** np.arange(8).reshape(2, 2, 1, 2)
    weight = np.array([1.0, 0.0, 2.0, 0.0, 0.0, 3.0]).reshape(3, 2, 1, 1)
    y = functional.conv2d(x, weight, np.array([4.0, 5.0, 6.0]))
    assert_same(
        y.reshape(2, 3, 2),
        np.array(
            [
                [[5, 14], [7, 25], [306, 3006]],
                [[10004, 100004], [20005, 200005], [3000006, 30000006.0]],
            ]
        ),
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_of_the_result_is_that_of_the_operands(dtype: Any) -> None:
    x, weight, bias = (ones(*s).astype(dtype) for s in ((1, 2, 3, 3), (2, 2, 2, 2), (2,)))
    y = functional.conv2d(x, weight, bias)
    results = [y, *functional.conv2d_backward(y, x, weight)]
    results += [functional.conv_transpose2d(y, weight, bias), functional.im2col(x, 2)]
    results += functional.conv_transpose2d_backward(x, y, weight)
    results += [functional.unfold(x, 2), functional.fold(functional.unfold(x, 2), 3, 2)]
    results += [functional.max_pool2d(x, 2), functional.avg_pool2d(x, 2)]
    assert {array.dtype for array in results} == {np.dtype(dtype)}


# --- padding ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("padding", "expected"),
    [
        (0, [21, 32, 43, 54]),
        ("valid", [21, 32, 43, 54]),
        ("same", [21, 32, 43, 54, 5]),
        ("same_upper", [21, 32, 43, 54, 5]),
        ("same_lower", [10, 21, 32, 43, 54]),
        ("full", [10, 21, 32, 43, 54, 5]),
        (((0, 0), (0, 1)), [21, 32, 43, 54, 5]),
        (((0, 0), (1, 0)), [10, 21, 32, 43, 54]),
        ((0, 1), [10, 21, 32, 43, 54, 5]),
        ((0, 3), [0, 0, 10, 21, 32, 43, 54, 5, 0, 0]),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_padding_of_an_even_kernel(padding: Any, expected: list[float], turned: bool) -> None:
    x, weight = row(1, 2, 3, 4, 5), row(1, 10)
    if turned:
        x, weight = x.transpose(0, 1, 3, 2), weight.transpose(0, 1, 3, 2)
        if isinstance(padding, tuple):
            padding = padding[::-1]
    assert functional.conv2d(x, weight, padding=padding).ravel().tolist() == expected


@pytest.mark.parametrize(
    ("size", "kernel_size", "padding", "expected"),
    [
        (5, 3, "same_upper", [3, 9, 9]),
        (6, 3, "same_upper", [6, 12, 11]),
        (6, 3, "same_lower", [3, 9, 15]),
        (5, 2, "same_upper", [3, 7, 5]),
        (5, 2, "same_lower", [1, 5, 9]),
        (6, 1, "same_lower", [1, 3, 5]),
    ],
)
def test_same_padding_at_stride_2(
    size: int, kernel_size: int, padding: str, expected: list[float]
) -> None:
    x = row(*range(1, size + 1))
    weight = ones(1, 1, 1, kernel_size)
    y = functional.conv2d(x, weight, stride=(1, 2), padding=padding)
    assert y.ravel().tolist() == expected


def test_dilation_counts_in_the_named_paddings() -> None:
    x, weight = row(1, 2, 3, 4, 5), row(1, 10)
    y = functional.conv2d(x, weight, padding="full", dilation=3)
    assert y.ravel().tolist() == [10, 20, 30, 41, 52, 3, 4, 5]
    y = functional.conv2d(x, weight, padding="same", dilation=3)
    assert y.ravel().tolist() == [30, 41, 52, 3, 4]


def test_kernel_wholly_in_the_padding(isa: str) -> None:
    """Such windows are zero, or the bias; their gradients reach nothing."""
    x, weight, bias = row(7), ones(3, 1, 2, 2), np.array([1, 2, 3], np.float32)
    y = functional.conv2d(x, weight, bias, padding=4)
    inside = y[:, :, 3:5, 3:5].copy()
    assert_same(inside, np.float32(7) + bias.repeat(4).reshape(1, 3, 2, 2))
    y[:, :, 3:5, 3:5] = bias.reshape(3, 1, 1)
    assert (y == bias.reshape(3, 1, 1)).all()
    dy = np.full_like(y, 5)
    dy[:, :, 3:5, 3:5] = 0
    dx, dweight, _ = functional.conv2d_backward(dy, x, weight, padding=4)
    assert not dx.any()
    assert not dweight.any()


# --- output size --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "kernel_size", "stride", "expected"), [(8, 3, 2, 3), (7, 3, 2, 3), (9, 2, 4, 2)]
)
def test_output_size_is_rounded_down(
    size: int, kernel_size: int, stride: int, expected: int
) -> None:
    x, weight = ones(1, 1, size, size), ones(1, 1, kernel_size, kernel_size)
    y = functional.conv2d(x, weight, stride=stride)
    assert y.shape == (1, 1, expected, expected)
    assert functional.conv_output_size(size, kernel_size, stride) == expected
    end = (expected - 1) * stride + kernel_size
    x[:, :, end:] = x[:, :, :, end:] = NAN
    assert_same(functional.conv2d(x, weight, stride=stride), y)


@given(conv2d_cases())
def test_output_size_helper_agrees(case: Conv2dCase) -> None:
    x, weight = np.zeros(case.x_shape, np.float32), np.zeros(case.weight_shape, np.float32)
    parameters = {key: case.parameters[key] for key in ("stride", "padding", "dilation")}
    size = functional.conv_output_size(case.x_shape[2:], weight.shape[2:], **parameters)
    y = functional.conv2d(x, weight, groups=case.groups, **parameters)
    assert y.shape[2:] == size


def test_strict_refuses_what_the_stride_would_ignore() -> None:
    weight = ones(1, 1, 3, 3)
    text = "conv2d: stride must divide padded input - kernel = 8 - 3 when strict=True, got stride 2"
    with pytest.raises(ValueError, match=text):
        functional.conv2d(ones(1, 1, 7, 8), weight, stride=2, strict=True)
    assert functional.conv2d(ones(1, 1, 7, 9), weight, stride=2, strict=True).shape[2:] == (3, 4)
    for name in ("max_pool2d", "min_pool2d", "avg_pool2d"):
        pool = getattr(functional, name)
        with pytest.raises(ValueError, match=f"^{name}: stride must divide .* got stride 3"):
            pool(ones(1, 1, 6, 8), 3, strict=True)
        assert pool(ones(1, 1, 6, 9), 3, strict=True).shape[2:] == (2, 3)
        assert pool(ones(1, 1, 6, 8), 3, strict=True, ceil_mode=True).shape[2:] == (2, 3)


# --- non-finite values --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [INF, -INF, NAN])
def test_non_finite_weight_over_padding_is_nan(isa: str, value: float, dtype: Any) -> None:
    x, weight = np.ones((1, 1, 2, 2), dtype), np.ones((1, 1, 3, 3), dtype)
    weight[0, 0, 0, 0] = value
    y = functional.conv2d(x, weight, padding=1)
    assert_same(y.ravel(), np.array([NAN, NAN, NAN, value], dtype))
    assert_same(y, reference.conv2d(x, weight, padding=1))
    # Also where the whole window lies in the padding.
    y = functional.conv2d(x, weight, padding=4)
    assert np.isnan(y[0, 0, 0]).all()
    assert np.isnan(y[0, 0, -1]).all()


@pytest.mark.parametrize("value", [INF, NAN])
def test_non_finite_weight_times_zero_is_nan(isa: str, value: float) -> None:
    weight = np.full((7, 1, 1, 1), value, np.float32)
    assert np.isnan(functional.conv2d(np.zeros((1, 1, 3, 40), np.float32), weight)).all()


@pytest.mark.parametrize("value", [INF, -INF, NAN])
@for_fixtures
@given(conv2d_cases(), seeds)
def test_non_finite_pixels_reach_the_windows_that_hold_them(
    isa: str, value: float, case: Conv2dCase, seed: int
) -> None:
    """And no other; a zero weight turns an infinity into NaN."""
    x, weight, bias, dy = conv2d_operands(case, seed)
    rng = np.random.default_rng(seed)
    if x.size and weight.size:
        x.reshape(-1)[rng.integers(x.size)] = value
        dy.reshape(-1)[rng.integers(dy.size)] = value
    y = functional.conv2d(x, weight, bias, **case.parameters)
    with np.errstate(invalid="ignore"):
        expected = reference.conv2d(x, weight, bias, **case.parameters)
        gradients = reference.conv2d_backward(dy, x, weight, **case.parameters)
    assert_same(y, expected)
    actual = functional.conv2d_backward(dy, x, weight, **case.parameters)
    for array, wanted in zip(actual, gradients, strict=True):
        assert_same(array, wanted)


def test_one_nan_reaches_its_windows_alone(isa: str) -> None:
    x, weight = np.zeros((2, 2, 9, 20), np.float32), ones(3, 2, 3, 2)
    x[1, 0, 4, 7] = NAN
    y = functional.conv2d(x, weight, padding=1)
    reached = np.zeros(y.shape, bool)
    reached[1, :, 3:6, 7:9] = True  # rows 4 - 1 to 4 + 1, columns 7 and 7 + 1
    assert_same(np.isnan(y), reached)


# --- empty --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "oc"), [(0, 3), (2, 0), (0, 0)])
def test_no_images_or_no_output_channels(isa: str, n: int, oc: int) -> None:
    x, weight, bias = ones(n, 2, 5, 6), ones(oc, 2, 3, 2), ones(oc)
    y = functional.conv2d(x, weight, bias, activation="relu")
    assert y.shape == (n, oc, 3, 5)
    dx, dweight, dbias = functional.conv2d_backward(y, x, weight)
    assert_same(dx, np.zeros_like(x))
    assert_same(dweight, np.zeros_like(weight))
    assert_same(dbias, np.zeros_like(bias))
    back = functional.conv_transpose2d(y, weight, ones(2))
    assert_same(back, np.broadcast_to(ones(1), back.shape))  # the bias alone
    dx, dweight, dbias = functional.conv_transpose2d_backward(x, y, weight)
    assert_same(dx, np.full(y.shape, 12, np.float32))
    assert_same(dweight, np.zeros_like(weight))
    assert_same(dbias, x.sum((0, 2, 3)))


def test_no_images_in_column_matrices() -> None:
    x = ones(0, 2, 5, 6)
    assert functional.im2col(x, 3).shape == (0, 18)
    assert functional.unfold(x, 3).shape == (0, 18, 12)
    assert functional.col2im(ones(0, 18), x.shape, 3).shape == x.shape
    assert functional.fold(ones(0, 18, 12), (5, 6), 3).shape == x.shape


@pytest.mark.parametrize("shape", [(2, 3, 0, 4), (2, 3, 4, 0), (0, 3, 0, 0)])
def test_no_pixels(shape: tuple[int, ...]) -> None:
    x, weight = ones(*shape), ones(4, 3, 1, 1)
    text = re.escape(f"x must have H, W >= 1, got shape {shape}")
    calls: dict[str, Any] = {
        "conv2d": lambda: functional.conv2d(x, weight, padding=2),
        "conv2d_backward": lambda: functional.conv2d_backward(x, x, weight, padding=2),
        "conv_transpose2d": lambda: functional.conv_transpose2d(x, ones(3, 2, 2, 2)),
        "im2col": lambda: functional.im2col(x, 1, padding=1),
        "unfold": lambda: functional.unfold(x, 1, padding=1),
        "max_pool2d": lambda: functional.max_pool2d(x, 2, padding=1),
        "min_pool2d": lambda: functional.min_pool2d(x, 2, padding=1),
        "avg_pool2d": lambda: functional.avg_pool2d(x, 2, padding=1),
        "global_avg_pool2d": lambda: functional.global_avg_pool2d(x),
        "global_max_pool2d": lambda: functional.global_max_pool2d(x),
    }
    for function, call in calls.items():
        with pytest.raises(ValueError, match=f"^{function}: {text}"):
            call()
