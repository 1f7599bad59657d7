"""The compiled poolings against their definition: the same bits, values and indices."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import convolt
from bounds import bound
from convolt import functional, reference
from strategies import Pool2dCase, exact_integers, pool2d_cases, seeds

NAN, INF = np.nan, np.inf
SPECIAL = np.array([NAN, INF, -INF, -INF, 0.0, -0.0, 1.0, -1.0])
EXTREMA = ["max_pool2d", "min_pool2d"]
DTYPES = [np.float32, np.float64]

# The fixtures `isa` and `threads` hold for all examples of a test.
for_fixtures = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def assert_same(actual: Any, expected: Any) -> None:
    """Same dtype, shape and values, NaN and the signs of zeros included."""
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(actual)[numbers], np.signbit(expected)[numbers])


def both(function: str, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
    """Return what the compiled function gives, and its definition."""
    return getattr(functional, function)(*args, **kwargs), getattr(reference, function)(
        *args, **kwargs
    )


def assert_extremum(function: str, x: Any, *args: Any, **kwargs: Any) -> None:
    (y, indices), (expected, expected_indices) = both(
        function, x, *args, return_indices=True, **kwargs
    )
    assert_same(y, expected)
    assert_same(indices, expected_indices)
    assert_same(getattr(functional, function)(x, *args, **kwargs), expected)


def assert_average(x: Any, *args: Any, **kwargs: Any) -> None:
    assert_same(*both("avg_pool2d", x, *args, **kwargs))


def special_values(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Any:
    """Few different values, so that windows hold ties, zeros of both signs, NaN and only -inf."""
    palette = rng.choice(SPECIAL, size=rng.integers(1, SPECIAL.size, endpoint=True))
    return rng.choice(palette, size=shape).astype(dtype)


# --- maximum and minimum ------------------------------------------------------------------------


@for_fixtures
@given(pool2d_cases(), seeds, st.sampled_from(EXTREMA), st.booleans())
def test_extremum(isa: str, case: Pool2dCase, seed: int, function: str, special: bool) -> None:
    rng = np.random.default_rng(seed)
    draw = special_values if special else exact_integers
    assert_extremum(function, draw(rng, case.x_shape, case.dtype), **case.parameters)


@for_fixtures
@given(pool2d_cases(), seeds, st.sampled_from(EXTREMA))
def test_extremum_backward(isa: str, case: Pool2dCase, seed: int, function: str) -> None:
    rng = np.random.default_rng(seed)
    x, dy = (exact_integers(rng, shape, case.dtype) for shape in (case.x_shape, case.y_shape))
    y, indices = getattr(functional, function)(x, return_indices=True, **case.parameters)
    arguments = (dy, indices, x.shape)
    dx, expected = both(f"{function}_backward", *arguments, **case.parameters)
    assert_same(dx, expected)
    assert np.vdot(y, dy) == np.vdot(x, dx)  # both hand the same elements of x to dy


@given(pool2d_cases(), seeds)
def test_minimum_is_the_negated_maximum(case: Pool2dCase, seed: int) -> None:
    x = special_values(np.random.default_rng(seed), case.x_shape, case.dtype)
    low, low_indices = functional.min_pool2d(x, return_indices=True, **case.parameters)
    high, high_indices = functional.max_pool2d(-x, return_indices=True, **case.parameters)
    assert_same(low, -high)
    assert_same(low_indices, high_indices)


@pytest.mark.parametrize("function", EXTREMA)
@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_at_every_position_of_a_window(isa: str, function: str, dtype: Any) -> None:
    """Plane p has a NaN at pixel p; a second plane has one at p and one behind it."""
    x = np.full((9, 2, 3, 3), -7.0, dtype)
    x[:, :, 0, 0], x[:, :, 2, 2] = INF, -INF
    for pixel in range(9):
        x[pixel].reshape(2, 9)[:, pixel] = NAN
        x[pixel].reshape(2, 9)[1, min(pixel + 2, 8)] = NAN
    y, indices = getattr(functional, function)(x, 3, return_indices=True)
    assert np.isnan(y).all()
    assert_same(indices, np.arange(9).repeat(2).reshape(9, 2, 1, 1))


@pytest.mark.parametrize("function", EXTREMA)
def test_first_of_equal_elements_wins(isa: str, function: str) -> None:
    x = np.full((1, 1, 4, 40), 2.0)
    y, indices = getattr(functional, function)(x, 2, return_indices=True)
    first = np.arange(0, 160, 80)[:, np.newaxis] + np.arange(0, 40, 2)
    assert_same(indices, first[np.newaxis, np.newaxis])
    assert (y == 2).all()


@pytest.mark.parametrize("zeros", [(0.0, -0.0), (-0.0, 0.0)])
def test_first_zero_keeps_its_sign(isa: str, zeros: tuple[float, float]) -> None:
    x = np.tile(np.array(zeros, np.float32), 20).reshape(1, 1, 1, 40)
    for y, indices in (
        functional.max_pool2d(x, (1, 2), return_indices=True),
        functional.min_pool2d(x, (1, 2), return_indices=True),
    ):
        assert_same(y, x[..., ::2])
        assert_same(indices.ravel(), np.arange(0, 40, 2))
    assert_same(functional.global_max_pool2d(x), x[..., :1])


@pytest.mark.parametrize(("function", "worst"), [("max_pool2d", -INF), ("min_pool2d", INF)])
@pytest.mark.parametrize("dilation", [1, 2])
def test_window_of_infinities_has_its_first_pixel(
    isa: str, function: str, worst: float, dilation: int
) -> None:
    x = np.full((1, 1, 6, 37), worst, np.float32)
    y, indices = getattr(functional, function)(
        x, 3, 2, 2, dilation, ceil_mode=True, return_indices=True
    )
    assert (y == worst).all()
    first_h, first_w = (np.arange(n) * 2 - 2 for n in y.shape[2:])
    first_h[first_h < 0] += 2  # with dilation 1 the window passes two rows of padding, with 2 one
    first_w[first_w < 0] += 2
    assert_same(indices[0, 0], first_h[:, np.newaxis] * 37 + first_w)


@pytest.mark.parametrize(
    ("shape", "kernel_size", "stride", "padding", "dilation"),
    [
        ((1, 1, 3, 70001), 3, 1, 1, 1),  # wider than the scratch of a block
        ((1, 2, 50, 3000), (40, 3), 2, ((7, 9), (1, 0)), 1),  # a window taller than the scratch
        ((1, 1, 130, 700), (100, 1), 1, (50, 0), 1),
        ((1, 1, 3001, 2), 2, 1, 0, 1),
        ((2, 3, 1, 33), (1, 5), (1, 2), (0, 2), 1),
        ((2, 3, 33, 1), (5, 1), (2, 1), (2, 0), 1),
        ((3, 2, 40, 40), 40, 1, 0, 1),  # the whole plane
        ((1, 2, 90, 90), 3, 1, 40, 40),  # taps far apart
        ((1, 2, 90, 97), 3, (7, 5), (11, 13), (12, 15)),
        ((1, 1, 9, 100), 2, (50, 60), 0, 1),
        ((1, 1, 8, 8), 1, 3, 0, 1),
    ],
)
def test_unusual_shapes(
    isa: str, shape: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any
) -> None:
    rng = np.random.default_rng(sum(shape))
    for x in (exact_integers(rng, shape, np.float32), special_values(rng, shape, np.float64)):
        for function in EXTREMA:
            assert_extremum(function, x, kernel_size, stride, padding, dilation)
    if dilation == 1:
        assert_average(exact_integers(rng, shape, np.float32), kernel_size, stride, padding)


def test_dilation_far_beyond_the_image(isa: str) -> None:
    """Only the middle tap meets the image, and what lies between takes no scratch."""
    far = 10**6
    x = special_values(np.random.default_rng(0), (2, 2, 5, 19), np.float32)
    convolt.release_memory()
    y, indices = functional.max_pool2d(x, 3, 1, far, far, return_indices=True)
    assert_same(y, x)
    assert_same(indices, np.broadcast_to(np.arange(95).reshape(5, 19), x.shape))
    assert convolt.scratch_bytes() < 2**16


@pytest.mark.parametrize("padding", ["valid", "full", "same_upper", "same_lower", ((2, 0), (1, 2))])
@pytest.mark.parametrize(("kernel_size", "stride"), [(3, 1), (3, 2), ((4, 3), (3, 2))])
def test_padding(padding: Any, kernel_size: Any, stride: Any) -> None:
    x = -np.abs(exact_integers(np.random.default_rng(1), (2, 2, 9, 20), np.float32)) - 1
    assert_extremum("max_pool2d", x, kernel_size, stride, padding)
    assert_extremum("min_pool2d", -x, kernel_size, stride, padding)
    assert_average(x, kernel_size, stride, padding)


# --- average ------------------------------------------------------------------------------------


def average_grid() -> list[tuple[Any, ...]]:
    """Return every valid (size, kernel, stride, (before, after), ceil_mode) of one axis."""
    grid = []
    for size, kernel, stride, before, after, ceil_mode in itertools.product(
        [1, 2, 5, 6], [1, 2, 3], [1, 2, 3], [0, 1, 2], [0, 1, 2], [False, True]
    ):
        if max(before, after) < kernel <= size + before + after:
            grid.append((size, kernel, stride, (before, after), ceil_mode))
    return grid


@pytest.mark.parametrize("count_include_pad", [True, False])
@pytest.mark.parametrize("divisor_override", [None, 3, -4])
def test_average_divisors(isa: str, count_include_pad: bool, divisor_override: int | None) -> None:
    """Every combination along one axis, with another along the other."""
    grid = average_grid()
    rng = np.random.default_rng(2)
    for (h, kh, sh, pad_h, ceil_mode), other in zip(grid, rng.permutation(len(grid)), strict=True):
        w, kw, sw, pad_w, _ = grid[other]
        x = exact_integers(rng, (1, 2, h, w), np.float32)
        parameters = ((kh, kw), (sh, sw), (pad_h, pad_w), ceil_mode)
        try:
            functional.pool_output_size((h, w), *parameters[:3], 1, ceil_mode)
        except ValueError:
            continue
        divisor = {
            "count_include_pad": count_include_pad,
            "divisor_override": divisor_override,
        }
        assert_average(x, *parameters, **divisor)
        assert_average_backward(rng, x, parameters, divisor)


def assert_average_backward(
    rng: np.random.Generator, x: Any, parameters: Any, divisor: dict[str, Any]
) -> None:
    """Shares are integers: 144 is a multiple of every divisor of windows up to 4 x 4."""
    y = functional.avg_pool2d(x, *parameters, **divisor)
    dy = 144 * exact_integers(rng, y.shape, x.dtype)
    dx, expected = both("avg_pool2d_backward", dy, x.shape, *parameters, **divisor)
    # Zeros that no window covers have no sign to agree on.
    np.testing.assert_array_equal(dx, expected)


@for_fixtures
@given(pool2d_cases(dilated=False), seeds, st.booleans())
def test_average(isa: str, case: Pool2dCase, seed: int, count_include_pad: bool) -> None:
    rng = np.random.default_rng(seed)
    x = exact_integers(rng, case.x_shape, case.dtype)
    parameters = (case.kernel_size, case.stride, case.padding, case.ceil_mode)
    divisor = {"count_include_pad": count_include_pad}
    assert_average(x, *parameters, **divisor)
    assert_average_backward(rng, x, parameters, divisor)


@for_fixtures
@given(pool2d_cases(dilated=False), seeds)
def test_average_backward_is_the_adjoint(isa: str, case: Pool2dCase, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, dy = (exact_integers(rng, shape, case.dtype) for shape in (case.x_shape, case.y_shape))
    parameters = {**case.average_parameters, "divisor_override": 1}
    y = functional.avg_pool2d(x, **parameters)
    dx = functional.avg_pool2d_backward(dy, x.shape, **parameters)
    assert np.vdot(y, dy) == np.vdot(x, dx)


@given(pool2d_cases(dilated=False), seeds, st.sampled_from([NAN, INF]))
def test_average_of_non_finite_pixels(case: Pool2dCase, seed: int, value: float) -> None:
    """One of them reaches every window that holds it, and no other."""
    rng = np.random.default_rng(seed)
    x = exact_integers(rng, case.x_shape, case.dtype)
    if x.size:
        x.reshape(-1)[rng.integers(x.size)] = value
    assert_average(x, **case.average_parameters)


@pytest.mark.parametrize("dtype", DTYPES)
def test_average_rounding(isa: str, dtype: Any) -> None:
    x = np.random.default_rng(3).standard_normal((2, 3, 40, 61)).astype(dtype)
    padded = np.pad(x.astype(np.longdouble), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(2, 3))[:, :, ::2, ::2]
    error = np.abs(functional.avg_pool2d(x, 5, 2, 1) - windows.mean(axis=(4, 5)))
    assert (error <= bound(np.abs(windows).mean(axis=(4, 5)), 25, dtype)).all()


# --- whole planes -------------------------------------------------------------------------------

PLANES = [(1, 1), (1, 5), (7, 7), (3, 21), (8, 8), (13, 17), (32, 32), (33, 31), (100, 130)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", PLANES)
def test_global_average(isa: str, dtype: Any, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(4)
    x = exact_integers(rng, (2, 3, *size), dtype)
    assert_same(*both("global_avg_pool2d", x))
    dy = exact_integers(rng, (2, 3, 1, 1), dtype)
    assert_same(*both("global_avg_pool2d_backward", dy, x.shape))


@pytest.mark.parametrize("dtype", DTYPES)
def test_global_average_rounding(isa: str, dtype: Any) -> None:
    x = np.random.default_rng(5).standard_normal((1, 2, 700, 701)).astype(dtype)
    wide = x.astype(np.longdouble)
    error = np.abs(functional.global_avg_pool2d(x) - wide.mean(axis=(2, 3), keepdims=True))
    assert (error <= bound(np.abs(wide).mean(axis=(2, 3), keepdims=True), 490700, dtype)).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", PLANES)
def test_global_maximum(isa: str, dtype: Any, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(6)
    shape = (2, 3, *size)
    mostly_low = rng.choice([-1.0, 5.0, NAN], size=shape, p=[0.998, 0.001, 0.001]).astype(dtype)
    for x in (exact_integers(rng, shape, dtype), special_values(rng, shape, dtype), mostly_low):
        (y, indices), (expected, expected_indices) = both(
            "global_max_pool2d", x, return_indices=True
        )
        assert_same(y, expected)
        assert_same(indices, expected_indices)
        assert_same(functional.global_max_pool2d(x), expected)
        dy = exact_integers(rng, y.shape, dtype)
        assert_same(*both("global_max_pool2d_backward", dy, indices, x.shape))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [NAN, 5.0, INF])
def test_global_maximum_at_every_position(isa: str, dtype: Any, value: float) -> None:
    """Alone, or with an equal behind it: around vectors, and blocks of 1024."""
    pixels = 2165
    positions = np.r_[0:140, 1020:1030, 2040:2060, 2100:pixels]
    x = np.full((positions.size, 2, 1, pixels), -INF, dtype)
    x[:, 1, 0, -1] = value
    x[np.arange(positions.size), :, 0, positions] = value
    y, indices = functional.global_max_pool2d(x, return_indices=True)
    np.testing.assert_array_equal(y.ravel(), np.full(y.size, value))
    np.testing.assert_array_equal(indices.ravel(), positions.repeat(2))


# --- every pooling ------------------------------------------------------------------------------


def all_results(x: Any, dy: Any) -> list[Any]:
    """Return y, dx and indices of every pooling, 3 x 3 windows where they slide."""
    results = []
    for name in EXTREMA:
        y, indices = getattr(functional, name)(x, 3, 1, 1, return_indices=True)
        dx = getattr(functional, f"{name}_backward")(dy, indices, x.shape, 3, 1, 1)
        results += [y, indices, dx]
    results += [functional.avg_pool2d(x, 3, 1, 1)]
    results += [functional.avg_pool2d_backward(dy, x.shape, 3, 1, 1)]
    y, indices = functional.global_max_pool2d(x, return_indices=True)
    results += [y, indices, functional.global_max_pool2d_backward(y, indices, x.shape)]
    y = functional.global_avg_pool2d(x)
    return [*results, y, functional.global_avg_pool2d_backward(y, x.shape)]


@pytest.fixture(scope="module")
def large() -> tuple[Any, Any]:
    """Enough work for seven threads."""
    rng = np.random.default_rng(7)
    x, dy = rng.standard_normal((2, 4, 8, 512, 512), np.float32)
    return x, dy


@pytest.fixture(scope="module")
def serial_results(large: tuple[Any, Any]) -> list[Any]:
    with convolt.num_threads(1):
        return all_results(*large)


@pytest.mark.cpu_only  # a device has no threads to set
def test_same_bits_for_any_number_of_threads(
    threads: int, large: tuple[Any, Any], serial_results: list[Any]
) -> None:
    for actual, expected in zip(all_results(*large), serial_results, strict=True):
        assert_same(actual, expected)


@pytest.mark.parametrize("shape", [(0, 3, 6, 6), (2, 0, 6, 6)])
def test_nothing_to_pool(shape: tuple[int, ...]) -> None:
    x = np.zeros(shape, np.float32)
    for result in all_results(x, x):
        assert result.shape[:2] == shape[:2]
        assert result.size == 0


@pytest.mark.parametrize("index", [-1, 36, 2**40, -(2**63)])
@pytest.mark.parametrize("function", ["max_pool2d_backward", "min_pool2d_backward"])
def test_index_outside_the_plane(function: str, index: int) -> None:
    dy = np.zeros((2, 2, 3, 3), np.float32)
    indices = np.zeros(dy.shape, np.int64)
    indices[1, 0, 2, 1] = index
    with pytest.raises(ValueError, match=rf"^{function}: indices must lie in .*36.* got {index}$"):
        getattr(functional, function)(dy, indices, (2, 2, 6, 6), 2)


def test_index_outside_the_plane_of_another_thread(threads: int) -> None:
    dy = np.zeros((8, 4, 256, 256), np.float32)
    indices = np.zeros(dy.shape, np.int64)
    indices[-1, -1, -1, -1] = math.prod(dy.shape)
    with pytest.raises(ValueError, match="indices must lie in"):
        functional.max_pool2d_backward(dy, indices, (8, 4, 512, 512), 2)
