"""Winograd convolution: how much larger its numbers in between are than the sums."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from convolt import functional
from winograd_matrices import Transforms, transforms
from winograd_model import TILES

ALGORITHMS = pytest.mark.parametrize("algorithm", TILES)
LARGEST = float(np.finfo(np.float32).max)

PRODUCTS = {"winograd_2x2": 1, "winograd_4x4": 7}
"""The largest sum in between, as a multiple of 9·C·max|x|·max|w|, which bounds a direct sum."""

PIXELS = {"winograd_2x2": 4, "winograd_4x4": 27}
"""The largest transformed pixel, as a multiple of max|x|."""

TAPS = {"winograd_2x2": 3, "winograd_4x4": 2.2}
"""The largest transformed tap, as a multiple of max|w|; in the small tile before the last half."""


def largest_in_between(matrices: Transforms) -> float:
    """Return the largest sum on the way from products to outputs, of one channel.

    Pixels and taps are at most 1. A sum in between is bilinear in them, so that its maximum lies
    where the taps are 1 or -1; for such taps it is the sum of the absolute coefficients of the
    pixels. All partial sums of a row of Aᵀ count, whatever the order of the additions.
    """
    data, filters, result = matrices
    taps = np.array(list(product([-1, 1], repeat=9)), float).reshape(-1, 3, 3)
    taps = filters @ taps @ filters.T
    chosen = np.array(list(product([0, 1], repeat=len(data))))
    partial = np.unique((result[:, np.newaxis] * chosen).reshape(-1, len(data)), axis=0)
    single = np.eye(len(data))

    def largest(along_rows: Any, along_columns: Any) -> float:
        pixels = along_rows[:, :, np.newaxis] * data
        sums = [np.tensordot(pixels, (taps * r) @ data, (1, 1)) for r in along_columns]
        return max(float(np.max(abs(a).sum((1, 3)))) for a in sums)

    return max(largest(single, single), largest(partial, single), largest(partial, result))


@ALGORITHMS
def test_the_factors_follow_from_the_matrices(algorithm: str) -> None:
    matrices = transforms(TILES[algorithm]).of_floats()
    rounded = 1 + 1e-12
    assert (
        0.9 * PRODUCTS[algorithm] < largest_in_between(matrices) / 9 < PRODUCTS[algorithm] * rounded
    )
    data, filters, _ = matrices.absolute()
    assert 0.9 * PIXELS[algorithm] < max(data.sum(1)) ** 2 <= PIXELS[algorithm]
    assert max(filters.sum(1)) ** 2 <= TAPS[algorithm]


def patterns(name: str) -> tuple[Any, Any]:
    """Return pixels and taps of magnitude 1."""
    rng = np.random.default_rng(6)
    x, weight = np.ones((1, 8, 12, 13), np.float32), np.ones((8, 8, 3, 3), np.float32)
    if name == "signs":
        x, weight = (rng.choice([-1, 1], a.shape).astype(np.float32) for a in (x, weight))
    elif name == "stripes":
        x[:, :, :, 1::2], weight[:, :, :, 1] = -1, -1
    elif name == "pairs of stripes":
        x *= np.array([1, 1, -1, -1])[np.arange(13) % 4]
        weight *= np.array([1, 1, -1])
    return x, weight


@ALGORITHMS
@pytest.mark.parametrize("name", ["ones", "signs", "stripes", "pairs of stripes"])
def test_nothing_overflows_below_them(isa: str, name: str, algorithm: str) -> None:
    x, weight = patterns(name)
    direct = functional.conv2d(x, weight, padding=1, algorithm="gemm").astype(np.float64)
    products = LARGEST / (9 * 8) / PRODUCTS[algorithm]
    pixels, taps = LARGEST / PIXELS[algorithm], LARGEST / TAPS[algorithm]
    for a, b in (
        (products**0.5, products**0.5),
        (pixels, products / pixels),
        (products / taps, taps),
    ):
        a, b = np.float32(a * 0.999), np.float32(b * 0.999)
        y = functional.conv2d(x * a, weight * b, padding=1, algorithm=algorithm)
        np.testing.assert_allclose(y / np.float64(a) / b, direct, rtol=0, atol=1e-3)


@ALGORITHMS
def test_transformed_pixels_overflow_above_them(isa: str, algorithm: str) -> None:
    """However small the sums are: the direct ones stay finite."""
    data = transforms(TILES[algorithm]).of_floats().data
    signs = np.sign(data[np.argmax(abs(data).sum(1))])
    x = (np.outer(signs, signs)[np.newaxis, np.newaxis] * LARGEST / 2).astype(np.float32)
    weight = np.full((1, 1, 3, 3), 2.0**-20, np.float32)
    assert np.isfinite(functional.conv2d(x, weight, algorithm="gemm")).all()
    assert not np.isfinite(functional.conv2d(x, weight, algorithm=algorithm)).all()


def test_sums_in_between_overflow_above_them(isa: str) -> None:
    """Pixels and taps with the signs of a product that grows by 6.3; a third of the headroom."""
    data, filters, _ = transforms(4).of_floats()
    element = np.argmax(abs(data).sum(1) * abs(filters).sum(1))
    x, weight = (
        np.outer(signs, signs).astype(np.float32)[np.newaxis, np.newaxis]
        for signs in (np.sign(data[element]), np.sign(filters[element]))
    )
    scale = np.float32((LARGEST / 9 * 3 / PRODUCTS["winograd_4x4"]) ** 0.5)
    assert np.isfinite(functional.conv2d(x * scale, weight * scale, algorithm="gemm")).all()
    y = functional.conv2d(x * scale, weight * scale, algorithm="winograd_4x4")
    assert not np.isfinite(y).all()
