"""Poolings that have kernels of their own: 2 x 2 and 3 x 3 windows, what layers keep, whole planes.

test_pool2d holds the rules; here they meet every width around a vector, windows at all borders,
and elements for which the kernels give up and others take over.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import convolt
from bounds import bound
from convolt import functional, reference
from strategies import Pool2dCase, exact_integers, pool2d_cases, seeds, square_pool2d_cases

INF = np.inf
EXTREMA = ["max_pool2d", "min_pool2d"]
DTYPES = [np.float32, np.float64]
WINDOWS = [(2, 1), (2, 2), (3, 1), (3, 2)]
PALETTES = {
    "zeros": [0.0, -0.0],
    "zeros and less": [0.0, -0.0, -1.0],
    "ties": [1.0, 2.0, -1.0, 0.0, -0.0],
    "infinities": [-INF, INF, 1.0],
    "one infinity": [-INF],
    "other infinity": [INF],
    "NaN": [np.nan, 1.0, 2.0, -INF, 0.0, -0.0, *range(3, 30)],
}
for_fixtures = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def assert_same(actual: Any, expected: Any) -> None:
    """Same dtype, shape and values, NaN and the signs of zeros included."""
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(actual)[numbers], np.signbit(expected)[numbers])


def assert_extremum(name: str, x: Any, dy: Any, parameters: dict[str, Any]) -> None:
    """Values alone, with indices, with winners, and the gradient of the winners."""
    y, indices = getattr(reference, name)(x, return_indices=True, **parameters)
    assert_same(getattr(functional, name)(x, **parameters), y)
    for actual, expected in zip(
        getattr(functional, name)(x, return_indices=True, **parameters), (y, indices), strict=True
    ):
        assert_same(actual, expected)
    _, expected_winners = getattr(reference, f"{name}_winners")(x, **parameters)
    values, winners = getattr(functional, f"{name}_winners")(x, **parameters)
    assert_same(values, y)
    assert_same(winners, expected_winners)
    dx = getattr(functional, f"{name}_winners_backward")(dy, winners, x.shape, **parameters)
    assert_same(dx, getattr(reference, f"{name}_backward")(dy, indices, x.shape, **parameters))


def assert_average(x: Any, dy: Any, parameters: dict[str, Any]) -> None:
    assert_same(functional.avg_pool2d(x, **parameters), reference.avg_pool2d(x, **parameters))
    arguments = (144 * dy, x.shape)  # a multiple of every divisor
    dx = functional.avg_pool2d_backward(*arguments, **parameters)
    np.testing.assert_array_equal(dx, reference.avg_pool2d_backward(*arguments, **parameters))


@for_fixtures
@given(square_pool2d_cases(), seeds, st.sampled_from(EXTREMA), st.sampled_from(sorted(PALETTES)))
def test_extrema(isa: str, case: Pool2dCase, seed: int, name: str, palette: str) -> None:
    rng = np.random.default_rng(seed)
    x = rng.choice(PALETTES[palette], size=case.x_shape).astype(case.dtype)
    assert_extremum(name, x, exact_integers(rng, case.y_shape, case.dtype), case.parameters)


@for_fixtures
@given(square_pool2d_cases(), seeds, st.booleans())
def test_averages(isa: str, case: Pool2dCase, seed: int, count_include_pad: bool) -> None:
    rng = np.random.default_rng(seed)
    x, dy = (exact_integers(rng, shape, case.dtype) for shape in (case.x_shape, case.y_shape))
    parameters = {**case.average_parameters, "count_include_pad": count_include_pad}
    assert_average(x, dy, parameters)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kernel", "stride"), WINDOWS)
def test_every_width(isa: str, dtype: Any, kernel: int, stride: int) -> None:
    """Three planes, so that all tiles have rows before and behind them; odd and even heights."""
    rng = np.random.default_rng(kernel + 10 * stride)
    for width in [*range(kernel, 38), 64, 65, 67]:
        for padding, ceil_mode in ((0, False), (0, True), (1, False), (kernel - 1, True)):
            x = exact_integers(rng, (1, 3, 3 + width % 5, width), dtype)
            parameters = {
                "kernel_size": kernel,
                "stride": stride,
                "padding": padding,
                "ceil_mode": ceil_mode,
            }
            y = functional.avg_pool2d(x, **parameters)
            dy = exact_integers(rng, y.shape, dtype)
            assert_average(x, dy, parameters)
            for name in EXTREMA:
                assert_extremum(name, x, dy, parameters)


@pytest.mark.parametrize("name", EXTREMA)
@pytest.mark.parametrize(("kernel", "stride"), WINDOWS)
def test_nan_at_every_pixel(isa: str, name: str, kernel: int, stride: int) -> None:
    """Alone in its plane, at the border, in the last columns of a tile and between two."""
    x = np.tile(np.arange(5 * 23.0, dtype=np.float32).reshape(5, 23) % 7, (1, 115, 1, 1))
    x.reshape(115, 115)[np.arange(115), np.arange(115)] = np.nan
    parameters = {"kernel_size": kernel, "stride": stride, "padding": 1}
    y = functional.max_pool2d(x, **parameters)
    assert_extremum(name, x, np.ones_like(y), parameters)


@pytest.mark.parametrize("name", EXTREMA)
@pytest.mark.parametrize(("kernel", "stride"), WINDOWS)
@pytest.mark.parametrize("outputs", [2, 4, 8, 16])
def test_nan_in_the_last_column(
    isa: str, name: str, kernel: int, stride: int, outputs: int
) -> None:
    """It is the last tap of the last window, which fills the last lane of a vector."""
    for dtype in DTYPES:
        x = np.zeros((1, 1, 4, (outputs - 1) * stride + kernel), dtype)
        x[0, 0, 1, -1] = np.nan
        parameters = {"kernel_size": kernel, "stride": stride}
        y = functional.max_pool2d(x, **parameters)
        assert_extremum(name, x, np.ones_like(y), parameters)


@pytest.mark.parametrize(("kernel", "stride"), WINDOWS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_are_no_negative_zeros(isa: str, kernel: int, stride: int, dtype: Any) -> None:
    x = np.full((1, 2, 6, 20), -0.0, dtype)
    parameters = {"kernel_size": kernel, "stride": stride}
    y, winners = functional.max_pool2d_winners(x, **parameters)
    assert not np.signbit(functional.avg_pool2d(x, **parameters)).any()
    assert np.signbit(y).all()
    for tap in (winners, np.ones_like(winners)):
        dx = functional.max_pool2d_winners_backward(y, tap, x.shape, **parameters)
        assert not np.signbit(dx).any()


@pytest.mark.parametrize("shape", [(1, 2, 140, 150), (2, 3, 33, 200)])
@pytest.mark.parametrize(("kernel", "stride"), WINDOWS)
def test_planes_in_parts(shape: Any, kernel: int, stride: int) -> None:
    """Planes that are too large to be pooled at once; one part of them has a NaN."""
    rng = np.random.default_rng(3)
    x = exact_integers(rng, shape, np.float32)
    parameters = {"kernel_size": kernel, "stride": stride, "padding": 1}
    dy = exact_integers(rng, functional.avg_pool2d(x, **parameters).shape, np.float32)
    assert_average(x, dy, parameters)
    for value in (0.0, np.nan):
        x[0, 1, 17, 30] = value
        for name in EXTREMA:
            assert_extremum(name, x, dy, parameters)


@pytest.mark.cpu_only  # a device has no threads to set
@pytest.mark.parametrize("size", [3, 7, 14])
@pytest.mark.parametrize(("kernel", "stride"), WINDOWS)
def test_many_small_planes_on_any_number_of_threads(
    threads: int, size: int, kernel: int, stride: int
) -> None:
    """Rows shorter than a vector, with a neighbour in the memory of another thread."""
    rng = np.random.default_rng(4)
    x = exact_integers(rng, (64, 2 * 7 * 7 * 7 * 14 // size**2, size, size), np.float32)
    parameters = {"kernel_size": kernel, "stride": stride, "padding": 1}
    with convolt.num_threads(1):
        y, winners = functional.max_pool2d_winners(x, **parameters)
        low, average = (
            functional.min_pool2d(x, **parameters),
            functional.avg_pool2d(x, **parameters),
        )
        backward = functional.max_pool2d_winners_backward(y, winners, x.shape, **parameters)
        average_backward = functional.avg_pool2d_backward(y, x.shape, **parameters)
        mean = functional.global_avg_pool2d(x)
        mean_backward = functional.global_avg_pool2d_backward(mean, x.shape)
    values, found = functional.max_pool2d_winners(x, **parameters)
    assert_same(values, y)
    assert_same(found, winners)
    assert_same(functional.min_pool2d(x, **parameters), low)
    assert_same(functional.avg_pool2d(x, **parameters), average)
    dx = functional.max_pool2d_winners_backward(y, winners, x.shape, **parameters)
    assert_same(dx, backward)
    assert_same(functional.avg_pool2d_backward(y, x.shape, **parameters), average_backward)
    assert_same(functional.global_avg_pool2d(x), mean)
    assert_same(functional.global_avg_pool2d_backward(mean, x.shape), mean_backward)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pixels", [1, 7, 24, 49, 64, 97, 193, 400])
def test_mean_of_a_plane_among_others(isa: str, dtype: Any, pixels: int) -> None:
    """Planes are summed some at a time; the bits of a mean do not depend on its neighbours."""
    x = np.random.default_rng(6).standard_normal((1, 37, 1, pixels)).astype(dtype)
    wide = x.astype(np.longdouble)
    error = np.abs(functional.global_avg_pool2d(x) - wide.mean(axis=(2, 3), keepdims=True))
    assert (error <= bound(np.abs(wide).mean(axis=(2, 3), keepdims=True), pixels, dtype)).all()
    x[0, 11, 0, -1] = np.nan
    x[0, 36, 0, 0] = -INF
    means = functional.global_avg_pool2d(x)
    for plane in range(37):
        assert_same(functional.global_avg_pool2d(x[:, [plane]]), means[:, [plane]])
    assert np.flatnonzero(np.isnan(means)).tolist() == [11]
    assert np.flatnonzero(np.isinf(means)).tolist() == [36]


# --- what layers keep ---------------------------------------------------------------------------


@for_fixtures
@given(pool2d_cases(), seeds, st.sampled_from(EXTREMA), st.sampled_from(sorted(PALETTES)))
def test_winners_of_any_window(
    isa: str, case: Pool2dCase, seed: int, name: str, palette: str
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.choice(PALETTES[palette], size=case.x_shape).astype(case.dtype)
    assert_extremum(name, x, exact_integers(rng, case.y_shape, case.dtype), case.parameters)


@pytest.mark.parametrize(("kernel", "dtype"), [((15, 17), np.uint8), ((16, 16), np.int64)])
def test_winners_are_bytes_where_they_fit(isa: str, kernel: Any, dtype: Any) -> None:
    rng = np.random.default_rng(5)
    x = exact_integers(rng, (1, 2, 20, 21), np.float32)
    x[:, :, 14, 16] = 100  # the last tap of the first window, where it has so many
    parameters = {"kernel_size": kernel, "stride": 2, "padding": 1}
    y, winners = functional.max_pool2d_winners(x, **parameters)
    assert winners.dtype == dtype
    assert_extremum("max_pool2d", x, exact_integers(rng, y.shape, np.float32), parameters)


@pytest.mark.cpu_only  # on a device nobody checks what the forward pass left
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (4, 2)])
def test_a_winner_outside_the_plane(kernel: int, stride: int) -> None:
    dy = np.ones((1, 1, 3, 3), np.float32)
    size = 2 * stride + kernel
    with pytest.raises(ValueError, match=r"^max_pool2d_backward: indices must lie in"):
        functional.max_pool2d_winners_backward(
            dy, np.full(dy.shape, 254, np.uint8), (1, 1, size, size), kernel, stride
        )


@pytest.mark.cpu_only  # on a device nobody checks what the forward pass left
@pytest.mark.parametrize("planes", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_winner_outside_one_of_some_planes(planes: int, stride: int) -> None:
    size = 2 * stride + 3
    for plane in range(planes):
        winners = np.zeros((1, planes, 3, 3), np.uint8)
        winners[0, plane, 1, 2] = 9
        with pytest.raises(ValueError, match=r"^max_pool2d_backward: indices must lie in"):
            functional.max_pool2d_winners_backward(
                np.ones(winners.shape, np.float32), winners, (1, planes, size, size), 3, stride
            )


def test_winners_of_another_kind_are_refused() -> None:
    dy = np.ones((1, 1, 2, 2), np.float32)
    with pytest.raises(TypeError, match="winners must have dtype uint8, got int64"):
        functional.max_pool2d_winners_backward(dy, np.zeros(dy.shape, np.int64), (1, 1, 4, 4), 2)
    with pytest.raises(ValueError, match="winners must have shape"):
        functional.max_pool2d_winners_backward(
            dy, np.zeros((1, 1, 3, 2), np.uint8), (1, 1, 4, 4), 2
        )
