"""The definition against loops over single numbers, and against numbers from books and peers."""

from __future__ import annotations

import doctest
import importlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import brute_force
from convolt import reference
from memory_layouts import LAYOUTS, layouts
from strategies import (
    Conv2dCase,
    Pool2dCase,
    conv2d_cases,
    conv2d_operands,
    exact_integers,
    pool2d_cases,
    seeds,
)

NAN, INF = np.nan, np.inf


def row(*values: float) -> Any:
    """Return an image of one row."""
    return np.array(values, np.float64).reshape(1, 1, 1, -1)


def plane(values: list[list[float]]) -> Any:
    return np.array(values, np.float64)[np.newaxis, np.newaxis]


@pytest.mark.parametrize(
    "module",
    ["_arguments", "_reference_conv", "_reference_unfold", "_reference_max_pool",
     "_reference_avg_pool"],
)  # fmt: skip
def test_examples_of_the_docstrings(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"convolt.{module}"))
    assert result.attempted > 0
    assert result.failed == 0


@given(conv2d_cases(tiny=True), seeds)
def test_conv2d_and_gradients(case: Conv2dCase, seed: int) -> None:
    x, weight, bias, dy = conv2d_operands(case, seed)
    y, dx, dweight = brute_force.conv2d(case, x, weight, dy)
    if bias is not None:
        y += bias.reshape(-1, 1, 1)
    result = reference.conv2d(x, weight, bias, **case.parameters)
    gradients = reference.conv2d_backward(dy, x, weight, **case.parameters)
    for array in (result, *gradients):
        assert array is not None
        assert array.dtype == case.dtype
        assert array.flags.c_contiguous
    np.testing.assert_array_equal(result, y)
    np.testing.assert_array_equal(gradients.dx, dx)
    np.testing.assert_array_equal(gradients.dweight, dweight)
    np.testing.assert_array_equal(gradients.dbias, dy.sum(axis=(0, 2, 3)))


@given(conv2d_cases(tiny=True), seeds)
def test_im2col_unfold_and_adjoints(case: Conv2dCase, seed: int) -> None:
    x = conv2d_operands(case, seed).x
    windows = brute_force.im2col(case, x)
    n, oh, ow, c, kh, kw = windows.shape
    parameters = {key: case.parameters[key] for key in ("stride", "padding", "dilation")}

    col = reference.im2col(x, (kh, kw), **parameters)
    np.testing.assert_array_equal(col, windows.reshape(n * oh * ow, c * kh * kw))
    columns = reference.unfold(x, (kh, kw), **parameters)
    by_tap = windows.transpose(0, 3, 4, 5, 1, 2)
    np.testing.assert_array_equal(columns, by_tap.reshape(n, c * kh * kw, oh * ow))

    image = brute_force.col2im(case, windows)
    np.testing.assert_array_equal(reference.col2im(col, x.shape, (kh, kw), **parameters), image)
    np.testing.assert_array_equal(
        reference.fold(columns, x.shape[2:], (kh, kw), **parameters), image
    )
    assert col.dtype == columns.dtype == case.dtype


@given(conv2d_cases(tiny=True), seeds)
def test_conv_transpose2d_and_gradients(case: Conv2dCase, seed: int) -> None:
    # The transpose runs from the output of a convolution back to its input, of which the rows and
    # columns that the stride ignored are the output_padding.
    operands = conv2d_operands(case, seed)
    small, weight, large = operands.dy, operands.weight, operands.x
    spans = [
        n + sum(sides) - ((k - 1) * d + 1)
        for n, sides, k, d in zip(
            large.shape[2:], case.padding, weight.shape[2:], case.dilation, strict=True
        )
    ]
    output_padding = [span % s for span, s in zip(spans, case.stride, strict=True)]
    parameters = {**case.parameters, "output_padding": tuple(output_padding)}
    dx, y, dweight = brute_force.conv2d(case, large, weight, small)
    bias = np.arange(large.shape[1]).astype(case.dtype) if case.bias else None

    result = reference.conv_transpose2d(small, weight, bias, **parameters)
    assert result.dtype == case.dtype
    np.testing.assert_array_equal(result, y if bias is None else y + bias.reshape(-1, 1, 1))
    gradients = reference.conv_transpose2d_backward(large, small, weight, **parameters)
    np.testing.assert_array_equal(gradients.dx, dx)
    np.testing.assert_array_equal(gradients.dweight, dweight)
    np.testing.assert_array_equal(gradients.dbias, large.sum(axis=(0, 2, 3)))


def test_output_padding_beyond_the_stride() -> None:
    # Allowed by a larger dilation: the added columns hold the bias alone, and dx ignores them.
    x, weight = row(1, 2), row(1, 10)
    parameters = {"dilation": (1, 3), "output_padding": (0, 2)}
    y = reference.conv_transpose2d(x, weight, np.array([0.5]), **parameters)
    assert y.ravel().tolist() == [1.5, 2.5, 0.5, 10.5, 20.5, 0.5, 0.5]
    dy = row(1, 2, 3, 4, 5, 6, 7)
    dx, dweight, dbias = reference.conv_transpose2d_backward(dy, x, weight, **parameters)
    assert dx is not None
    assert dweight is not None
    assert dx.ravel().tolist() == [41, 52]
    assert dweight.ravel().tolist() == [1 * 1 + 2 * 2, 1 * 4 + 2 * 5]
    assert dbias == 28


def test_shapes_of_the_book() -> None:
    assert reference.im2col(np.zeros((1, 3, 7, 7)), 5, stride=1, padding=0).shape == (9, 75)
    assert reference.im2col(np.zeros((10, 3, 7, 7)), 5, stride=1, padding=0).shape == (90, 75)


@pytest.mark.parametrize(
    ("padding", "expected"),
    [
        ("same", [21, 32, 43, 54, 5]),
        ("same_upper", [21, 32, 43, 54, 5]),
        ("same_lower", [10, 21, 32, 43, 54]),
        ("valid", [21, 32, 43, 54]),
        ("full", [10, 21, 32, 43, 54, 5]),
    ],
)
def test_named_padding_of_an_even_kernel(padding: str, expected: list[int]) -> None:
    y = reference.conv2d(row(1, 2, 3, 4, 5), row(1, 10), padding=padding)
    assert y.ravel().tolist() == expected


@pytest.mark.parametrize("padding", ["same_upper", "same_lower"])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_transpose_is_the_transpose_of_same(padding: str, kernel: int, stride: int) -> None:
    rng = np.random.default_rng(kernel)
    x = exact_integers(rng, (1, 2, 4, 3), np.float64)
    weight = exact_integers(rng, (2, 3, kernel, kernel), np.float64)
    y = reference.conv_transpose2d(x, weight, stride=stride, padding=padding)
    assert y.shape == (1, 3, 4 * stride, 3 * stride)
    gradients = reference.conv2d_backward(
        x, np.zeros(y.shape), weight, stride=stride, padding=padding
    )
    np.testing.assert_array_equal(y, gradients.dx)


def test_padding_is_zeros_under_an_infinite_weight() -> None:
    weight = plane([[INF, 1, 1], [1, 1, 1], [1, 1, 1]])
    y = reference.conv2d(plane([[1, 1], [1, 1]]), weight, padding=1)
    np.testing.assert_array_equal(y, plane([[NAN, NAN], [NAN, INF]]))


def test_relu_keeps_nan() -> None:
    y = reference.conv2d(row(-1, 2, NAN, -INF), row(1), activation="relu")
    np.testing.assert_array_equal(y, row(0, 2, NAN, 0))


@pytest.mark.parametrize(("batch", "channels", "out_channels"), [(0, 2, 3), (2, 0, 3), (2, 2, 0)])
def test_empty_axes(batch: int, channels: int, out_channels: int) -> None:
    x, weight = np.ones((batch, channels, 4, 5)), np.ones((out_channels, channels, 3, 2))
    bias = np.arange(out_channels) + 1.0
    y = reference.conv2d(x, weight, bias)
    assert y.shape == (batch, out_channels, 2, 4)
    if channels == 0:
        np.testing.assert_array_equal(y, np.broadcast_to(bias.reshape(-1, 1, 1), y.shape))
    dx, dweight, dbias = reference.conv2d_backward(y, x, weight)
    np.testing.assert_array_equal(dx, np.zeros(x.shape))
    np.testing.assert_array_equal(dweight, np.zeros(weight.shape))
    np.testing.assert_array_equal(dbias, y.sum(axis=(0, 2, 3)))
    transposed = reference.conv_transpose2d(y, weight)
    assert transposed.shape == x.shape
    assert reference.avg_pool2d(x, 2).shape == (batch, channels, 2, 2)
    pooled, indices = reference.max_pool2d(x, 2, return_indices=True)
    assert pooled.shape == indices.shape == (batch, channels, 2, 2)
    assert reference.max_pool2d_backward(pooled, indices, x.shape, 2).shape == x.shape


@pytest.mark.parametrize(
    "needs", [(), ("dx",), ("dweight",), ["dbias", "dx"], {"dweight", "dbias"}]
)
def test_needs(needs: Any) -> None:
    x, weight = np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2))
    for backward, dy in (
        (reference.conv2d_backward, np.ones((1, 1, 2, 2))),
        (reference.conv_transpose2d_backward, np.ones((1, 1, 4, 4))),
    ):
        gradients = backward(dy, x, weight, needs=needs)
        assert {name for name, g in gradients._asdict().items() if g is not None} == set(needs)


def ties_and_specials(case: Pool2dCase, seed: int) -> Any:
    """Few different values, so that windows tie, with NaN and infinities among them."""
    rng = np.random.default_rng(seed)
    values = np.array([-2.0, -1.0, -0.0, 0.0, 1.0, 2.0, INF, -INF, -INF, NAN])
    return rng.choice(values, case.x_shape).astype(case.dtype)


@given(pool2d_cases(tiny=True), seeds)
def test_max_and_min_pool2d(case: Pool2dCase, seed: int) -> None:
    x = ties_and_specials(case, seed)
    for pool, sign in ((reference.max_pool2d, 1), (reference.min_pool2d, -1)):
        y, indices = pool(x, return_indices=True, **case.parameters)
        expected, expected_indices = brute_force.max_pool2d(case, sign * x)
        assert y.dtype == case.dtype
        assert indices.dtype == np.int64
        np.testing.assert_array_equal(y, sign * expected)
        np.testing.assert_array_equal(indices, expected_indices)
        np.testing.assert_array_equal(np.signbit(y), np.signbit(sign * expected))
        np.testing.assert_array_equal(pool(x, **case.parameters), y)


@given(pool2d_cases(tiny=True), seeds)
def test_max_and_min_pool2d_backward(case: Pool2dCase, seed: int) -> None:
    x = ties_and_specials(case, seed)
    dy = exact_integers(np.random.default_rng(seed), case.y_shape, case.dtype)
    for pool, backward in (
        (reference.max_pool2d, reference.max_pool2d_backward),
        (reference.min_pool2d, reference.min_pool2d_backward),
    ):
        _, indices = pool(x, return_indices=True, **case.parameters)
        dx = np.zeros(case.x_shape)
        for n, c, oh, ow in np.ndindex(dy.shape):
            h, w = divmod(int(indices[n, c, oh, ow]), x.shape[3])
            dx[n, c, h, w] += dy[n, c, oh, ow]
        result = backward(dy, indices, x.shape, **case.parameters)
        assert result.dtype == case.dtype
        np.testing.assert_array_equal(result, dx)


@given(
    pool2d_cases(tiny=True, dilated=False), seeds, st.booleans(), st.sampled_from([None, 1, 7, -2])
)
def test_avg_pool2d_and_gradient(
    case: Pool2dCase, seed: int, count_include_pad: bool, divisor_override: int | None
) -> None:
    rng = np.random.default_rng(seed)
    x = exact_integers(rng, case.x_shape, case.dtype)
    dy = exact_integers(rng, case.y_shape, case.dtype)
    options = {"count_include_pad": count_include_pad, "divisor_override": divisor_override}
    expected_y, expected_dx = brute_force.avg_pool2d(case, x, dy, **options)
    y = reference.avg_pool2d(x, **case.average_parameters, **options)
    dx = reference.avg_pool2d_backward(dy, x.shape, **case.average_parameters, **options)
    assert y.dtype == dx.dtype == case.dtype
    # Sums of at most 16 integers of at most 8, each divided once or before it is added.
    tolerance = 16 * 8 * 16 * np.finfo(case.dtype).eps
    np.testing.assert_allclose(y, expected_y, rtol=0, atol=tolerance)
    np.testing.assert_allclose(dx, expected_dx, rtol=0, atol=tolerance)


@given(pool2d_cases(tiny=True), seeds)
def test_global_pooling(case: Pool2dCase, seed: int) -> None:
    x = ties_and_specials(case, seed)
    whole = {"kernel_size": x.shape[2:], "return_indices": True}
    y, indices = reference.global_max_pool2d(x, return_indices=True)
    expected, expected_indices = reference.max_pool2d(x, **whole)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(indices, expected_indices)
    assert y.dtype == case.dtype
    np.testing.assert_array_equal(reference.global_max_pool2d(x), y)

    rng = np.random.default_rng(seed)
    dy, x = (exact_integers(rng, s, case.dtype) for s in (y.shape, case.x_shape))
    np.testing.assert_array_equal(
        reference.global_max_pool2d_backward(dy, indices, x.shape),
        reference.max_pool2d_backward(dy, indices, x.shape, x.shape[2:]),
    )
    np.testing.assert_array_equal(
        reference.global_avg_pool2d(x), reference.avg_pool2d(x, x.shape[2:])
    )
    np.testing.assert_array_equal(
        reference.global_avg_pool2d_backward(dy, x.shape),
        reference.avg_pool2d_backward(dy, x.shape, x.shape[2:]),
    )


@pytest.mark.parametrize(
    ("x", "kernel", "stride", "padding", "floor", "ceil"),
    [
        (row(1, 2, 3, 4), 1, 2, 0, [1, 3], [1, 3]),
        (row(1, 2), 3, 3, 1, [2], [2]),
        (row(1, 2, 3, 4, 5), 2, 2, 0, [2, 4], [2, 4, 5]),
        (row(1, 2, 3, 4, 5, 6), 3, 2, 0, [3, 5], [3, 5, 6]),
    ],
)
def test_ceil_mode(
    x: Any, kernel: int, stride: int, padding: int, floor: list[float], ceil: list[float]
) -> None:
    arguments = ((1, kernel), (1, stride), (0, padding))
    assert reference.max_pool2d(x, *arguments).ravel().tolist() == floor
    assert reference.max_pool2d(x, *arguments, ceil_mode=True).ravel().tolist() == ceil


@pytest.mark.parametrize(
    ("padding", "count_include_pad", "expected"),
    [
        (0, False, [2, 4, 5.5]),
        (0, True, [2, 4, 5.5]),
        (1, False, [1.5, 3, 5, 6]),
        (1, True, [1, 3, 5, 3]),
    ],
)
def test_average_divisor(padding: int, count_include_pad: bool, expected: list[float]) -> None:
    x = row(1, 2, 3, 4, 5, 6)
    y = reference.avg_pool2d(
        x, (1, 3), (1, 2), (0, padding), ceil_mode=True, count_include_pad=count_include_pad
    )
    assert y.ravel().tolist() == expected


def test_negative_divisor() -> None:
    assert reference.avg_pool2d(row(1, 2), (1, 2), divisor_override=-2).item() == -1.5


def test_first_nan_wins() -> None:
    x = row(INF, NAN, -1, NAN)
    for pool in (reference.max_pool2d, reference.min_pool2d):
        y, index = pool(x, (1, 4), return_indices=True)
        assert np.isnan(y.item())
        assert index.item() == 1
    assert reference.global_max_pool2d(x, return_indices=True)[1].item() == 1


def test_window_of_minus_infinity_has_its_first_pixel() -> None:
    x = np.full((1, 1, 2, 2), -INF)
    y, indices = reference.max_pool2d(x, 2, stride=1, padding=1, return_indices=True)
    assert np.all(y == -INF)
    assert indices.ravel().tolist() == [0, 0, 1, 0, 0, 1, 2, 2, 3]


def test_padding_never_wins() -> None:
    x = row(-3, -2)
    assert reference.max_pool2d(x, (1, 3), 1, (0, 1)).ravel().tolist() == [-2, -2]
    assert reference.min_pool2d(-x, (1, 3), 1, (0, 1)).ravel().tolist() == [2, 2]


def test_windows_that_overlap_add_their_gradients() -> None:
    x = row(1, 3, 2)
    _, indices = reference.max_pool2d(x, (1, 2), 1, return_indices=True)
    dx = reference.max_pool2d_backward(row(5, 7), indices, x.shape, (1, 2), 1)
    assert dx.ravel().tolist() == [0, 12, 0]


def test_the_largest_parameters() -> None:
    size = 2**31 - 1
    x = row(1, 2, 3)
    y, index = reference.max_pool2d(x, 1, stride=size, dilation=size, return_indices=True)
    assert (y.item(), index.item()) == (1, 0)
    assert reference.conv2d(x, row(2), stride=size, dilation=size).item() == 2


@given(conv2d_cases(tiny=True), seeds, layouts)
def test_memory_layout_does_not_matter(case: Conv2dCase, seed: int, layout: str) -> None:
    operands = conv2d_operands(case, seed)
    relaid = [None if a is None else LAYOUTS[layout](a) for a in operands]
    for before, after in zip(operands, relaid, strict=True):
        np.testing.assert_array_equal(before, after)
    x, weight, bias, dy = relaid
    y = reference.conv2d(x, weight, bias, **case.parameters)
    assert y.dtype == case.dtype
    np.testing.assert_array_equal(
        y, reference.conv2d(operands.x, operands.weight, operands.bias, **case.parameters)
    )
    gradients = reference.conv2d_backward(dy, x, weight, **case.parameters)
    expected = reference.conv2d_backward(
        operands.dy, operands.x, operands.weight, **case.parameters
    )
    for got, wanted in zip(gradients, expected, strict=True):
        np.testing.assert_array_equal(got, wanted)
    for before, after in zip(operands, relaid, strict=True):
        np.testing.assert_array_equal(before, after)
