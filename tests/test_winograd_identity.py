"""Winograd's identity, proved in exact arithmetic: see winograd_matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from winograd_matrices import EXACTLY, ONE, Transforms, surd, transforms

TILES = pytest.mark.parametrize("tile", [2, 4])


def rows_of_roots(*rows: list[Any]) -> Any:
    """Exact numbers of rationals, and of pairs (rational, factor of √2)."""
    return np.array([[surd(*np.atleast_1d(x)) for x in row] for row in rows], object)


def is_correlation(matrices: Transforms) -> bool:
    """Whether Aᵀ[(G g)∘(Bᵀ d)] is the correlation of every g with every d.

    It is linear in g, so that the three unit vectors g suffice; for each of them the map of d is a
    matrix, that of d to (d[j], d[j + 1], ...).
    """
    data, filters, result = matrices
    tile, size = result.shape
    return all(
        np.array_equal(result @ (filters[:, [j]] * data), EXACTLY(np.eye(tile, size, j, int)))
        for j in range(3)
    )


@TILES
def test_one_dimension(tile: int) -> None:
    assert is_correlation(transforms(tile))


@TILES
def test_two_dimensions(tile: int) -> None:
    """For every tap and every pixel, hence, by bilinearity, for all filters and all tiles."""
    data, filters, result = transforms(tile)
    size = tile + 2
    pixels = EXACTLY(np.eye(size**2, dtype=int).reshape(size, size, size, size))
    transformed = data @ pixels @ data.T
    for tap in np.ndindex(3, 3):
        weight = EXACTLY(np.zeros((3, 3), int))
        weight[tap] = ONE
        product = (filters @ weight @ filters.T) * transformed
        window = np.s_[:, :, tap[0] : tap[0] + tile, tap[1] : tap[1] + tile]
        assert np.array_equal(result @ product @ result.T, pixels[window])


@TILES
@pytest.mark.parametrize("name", Transforms._fields)
def test_no_constant_may_be_another(tile: int, name: str) -> None:
    matrices = transforms(tile)
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
