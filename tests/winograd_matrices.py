"""The matrices of Winograd's convolution, from their interpolation points, without rounding.

The method (A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016;
S. Winograd, "Arithmetic Complexity of Computations", SIAM, 1980) is the transpose of the
multiplication of polynomials by Toom and Cook:

1. Let g have the degree r - 1 and h the degree m - 1. Their product s has n = m + r - 1
   coefficients, which its values at n - 1 different numbers a and its leading coefficient, the
   "value at infinity", determine. Each of these values is one product: s(a) = g(a)·h(a).
2. With M(x) = Π (x - a), Lagrange's interpolation gives the coefficients back:
   s(x) = Σ s(a)/M'(a) · M(x)/(x - a) + s(∞)·M(x).
3. For a fixed g all this is a matrix applied to h. The map h -> g·h is T = C·diag(G g)·E, where E
   evaluates h (the row of a is 1, a, a², ...), G evaluates g and has the factors 1/M'(a), and the
   columns of C are the coefficients of M(x)/(x - a) and of M(x).
4. T moves the coefficients of g down a column at a time: T[i, k] = g[i - k]. Its transpose takes n
   numbers d to y[k] = Σ g[j]·d[k + j], m outputs of a correlation with r taps. Hence, with Aᵀ = Eᵀ
   and Bᵀ = Cᵀ, Aᵀ[(G g)∘(Bᵀ d)] is that correlation: F(m, r), with n products for r·m.

Two dimensions nest it: the tile F(m x m, r x r) is Aᵀ[(G g Gᵀ)∘(Bᵀ d B)]A. A convolution with 3 x 3
filters takes r = 3; the gradient of the filters, 3 x 3 outputs of a correlation with dy, takes
m = 3 and r = 4 pixels of dy a side.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache, reduce
from typing import Any, NamedTuple

import numpy as np


@dataclass(frozen=True)
class Surd:
    """The number rational + root·√2."""

    rational: Fraction
    root: Fraction

    def __add__(self, other: Surd) -> Surd:
        return Surd(self.rational + other.rational, self.root + other.root)

    def __neg__(self) -> Surd:
        return Surd(-self.rational, -self.root)

    def __sub__(self, other: Surd) -> Surd:
        return self + -other

    def __mul__(self, other: Surd) -> Surd:
        if self == ZERO or other == ZERO:
            return ZERO
        return Surd(
            self.rational * other.rational + 2 * self.root * other.root,
            self.rational * other.root + self.root * other.rational,
        )

    def __truediv__(self, other: Surd) -> Surd:
        norm = other.rational**2 - 2 * other.root**2  # zero for zero alone, √2 being irrational
        return self * Surd(other.rational / norm, -other.root / norm)

    def __float__(self) -> float:
        return float(self.rational) + float(self.root) * 2**0.5


def surd(rational: Fraction | float, root: Fraction | float = 0) -> Surd:
    return Surd(Fraction(rational), Fraction(root))


ZERO, ONE = surd(0), surd(1)
EXACTLY = np.vectorize(surd, otypes=[object])
"""Turns arrays of integers into arrays of exact numbers, which NumPy can add and multiply."""

POINTS = {
    4: [surd(0), surd(1), surd(-1)],
    6: [surd(0), surd(0, 1), surd(0, -1), surd(0, 0.5), surd(0, -0.5)],
}
"""The finite interpolation points of tiles of 4 x 4 and of 6 x 6 pixels; infinity follows."""


class Transforms(NamedTuple):
    """Bᵀ (n, n), G (n, r) and Aᵀ (m, n): of the data, the filter and the result."""

    data: Any
    filter: Any
    result: Any

    def of_floats(self, dtype: Any = np.float64) -> Transforms:
        return Transforms(*(matrix.astype(float).astype(dtype) for matrix in self))

    def absolute(self) -> Transforms:
        return Transforms(*(abs(matrix) for matrix in self.of_floats()))


def multiply(p: list[Surd], q: list[Surd]) -> list[Surd]:
    """Multiply polynomials, whose constant terms come first."""
    product = [ZERO] * (len(p) + len(q) - 1)
    for i, a in enumerate(p):
        for j, b in enumerate(q):
            product[i + j] += a * b
    return product


def power(a: Surd, exponent: int) -> Surd:
    return reduce(Surd.__mul__, [a] * exponent, ONE)


def from_roots(roots: list[Surd]) -> list[Surd]:
    """Coefficients of Π (x - a)."""
    return reduce(multiply, ([-a, ONE] for a in roots), [ONE])


@cache
def transforms(tile: int, taps: int = 3) -> Transforms:
    """Return the exact matrices of F(tile, taps)."""
    size = tile + taps - 1
    points = POINTS[size]
    data, filters, result = [], [], []
    for a in points:
        others = [b for b in points if b != a]
        slope = reduce(Surd.__mul__, (a - b for b in others))  # M'(a)
        data.append([*from_roots(others), ZERO])
        filters.append([power(a, k) / slope for k in range(taps)])
        result.append([power(a, k) for k in range(tile)])
    data.append(from_roots(points))
    filters.append([ZERO] * (taps - 1) + [ONE])
    result.append([ZERO] * (tile - 1) + [ONE])
    shapes = (size, size), (size, taps), (size, tile)
    matrices = [
        np.array(rows, object).reshape(shape)
        for rows, shape in zip((data, filters, result), shapes, strict=True)
    ]
    return Transforms(matrices[0], matrices[1], matrices[2].T)
