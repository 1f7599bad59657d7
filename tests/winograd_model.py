"""Winograd's convolution in NumPy, for its magnitudes; the exact sums; and cases to compute."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import bounds
import winograd_accuracy
from conv2d_cases import make_case, normal
from strategies import Conv2dCase, Sides, exact_integers
from winograd_matrices import Transforms, transforms

TILES = {"winograd_2x2": 2, "winograd_4x4": 4}
"""The algorithms that name a tile."""

ALGORITHMS = ["winograd", *TILES]

METHODS = {"2x2": ("winograd_2x2", 3), "4x4": ("winograd_4x4", 3), "5x5": ("winograd_2x2", 5)}
"""The tile by name, and the side of the filters."""

EVERY_METHOD = pytest.mark.parametrize(("algorithm", "taps"), METHODS.values(), ids=METHODS)


def pad(x: Any, padding: Sides) -> Any:
    """Pad, or where a side is negative cut, the images."""
    positive = [[max(side, 0) for side in sides] for sides in padding]
    x = np.pad(x, ((0, 0), (0, 0), *positive))
    (top, bottom), (left, right) = ([max(-side, 0) for side in sides] for sides in padding)
    return x[:, :, top : x.shape[2] - bottom, left : x.shape[3] - right]


def correlate(x: Any, weight: Any, padding: Sides, groups: int, dtype: Any) -> Any:
    """Return the convolution, tap by tap, in `dtype`."""
    padded = pad(x.astype(dtype), padding)
    height, width = (n - weight.shape[2] + 1 for n in padded.shape[2:])
    y = np.zeros((len(x), len(weight), height, width), dtype)
    for inputs, filters, outputs in zip(
        *(np.split(padded, groups, 1), np.split(weight.astype(dtype), groups)),
        np.split(y, groups, 1),
        strict=True,
    ):
        for kh, kw in np.ndindex(weight.shape[2:]):
            seen = inputs[:, :, kh : kh + height, kw : kw + width]
            outputs += np.moveaxis(np.tensordot(filters[:, :, kh, kw], seen, (1, 1)), 0, 1)
    return y


def exact(x: Any, weight: Any, padding: Sides, groups: int = 1) -> Any:
    """Return the convolution in a type whose rounding is nothing to that of x."""
    wider = np.float64 if x.dtype == np.float32 else np.longdouble
    return correlate(x, weight, padding, groups, wider)


def winograd(x: Any, weight: Any, padding: Sides, groups: int, matrices: Transforms) -> Any:
    """Return the convolution by tiles, the first at the first output."""
    data, filters, result = matrices
    tile, side = result.shape
    padded = pad(x, padding)
    height, width = (n - side + tile for n in padded.shape[2:])
    padded = pad(padded, ((0, -height % tile), (0, -width % tile)))
    pixels = sliding_window_view(padded, (side, side), (2, 3))[:, :, ::tile, ::tile]
    transformed = np.moveaxis(data @ pixels @ data.T, 1, -1)  # (N, rows, columns, n, n, C)
    filters = np.moveaxis(filters @ weight @ filters.T, (0, 1), (-1, -2))  # (n, n, C / groups, OC)
    products = [
        d[..., np.newaxis, :] @ f
        for d, f in zip(
            np.split(transformed, groups, -1), np.split(filters, groups, -1), strict=True
        )
    ]
    sums = np.moveaxis(np.concatenate(products, -1)[..., 0, :], -1, 1)
    y = (result @ sums @ result.T).swapaxes(3, 4)
    batch, channels, rows, _, columns, _ = y.shape
    return y.reshape(batch, channels, rows * tile, columns * tile)[:, :, :height, :width]


def magnitude(x: Any, weight: Any, padding: Sides, tile: int, groups: int = 1) -> Any:
    """Return what bounds.winograd_bound calls so, without a bias."""
    matrices = transforms(tile, weight.shape[2]).absolute()
    operands = (abs(array.astype(np.float64)) for array in (x, weight))
    return winograd(*operands, padding, groups, matrices)


def gradient(dy: Any, x: Any, padding: Sides, groups: int, matrices: Transforms) -> Any:
    """Return the gradient of filters by tiles of dy, the first at its first pixel."""
    data, filters, result = matrices
    tile = filters.shape[1]
    sides = tuple((0, -n % tile) for n in dy.shape[2:])
    windows = []
    for images, size in ((pad(dy, sides), tile), (pad(pad(x, padding), sides), len(data))):
        seen = sliding_window_view(images, (size, size), (2, 3))
        windows.append(np.split(seen[:, :, ::tile, ::tile], groups, 1))
    sums = [
        np.einsum("nohwij,nchwij->ocij", filters @ g @ filters.T, data @ d @ data.T, optimize=True)
        for g, d in zip(*windows, strict=True)
    ]
    dweight: Any = result @ np.concatenate(sums) @ result.T
    return dweight


def assert_gradient_within(
    actual: Any, expected: Any, dy: Any, x: Any, case: Conv2dCase, *, certain: bool = False
) -> None:
    """Check a gradient of filters against bounds.winograd_bound."""
    taps = case.weight_shape[2]
    tile = 7 - taps
    operands = (abs(array.astype(np.float64)) for array in (dy, x))
    size = gradient(*operands, case.padding, case.groups, transforms(taps, tile).absolute())
    tiles = len(dy) * math.prod(-(-n // tile) for n in dy.shape[2:])
    limit = bounds.winograd_bound(size, tiles, actual.dtype, taps=tile, certain=certain)
    assert_below(abs(actual - expected), limit)


def largest_of_tiles(values: Any, tile: int) -> Any:
    """Return for each output the largest value of its tile."""
    height, width = values.shape[2:]
    padded = pad(values, ((0, -height % tile), (0, -width % tile)))
    batch, channels, rows, columns = padded.shape
    tiles = padded.reshape(batch, channels, rows // tile, tile, columns // tile, tile)
    largest = tiles.max((3, 5)).repeat(tile, 2).repeat(tile, 3)
    return largest[:, :, :height, :width]


def transposed(weight: Any, padding: Sides, groups: int) -> tuple[Any, Sides]:
    """Return the filters and the padding of the convolution that takes dy to dx."""
    filters = [part.swapaxes(0, 1)[:, :, ::-1, ::-1] for part in np.split(weight, groups)]
    (top, bottom), (left, right), reach = *padding, weight.shape[2] - 1
    return np.concatenate(filters), ((reach - top, reach - bottom), (reach - left, reach - right))


def assert_within(
    actual: Any, expected: Any, size: Any, weight: Any, *, certain: bool = False
) -> None:
    """Check against bounds.winograd_bound, where `size` is the magnitude."""
    _, channels, taps, _ = weight.shape
    limit = bounds.winograd_bound(size, channels, actual.dtype, taps=taps, certain=certain)
    assert_below(abs(actual - expected), limit)


def assert_below(error: Any, limit: Any) -> None:
    assert error.shape == limit.shape
    if not (error <= limit).all():
        share = np.max(error / np.where(limit > 0, limit, np.finfo(float).tiny))
        pytest.fail(f"{share:.2f} times the bound")


# --- operands -----------------------------------------------------------------------------------


def exact_operands(case: Conv2dCase, seed: int, dtype: Any = None) -> list[Any]:
    """Return x, weight, bias and dy with which F(2x2, 3x3) does not round, in either direction.

    Its filter transform halves twice: taps are multiples of 4. With |x| <= X and taps of at most
    4·W a transformed pixel is at most 4·X and a transformed tap 9·W, and so are the sums on the way
    to them; their products are summed over the channels, and 3 x 3 of these sums make an output.
    For other tiles they are small integers.
    """
    rng = np.random.default_rng(seed)
    out_channels, channels, *_ = case.weight_shape
    terms = 4 * 9 * 9 * max(channels, out_channels // case.groups) + 1
    shapes = (case.x_shape, case.weight_shape, case.weight_shape[:1], case.y_shape)
    x, weight, bias, dy = (
        exact_integers(rng, shape, dtype or case.dtype, terms=terms) for shape in shapes
    )
    return [x, 4 * weight, bias, dy]


Draw = Callable[[np.random.Generator, tuple[int, ...]], Any]


def _scaled(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Return normal numbers, rows and columns of every channel scaled by powers of two."""
    size = [*shape[:2], shape[2], 1], [*shape[:2], 1, shape[3]]
    exponents = sum(rng.integers(-10, 11, axes) for axes in size)
    return np.ldexp(rng.standard_normal(shape), exponents)


def _channels_scaled(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return np.ldexp(rng.standard_normal(shape), rng.integers(-20, 21, (1, shape[1], 1, 1)))


DATA: dict[str, Draw] = {
    **{name: draw for name, draw in winograd_accuracy.DATA.items() if name != "badly scaled"},
    "channels scaled": _channels_scaled,
    "pixels scaled": _scaled,
}
"""Kinds of images, as functions of a generator and a shape."""


# --- cases --------------------------------------------------------------------------------------


def with_filters(case: Conv2dCase, taps: int) -> Conv2dCase:
    """Return the case with 3x3 filters, or with 5x5 and a pixel more of padding on every side."""
    more = (taps - 3) // 2
    (top, bottom), (left, right) = case.padding
    return replace(
        case,
        weight_shape=(*case.weight_shape[:2], taps, taps),
        padding=((top + more, bottom + more), (left + more, right + more)),
    )


def same(*shape: int, out_channels: int, groups: int = 1) -> Conv2dCase:
    """3x3 filters, a pixel of padding on every side."""
    weight_shape = (out_channels, shape[1] // groups, 3, 3)
    return make_case(shape, weight_shape, padding=((1, 1), (1, 1)), groups=groups)


# Around 8 and 16 tiles in a vector, channels in a block, and blocks of tiles: where the engine may
# change course.
CASES = {
    "one pixel": same(1, 1, 1, 1, out_channels=1),
    "one tile": same(1, 7, 4, 4, out_channels=16),
    "one tile and a pixel": same(1, 16, 5, 5, out_channels=7),
    "7x7": same(3, 17, 7, 7, out_channels=64),
    "many images of one tile": same(33, 8, 3, 4, out_channels=17),
    "many channels, one tile": same(1, 300, 4, 3, out_channels=200),
    "more channels out than in": same(1, 2, 9, 14, out_channels=300),
    "more channels in than out": same(2, 300, 6, 9, out_channels=1),
    "blocks of channels": same(2, 257, 8, 8, out_channels=65),
    "31 wide": same(1, 5, 9, 31, out_channels=7),
    "32 wide": same(2, 5, 8, 32, out_channels=7),
    "33 wide": same(1, 5, 7, 33, out_channels=7),
    "63 wide": same(1, 3, 5, 63, out_channels=16),
    "65 wide": same(2, 3, 6, 65, out_channels=17),
    "129 wide": same(1, 3, 5, 129, out_channels=5),
    "wide": same(1, 3, 3, 1107, out_channels=5),
    "tall": same(1, 3, 1107, 3, out_channels=5),
    "14x14": same(4, 33, 14, 14, out_channels=34),
    "28x28": same(1, 64, 28, 28, out_channels=64),
    "groups": same(2, 21, 13, 11, out_channels=27, groups=3),
    "depthwise": same(2, 9, 10, 35, out_channels=9, groups=9),
    "no images": same(0, 3, 5, 6, out_channels=4),
    "no output channels": same(2, 3, 5, 6, out_channels=0),
    "padded by more than the filter": make_case(
        (2, 3, 5, 6), (4, 3, 3, 3), padding=((4, 7), (9, 3))
    ),
    "padded by a vector": make_case((1, 2, 3, 2), (3, 2, 3, 3), padding=((1, 1), (70, 71))),
    "one side padded": make_case((2, 3, 7, 6), (4, 3, 3, 3), padding=((0, 2), (3, 0))),
    "not padded": make_case((2, 6, 19, 22), (9, 6, 3, 3)),
}


def operands(case: Conv2dCase, seed: int, dtype: Any) -> list[Any]:
    """Return normal x, weight, bias and dy."""
    shapes = (case.x_shape, case.weight_shape, case.weight_shape[:1], case.y_shape)
    return normal(seed, *shapes, dtype=dtype)
