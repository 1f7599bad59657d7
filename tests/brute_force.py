"""The operators as loops over single numbers, in exact order of their formulas.

Slow and obvious: the yardstick of :mod:`convolt.reference`. Everything is computed in Python's
float64, on tiny arrays.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strategies import Conv2dCase, Pool2dCase, covered

Array = NDArray[Any]


def conv2d(case: Conv2dCase, x: Array, weight: Array, dy: Array) -> tuple[Array, Array, Array]:
    """Return y without bias, dx and dweight: one product of each for every (pixel, tap)."""
    y, dx, dweight = np.zeros(case.y_shape), np.zeros(x.shape), np.zeros(weight.shape)
    channels = weight.shape[1]
    out_channels = weight.shape[0] // case.groups
    for n, oc, oh, ow in np.ndindex(case.y_shape):
        for c, kh, kw in np.ndindex(weight.shape[1:]):
            ic = oc // out_channels * channels + c
            ih = oh * case.stride[0] - case.padding[0][0] + kh * case.dilation[0]
            iw = ow * case.stride[1] - case.padding[1][0] + kw * case.dilation[1]
            if 0 <= ih < x.shape[2] and 0 <= iw < x.shape[3]:
                y[n, oc, oh, ow] += weight[oc, c, kh, kw] * x[n, ic, ih, iw]
                dx[n, ic, ih, iw] += weight[oc, c, kh, kw] * dy[n, oc, oh, ow]
                dweight[oc, c, kh, kw] += x[n, ic, ih, iw] * dy[n, oc, oh, ow]
    return y, dx, dweight


def im2col(case: Conv2dCase, x: Array) -> Array:
    """Return the windows as (N, OH, OW, C, KH, KW)."""
    col = np.zeros((x.shape[0], *case.output_size, x.shape[1], *case.weight_shape[2:]))
    for n, oh, ow, c, kh, kw in np.ndindex(col.shape):
        ih = oh * case.stride[0] - case.padding[0][0] + kh * case.dilation[0]
        iw = ow * case.stride[1] - case.padding[1][0] + kw * case.dilation[1]
        if 0 <= ih < x.shape[2] and 0 <= iw < x.shape[3]:
            col[n, oh, ow, c, kh, kw] = x[n, c, ih, iw]
    return col


def col2im(case: Conv2dCase, col: Array) -> Array:
    """Return the images to which the windows (N, OH, OW, C, KH, KW) add up."""
    x = np.zeros(case.x_shape)
    for n, oh, ow, c, kh, kw in np.ndindex(col.shape):
        ih = oh * case.stride[0] - case.padding[0][0] + kh * case.dilation[0]
        iw = ow * case.stride[1] - case.padding[1][0] + kw * case.dilation[1]
        if 0 <= ih < x.shape[2] and 0 <= iw < x.shape[3]:
            x[n, c, ih, iw] += col[n, oh, ow, c, kh, kw]
    return x


def pool_starts(case: Pool2dCase, axis: int) -> list[int]:
    """List where the windows of one axis start, in pixels of x.

    In floor mode those that end inside the padded input; in ceil mode one more where the last of
    them leaves something uncovered, unless it would start behind the image.
    """
    size, stride = case.x_shape[2 + axis], case.stride[axis]
    before, after = case.padding[axis]
    extent = covered(case.kernel_size[axis], case.dilation[axis])
    starts = []
    for start in itertools.count(-before, stride):
        fits = start + extent <= size + after
        uncovered = start == -before or start - stride + extent < size + after
        if not (fits or (case.ceil_mode and uncovered and start < size)):
            return starts
        starts.append(start)
    raise AssertionError("unreachable: the windows leave every image")


def window_positions(case: Pool2dCase, axis: int, start: int) -> list[int]:
    """List the positions of the taps of a window along one axis, padding included."""
    return [start + k * case.dilation[axis] for k in range(case.kernel_size[axis])]


def max_pool2d(case: Pool2dCase, x: Array) -> tuple[Array, Array]:
    """Return y and indices: the first NaN of a window, else its first maximum."""
    rows, columns = pool_starts(case, 0), pool_starts(case, 1)
    y = np.zeros((*x.shape[:2], len(rows), len(columns)))
    indices = np.zeros(y.shape, np.int64)
    for n, c, oh, ow in np.ndindex(y.shape):
        best = None
        for ih in window_positions(case, 0, rows[oh]):
            for iw in window_positions(case, 1, columns[ow]):
                if not (0 <= ih < x.shape[2] and 0 <= iw < x.shape[3]):
                    continue
                value = float(x[n, c, ih, iw])
                if best is None or value > best or (math.isnan(value) and not math.isnan(best)):
                    best = value
                    indices[n, c, oh, ow] = ih * x.shape[3] + iw
        assert best is not None, "a window without a pixel"
        y[n, c, oh, ow] = best
    return y, indices


def avg_pool2d(
    case: Pool2dCase, x: Array, dy: Array, count_include_pad: bool, divisor_override: int | None
) -> tuple[Array, Array]:
    """Return y and dx."""
    rows, columns = pool_starts(case, 0), pool_starts(case, 1)
    (_, bottom), (_, right) = case.padding
    y, dx = np.zeros((*x.shape[:2], len(rows), len(columns))), np.zeros(x.shape)
    for n, c, oh, ow in np.ndindex(y.shape):
        taps = list(
            itertools.product(
                window_positions(case, 0, rows[oh]), window_positions(case, 1, columns[ow])
            )
        )
        inside = [(h, w) for h, w in taps if 0 <= h < x.shape[2] and 0 <= w < x.shape[3]]
        padded = [(h, w) for h, w in taps if h < x.shape[2] + bottom and w < x.shape[3] + right]
        divisor = divisor_override or len(padded if count_include_pad else inside)
        for ih, iw in inside:
            y[n, c, oh, ow] += x[n, c, ih, iw] / divisor
            dx[n, c, ih, iw] += dy[n, c, oh, ow] / divisor
    return y, dx
