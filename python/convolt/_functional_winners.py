"""Max and min pooling for layers, which keep no more from forward to backward than they must.

The winners of a pooling say which elements of their windows the extrema are. What they look like is
between a forward pass and its backward pass: one byte each, the number kh * KW + kw of the tap, or
int64 indices as of :func:`convolt.max_pool2d` where the window has more than 255 taps.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from convolt._arguments import Padding, Pair
from convolt._arrays import operand, winners_operand
from convolt._engine import engine
from convolt._functional_pool import Shape, extremum_pool2d, pool_window
from convolt._padding import image_shape


def max_pool2d_winners(
    x: NDArray[Any],
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the result of :func:`convolt.max_pool2d` and the winners, both (N, C, OH, OW).

    Examples
    --------
    >>> import numpy as np
    >>> max_pool2d_winners(np.array([[[[1.0, 2.0], [4.0, 3.0]]]]), 2)
    (array([[[[4.]]]]), array([[[[2]]]], dtype=uint8))
    """
    window = (kernel_size, stride, padding, dilation, ceil_mode)
    result: tuple[NDArray[Any], NDArray[Any]] = extremum_pool2d("max_pool2d", x, *window, "winners")
    return result


def min_pool2d_winners(
    x: NDArray[Any],
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the result of :func:`convolt.min_pool2d` and the winners, both (N, C, OH, OW)."""
    window = (kernel_size, stride, padding, dilation, ceil_mode)
    result: tuple[NDArray[Any], NDArray[Any]] = extremum_pool2d("min_pool2d", x, *window, "winners")
    return result


def max_pool2d_winners_backward(
    dy: NDArray[Any],
    winners: NDArray[Any],
    input_shape: Shape,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
) -> NDArray[Any]:
    """Return dx (N, C, H, W): each entry of `dy` (N, C, OH, OW) at the winner of its window."""
    function = "max_pool2d_backward"
    dy = operand(dy, "dy", function)
    shape = image_shape(input_shape, "input_shape", function)
    window = pool_window(function, shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    winners = winners_operand(winners, function, like=dy)
    dx: NDArray[Any] = engine(dy).pool2d_winners_backward(
        function, dy, winners, shape, *window, ceil_mode
    )
    return dx


min_pool2d_winners_backward = max_pool2d_winners_backward
