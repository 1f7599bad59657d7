"""Winograd's identity, proved in exact arithmetic: see winograd_matrices."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from winograd_matrices import EXACTLY, ONE, Transforms, surd, transforms

SIZES = pytest.mark.parametrize(("tile", "taps"), [(2, 3), (4, 3), (3, 4), (2, 5), (5, 2)])


def rows_of_roots(*rows: list[Any]) -> Any:
    """Exact numbers of rationals, and of pairs (rational, factor of √2)."""
    return np.array([[surd(*np.atleast_1d(x)) for x in row] for row in rows], object)


def is_correlation(matrices: Transforms) -> bool:
    """Whether Aᵀ[(G g)∘(Bᵀ d)] is the correlation of every g with every d.

    It is linear in g, so that the unit vectors g suffice; for each of them the map of d is a
    matrix, that of d to (d[j], d[j + 1], ...).
    """
    data, filters, result = matrices
    tile, size = result.shape
    return all(
        np.array_equal(result @ (filters[:, [j]] * data), EXACTLY(np.eye(tile, size, j, int)))
        for j in range(filters.shape[1])
    )


@SIZES
def test_one_dimension(tile: int, taps: int) -> None:
    assert is_correlation(transforms(tile, taps))


@SIZES
def test_two_dimensions(tile: int, taps: int) -> None:
    """For every tap and every pixel, hence, by bilinearity, for all filters and all tiles."""
    data, filters, result = transforms(tile, taps)
    size = tile + taps - 1
    pixels = EXACTLY(np.eye(size**2, dtype=int).reshape(size, size, size, size))
    transformed = data @ pixels @ data.T
    for tap in np.ndindex(taps, taps):
        weight = EXACTLY(np.zeros((taps, taps), int))
        weight[tap] = ONE
        product = (filters @ weight @ filters.T) * transformed
        window = np.s_[:, :, tap[0] : tap[0] + tile, tap[1] : tap[1] + tile]
        assert np.array_equal(result @ product @ result.T, pixels[window])


@SIZES
@pytest.mark.parametrize("name", Transforms._fields)
def test_no_constant_may_be_another(tile: int, taps: int, name: str) -> None:
    matrices = transforms(tile, taps)
    matrix = getattr(matrices, name)
    for place in np.ndindex(matrix.shape):
        altered = matrix.copy()
        altered[place] += ONE
        assert not is_correlation(matrices._replace(**{name: altered}))


def test_the_small_tile() -> None:
    data, filters, result = transforms(2)
    half = 0.5
    assert np.array_equal(
        data, rows_of_roots([-1, 0, 1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1])
    )
    assert np.array_equal(
        filters, rows_of_roots([-1, 0, 0], [half, half, half], [half, -half, half], [0, 0, 1])
    )
    assert np.array_equal(result, rows_of_roots([1, 1, 1, 0], [0, 1, -1, 1]))


def test_the_large_tile() -> None:
    """With the roots, the constants are 1/2, 2 and 5/2, and 1/6, 1/3 and 2/3."""
    data, filters, result = transforms(4)
    expected = rows_of_roots(
        [1, 0, -2.5, 0, 1, 0],
        [0, (0, -0.5), -0.5, (0, 1), 1, 0],
        [0, (0, 0.5), -0.5, (0, -1), 1, 0],
        [0, (0, -1), -2, (0, 0.5), 1, 0],
        [0, (0, 1), -2, (0, -0.5), 1, 0],
        [0, 1, 0, -2.5, 0, 1],
    )
    assert np.array_equal(data, expected)
    small, large = surd(6), surd(-1.5)
    assert np.array_equal(filters[[0, -1]], rows_of_roots([1, 0, 0], [0, 0, 1]))
    assert np.array_equal(filters[1:3] * small, rows_of_roots([1, (0, 1), 2], [1, (0, -1), 2]))
    halves = rows_of_roots([1, (0, 0.5), 0.5], [1, (0, -0.5), 0.5])
    assert np.array_equal(filters[3:5] * large, halves)
    expected = rows_of_roots(
        [1, 1, 1, 1, 1, 0],
        [0, (0, 1), (0, -1), (0, 0.5), (0, -0.5), 0],
        [0, 2, 2, 0.5, 0.5, 0],
        [0, (0, 2), (0, -2), (0, 0.25), (0, -0.25), 1],
    )
    assert np.array_equal(result, expected)


def test_the_gradient_has_the_points_of_the_large_tile() -> None:
    large, gradient = transforms(4), transforms(3, 4)
    assert np.array_equal(gradient.data, large.data)
    assert np.array_equal(gradient.filter[:-1, :3], large.filter[:-1])
    third, sixth = Fraction(1, 3), Fraction(1, 6)
    cubes = rows_of_roots([0, (0, third), (0, -third), (0, -sixth), (0, sixth), 1])
    assert np.array_equal(gradient.filter[:, 3], cubes[0])
    assert np.array_equal(gradient.result[:2], large.result[:2])
    assert np.array_equal(gradient.result[2], rows_of_roots([0, 2, 2, 0.5, 0.5, 1])[0])
