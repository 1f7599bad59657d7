"""Windows of padded images, and their adjoint: what every reference operator is made of."""

from __future__ import annotations

from types import EllipsisType
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from convolt._arguments import Padding, Pads, Pair, pair, resolve_conv, resolve_pool
from convolt._padding import effective_size

# Infinities and NaNs follow the rules of IEEE 754, in silence.
quiet = np.errstate(over="ignore", invalid="ignore")


class Window(NamedTuple):
    """Where the windows of an operator lie, in normal form: (vertical, horizontal) pairs."""

    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pads: Pads
    output_size: tuple[int, int]

    def padded_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the extent of the padded image, with what the last window needs beyond it."""
        top, bottom, left, right = self.pads
        needed_h, needed_w = (
            (o - 1) * s + effective_size(k, d)
            for o, s, k, d in zip(
                self.output_size, self.stride, self.kernel_size, self.dilation, strict=True
            )
        )
        return max(top + height + bottom, needed_h), max(left + width + right, needed_w)

    def starts(self, axis: int) -> NDArray[np.int64]:
        """Return the first pixel of every window along an axis, negative in the padding."""
        # In Python's integers: a single window may come with a stride beyond int64.
        stride, before = self.stride[axis], self.pads[2 * axis]
        return np.array([i * stride - before for i in range(self.output_size[axis])], np.int64)

    def first_pixels(self, axis: int) -> NDArray[np.int64]:
        """Return the first pixel of every window along an axis that is not padding."""
        dilation = self.dilation[axis]
        starts = self.starts(axis).tolist()
        return np.array([start % dilation if start < 0 else start for start in starts], np.int64)

    def tap(self, row: int, column: int) -> tuple[EllipsisType, slice, slice]:
        """Return the pixels of padded images that meet one kernel element, one per output."""
        first_h, first_w = row * self.dilation[0], column * self.dilation[1]
        last_h = first_h + (self.output_size[0] - 1) * self.stride[0]
        last_w = first_w + (self.output_size[1] - 1) * self.stride[1]
        rows = slice(first_h, last_h + 1, self.stride[0])
        columns = slice(first_w, last_w + 1, self.stride[1])
        return ..., rows, columns


def conv_window(
    input_size: tuple[int, int],
    kernel_size: Any,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    function: str,
    *,
    strict: bool = False,
) -> Window:
    """Return the windows of a convolution."""
    kernel = pair(kernel_size, "kernel_size", function)
    steps = pair(stride, "stride", function)
    spacing = pair(dilation, "dilation", function)
    pads, output_size = resolve_conv(
        input_size, kernel, steps, padding, spacing, function, strict=strict
    )
    return Window(kernel, steps, spacing, pads, output_size)


def pool_window(
    input_size: tuple[int, int],
    kernel_size: Pair,
    stride: Pair | None,
    padding: Padding,
    dilation: Pair,
    ceil_mode: bool,
    function: str,
    *,
    strict: bool = False,
) -> Window:
    """Return the windows of a pooling, whose stride is the kernel size where it is ``None``."""
    kernel = pair(kernel_size, "kernel_size", function)
    steps = kernel if stride is None else pair(stride, "stride", function)
    spacing = pair(dilation, "dilation", function)
    pads, output_size = resolve_pool(
        input_size, kernel, steps, padding, spacing, ceil_mode, function, strict=strict
    )
    return Window(kernel, steps, spacing, pads, output_size)


def pad(x: NDArray[Any], window: Window, value: float = 0.0) -> NDArray[Any]:
    """Return x with `value` around it, so that every window lies inside."""
    batch, channels, height, width = x.shape
    size = window.padded_size(height, width)
    if size == (height, width):
        return x
    top, _, left, _ = window.pads
    padded = np.full((batch, channels, *size), value, x.dtype)
    padded[:, :, top : top + height, left : left + width] = x
    return padded


def windows(x: NDArray[Any], window: Window) -> NDArray[Any]:
    """Return a view of every window of the zero-padded x, (N, C, OH, OW, KH, KW)."""
    covered = tuple(map(effective_size, window.kernel_size, window.dilation))
    every_position = sliding_window_view(pad(x, window), covered, axis=(2, 3))
    _, rows, columns = window.tap(0, 0)
    return every_position[:, :, rows, columns, :: window.dilation[0], :: window.dilation[1]]


def scatter(values: NDArray[Any], height: int, width: int, window: Window) -> NDArray[Any]:
    """Return the adjoint of :func:`windows`: add each value to the pixel that it was read from.

    `values` is (N, C, OH, OW, KH, KW), the result (N, C, height, width). What falls on padding is
    dropped.
    """
    padded = np.zeros((*values.shape[:2], *window.padded_size(height, width)), values.dtype)
    for kh, kw in np.ndindex(window.kernel_size):
        padded[window.tap(kh, kw)] += values[..., kh, kw]
    top, _, left, _ = window.pads
    return np.ascontiguousarray(padded[:, :, top : top + height, left : left + width])
