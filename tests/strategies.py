"""Hypothesis strategies: valid problems, and arrays of exact integers.

Problems are drawn from the output backwards (output size, kernel, stride, dilation, padding), so
that every example is valid and none is filtered. Arrays come from a seed, so that shrinking moves
shapes and parameters instead of elements.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Array = NDArray[Any]
Sides = tuple[tuple[int, int], tuple[int, int]]

# Around the register tiles: 6, 8 and 14 rows of output channels, 8 to 32 pixels in a vector row.
CHANNELS = [1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 14, 15, 33]
WIDTHS = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65]
# With a 3 x 3 kernel, reductions of 252 to 585 elements straddle blocks of 256 and 512.
DEEP_CHANNELS = [28, 29, 57, 65]

# Of a group, on both sides; with fewer the transforms do not pay.
LEAST_WINOGRAD_CHANNELS = 8

MAX_MACS = 2**18
EXACT_LIMIT = 2**24
"""Every integer up to here is a float32."""

seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from([np.float32, np.float64])


def covered(kernel_size: int, dilation: int) -> int:
    """The extent of a dilated kernel."""
    return (kernel_size - 1) * dilation + 1


@dataclass(frozen=True)
class Conv2dCase:
    x_shape: tuple[int, int, int, int]
    weight_shape: tuple[int, int, int, int]
    stride: tuple[int, int]
    padding: Sides
    dilation: tuple[int, int]
    groups: int
    bias: bool
    dtype: type[np.floating[Any]]

    @property
    def output_size(self) -> tuple[int, int]:
        rows, columns = (
            (n + sum(sides) - covered(k, d)) // s + 1
            for n, sides, k, s, d in zip(
                self.x_shape[2:],
                self.padding,
                self.weight_shape[2:],
                self.stride,
                self.dilation,
                strict=True,
            )
        )
        return rows, columns

    @property
    def y_shape(self) -> tuple[int, int, int, int]:
        return (self.x_shape[0], self.weight_shape[0], *self.output_size)

    @property
    def may_be_winograd(self) -> bool:
        """Whether "auto" may take Winograd: never for a few channels, nor for float64."""
        out_channels, channels, *kernel = self.weight_shape
        return (
            (*kernel, *self.stride, *self.dilation) == (3, 3, 1, 1, 1, 1)
            and min(channels, out_channels // self.groups) >= LEAST_WINOGRAD_CHANNELS
            and self.dtype is np.float32
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """The keyword arguments of conv2d and conv2d_backward, with a direct algorithm."""
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
            "algorithm": "gemm" if self.may_be_winograd else "auto",
        }

    @property
    def terms(self) -> int:
        """The longest sum of any pass: over a window, its transpose, or all pixels."""
        out_channels, channels, *kernel = self.weight_shape
        taps = math.prod(kernel)
        pixels = self.x_shape[0] * math.prod(self.output_size)
        return max(channels * taps, out_channels // self.groups * taps, pixels) + 1


@dataclass(frozen=True)
class Pool2dCase:
    x_shape: tuple[int, int, int, int]
    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: Sides
    dilation: tuple[int, int]
    ceil_mode: bool
    dtype: type[np.floating[Any]]

    @property
    def output_size(self) -> tuple[int, int]:
        sizes = []
        for n, (before, after), k, s, d in zip(
            self.x_shape[2:],
            self.padding,
            self.kernel_size,
            self.stride,
            self.dilation,
            strict=True,
        ):
            span = n + before + after - covered(k, d)
            count = (-(-span // s) if self.ceil_mode else span // s) + 1
            sizes.append(count - (self.ceil_mode and (count - 1) * s >= n + before))
        return sizes[0], sizes[1]

    @property
    def y_shape(self) -> tuple[int, int, int, int]:
        return (*self.x_shape[:2], *self.output_size)

    @property
    def parameters(self) -> dict[str, Any]:
        """The keyword arguments of max_pool2d, min_pool2d and their backward."""
        return {**self.average_parameters, "dilation": self.dilation}

    @property
    def average_parameters(self) -> dict[str, Any]:
        """The keyword arguments of avg_pool2d and its backward; for cases without dilation."""
        return {
            "kernel_size": self.kernel_size,
            "stride": self.stride,
            "padding": self.padding,
            "ceil_mode": self.ceil_mode,
        }


def _input_size(needed: int, stride: int, minimum: int = 1) -> int:
    """`needed` pixels, or more in whole strides where the padding alone would do."""
    return needed + max(0, -(-(minimum - needed) // stride)) * stride


@st.composite
def conv2d_cases(draw: st.DrawFn, *, tiny: bool = False) -> Conv2dCase:
    """Convolutions; `tiny` ones suit loops over every product in Python."""
    batch = draw(st.sampled_from([1, 1, 2, 2 if tiny else 3, 0]))
    groups, channels, out_channels = draw(_channel_counts(tiny))
    sizes = st.integers(1, 3) if tiny else st.sampled_from([1, 2, 3, 3, 4, 5])
    kernel = (draw(sizes), draw(sizes))
    stride, dilation = draw(_pairs(1, 3)), draw(_pairs(1, 3))
    output = (draw(st.integers(1, 3)), draw(st.integers(1, 4) if tiny else st.sampled_from(WIDTHS)))
    if not tiny and channels == 1 and draw(st.booleans()):
        channels, kernel = draw(st.sampled_from(DEEP_CHANNELS)), (3, 3)
    padding, height_width = [], []
    for o, k, s, d in zip(output, kernel, stride, dilation, strict=True):
        sides = (draw(st.integers(0, covered(k, d) + 1)), draw(st.integers(0, covered(k, d) + 1)))
        ignored = draw(st.integers(0, s - 1))
        padding.append(sides)
        height_width.append(_input_size((o - 1) * s + covered(k, d) - sum(sides) + ignored, s))
    case = Conv2dCase(
        x_shape=(batch, channels * groups, *height_width),
        weight_shape=(out_channels * groups, channels, *kernel),
        stride=stride,
        padding=(padding[0], padding[1]),
        dilation=dilation,
        groups=groups,
        bias=draw(st.booleans()),
        dtype=draw(dtypes),
    )
    return _bounded(case)


@st.composite
def _channel_counts(draw: st.DrawFn, tiny: bool) -> tuple[int, int, int]:
    """Groups, and channels and output channels in each: one group, a few, or depthwise."""
    kind = draw(st.sampled_from(["whole", "whole", "groups", "depthwise"]))
    if kind == "whole":
        out_channels = st.integers(1, 3) if tiny else st.sampled_from(CHANNELS)
        return 1, draw(st.integers(1, 3 if tiny else 5)), draw(out_channels)
    if kind == "groups":
        out_channels = st.integers(1, 2 if tiny else 7)
        return draw(st.integers(2, 3)), draw(st.integers(1, 2)), draw(out_channels)
    return draw(st.integers(2, 3 if tiny else 9)), 1, draw(st.integers(1, 2))


@st.composite
def narrow_cases(draw: st.DrawFn) -> Conv2dCase:
    """Convolutions with few channels in a group, half of them of the windows with own kernels."""
    multiplier, channels = draw(st.sampled_from([(1, 1), (1, 1), (1, 1), (2, 1), (3, 2), (5, 4)]))
    groups = draw(st.integers(1, 5))
    dilation = (1, 1)
    if draw(st.booleans()):
        kernel = draw(st.sampled_from([(3, 3), (5, 5)]))
        stride = draw(st.sampled_from([(1, 1), (2, 2)]))
    else:
        kernel, stride, dilation = draw(_pairs(1, 7)), draw(_pairs(1, 3)), draw(_pairs(1, 3))
    output = (draw(st.integers(1, 10)), draw(st.sampled_from([*WIDTHS, 6, 14, 28])))
    padding, height_width = [], []
    for o, k, s, d in zip(output, kernel, stride, dilation, strict=True):
        sides = (draw(st.integers(0, covered(k, d) + 2)), draw(st.integers(0, covered(k, d) + 2)))
        ignored = draw(st.integers(0, s - 1))
        padding.append(sides)
        height_width.append(_input_size((o - 1) * s + covered(k, d) - sum(sides) + ignored, s))
    return Conv2dCase(
        x_shape=(draw(st.sampled_from([1, 1, 3, 0])), channels * groups, *height_width),
        weight_shape=(multiplier * groups, channels, *kernel),
        stride=stride,
        padding=(padding[0], padding[1]),
        dilation=dilation,
        groups=groups,
        bias=draw(st.booleans()),
        dtype=draw(dtypes),
    )


@st.composite
def winograd_cases(draw: st.DrawFn) -> Conv2dCase:
    """Convolutions with 3x3 filters and no stride, of sizes around those of a tile."""
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    channels, out_channels = draw(st.integers(1, 5)), draw(st.sampled_from([1, 2, 3, 7, 9, 17]))
    height, width = draw(st.integers(1, 13)), draw(st.integers(1, 13) | st.sampled_from(WIDTHS))
    padding = []
    for size in (height, width):
        before, after = draw(st.integers(0, 4)), draw(st.integers(0, 4))
        padding.append((before, max(after, 3 - before - size)))
    return Conv2dCase(
        x_shape=(draw(st.sampled_from([1, 1, 3, 0])), channels * groups, height, width),
        weight_shape=(out_channels * groups, channels, 3, 3),
        stride=(1, 1),
        padding=(padding[0], padding[1]),
        dilation=(1, 1),
        groups=groups,
        bias=draw(st.booleans()),
        dtype=draw(dtypes),
    )


def _pairs(smallest: int, largest: int) -> st.SearchStrategy[tuple[int, int]]:
    sizes = st.integers(smallest, largest)
    return st.tuples(sizes, sizes)


def _bounded(case: Conv2dCase) -> Conv2dCase:
    """Fewer images and output channels, where the case would be slow."""
    batch, *rest = case.x_shape
    out_channels, *filters = case.weight_shape
    macs = math.prod(case.output_size) * math.prod(filters)
    if batch * out_channels * macs > MAX_MACS:
        batch = min(batch, 1)
    if out_channels * macs > MAX_MACS and case.groups == 1:
        out_channels = max(1, MAX_MACS // macs)
    fields = {**vars(case), "x_shape": (batch, *rest), "weight_shape": (out_channels, *filters)}
    return Conv2dCase(**fields)


@st.composite
def pool2d_cases(draw: st.DrawFn, *, tiny: bool = False, dilated: bool = True) -> Pool2dCase:
    """Poolings, every window of which holds a pixel; `dilated=False` suits averages."""
    batch, channels = draw(st.sampled_from([1, 1, 2, 2, 0])), draw(st.integers(1, 3))
    kernel, stride = draw(_pairs(1, 4)), draw(_pairs(1, 4))
    dilation = draw(_pairs(1, 3)) if dilated else (1, 1)
    output = (draw(st.integers(1, 3)), draw(st.integers(1, 4) if tiny else st.sampled_from(WIDTHS)))
    padding, height_width = [], []
    for o, k, s, d in zip(output, kernel, stride, dilation, strict=True):
        side = st.integers(0, covered(k, d) - 1)
        sides = (draw(side), draw(side))
        ignored = draw(st.integers(0, s - 1))
        padding.append(sides)
        # With at least `dilation` pixels no window can step over the whole image.
        needed = (o - 1) * s + covered(k, d) - sum(sides) + ignored
        height_width.append(_input_size(needed, s, minimum=d))
    return Pool2dCase(
        x_shape=(batch, channels, height_width[0], height_width[1]),
        kernel_size=kernel,
        stride=stride,
        padding=(padding[0], padding[1]),
        dilation=dilation,
        ceil_mode=draw(st.booleans()),
        dtype=draw(dtypes),
    )


@st.composite
def square_pool2d_cases(draw: st.DrawFn) -> Pool2dCase:
    """Windows of 2 x 2 and 3 x 3 with stride 1 or 2 and no dilation, over maps of any width."""
    kernel, stride = draw(st.integers(2, 3)), draw(st.integers(1, 2))
    side = st.integers(0, kernel - 1)
    padding = ((draw(side), draw(side)), (draw(side), draw(side)))
    height, width = (
        draw(st.integers(max(1, kernel - sum(sides)), most))
        for sides, most in zip(padding, (9, 40), strict=True)
    )
    return Pool2dCase(
        x_shape=(draw(st.integers(1, 3)), draw(st.integers(1, 5)), height, width),
        kernel_size=(kernel, kernel),
        stride=(stride, stride),
        padding=padding,
        dilation=(1, 1),
        ceil_mode=draw(st.booleans()),
        dtype=draw(dtypes),
    )


def exact_integers(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: Any, *, terms: int = 1
) -> Array:
    """Integers, a quarter of them zeros, whose sums of products are exact in any order.

    A sum of `terms` products of two such numbers, or any part of it, stays below 2**24 in
    magnitude and is therefore a float32 as it stands.
    """
    largest = min(8, math.isqrt((EXACT_LIMIT - 1) // max(terms, 1)))
    if largest < 1:
        raise ValueError(f"exact_integers: terms must be below 2**24, got {terms}")
    values = rng.integers(-largest, largest, size=shape, endpoint=True)
    return np.where(rng.random(shape) < 0.25, 0, values).astype(dtype)


class Conv2dOperands(NamedTuple):
    x: Array
    weight: Array
    bias: Array | None
    dy: Array


def conv2d_operands(case: Conv2dCase, seed: int) -> Conv2dOperands:
    """Exact integers for the forward pass and all gradients of a case."""
    rng = np.random.default_rng(seed)
    bias_shape = case.weight_shape[:1]
    x, weight, bias, dy = (
        exact_integers(rng, shape, case.dtype, terms=case.terms)
        for shape in (case.x_shape, case.weight_shape, bias_shape, case.y_shape)
    )
    return Conv2dOperands(x, weight, bias if case.bias else None, dy)
