"""Definition of the winners that the pooling layers keep, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convolt._arguments import Padding, Pair
from convolt._reference_max_pool import max_pool2d, max_pool2d_backward, min_pool2d
from convolt._reference_windows import Window, pool_window

Shape = tuple[int, int, int, int]


def _winners(indices: NDArray[np.int64], window: Window, width: int) -> NDArray[Any]:
    """Return kh * KW + kw of the pixels h * W + w as bytes, or `indices` where that is too much."""
    if window.kernel_size[0] * window.kernel_size[1] > 255:
        return indices
    h, w = np.divmod(indices, width)
    kh = (h - window.starts(0)[:, np.newaxis]) // window.dilation[0]
    kw = (w - window.starts(1)) // window.dilation[1]
    return (kh * window.kernel_size[1] + kw).astype(np.uint8)


def _indices(winners: NDArray[Any], window: Window, width: int) -> NDArray[Any]:
    """Return the inverse of `_winners`."""
    if window.kernel_size[0] * window.kernel_size[1] > 255:
        return winners
    kh, kw = np.divmod(winners.astype(np.int64), window.kernel_size[1])
    h = window.starts(0)[:, np.newaxis] + kh * window.dilation[0]
    indices: NDArray[Any] = h * width + window.starts(1) + kw * window.dilation[1]
    return indices


def max_pool2d_winners(
    x: NDArray[Any],
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the result of :func:`max_pool2d` and the winners, both (N, C, OH, OW).

    Examples
    --------
    >>> import numpy as np
    >>> max_pool2d_winners(np.array([[[[1.0, 2.0], [4.0, 3.0]]]]), 2)
    (array([[[[4.]]]]), array([[[[2]]]], dtype=uint8))
    """
    parameters = (kernel_size, stride, padding, dilation, ceil_mode)
    y, indices = max_pool2d(x, *parameters, return_indices=True)
    return y, _winners(indices, pool_window(x.shape[2:], *parameters, "max_pool2d"), x.shape[3])


def min_pool2d_winners(
    x: NDArray[Any],
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the result of :func:`min_pool2d` and the winners, both (N, C, OH, OW)."""
    parameters = (kernel_size, stride, padding, dilation, ceil_mode)
    y, indices = min_pool2d(x, *parameters, return_indices=True)
    return y, _winners(indices, pool_window(x.shape[2:], *parameters, "min_pool2d"), x.shape[3])


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
    parameters = (kernel_size, stride, padding, dilation, ceil_mode)
    window = pool_window(input_shape[2:], *parameters, "max_pool2d_backward")
    indices = _indices(winners, window, input_shape[3])
    return max_pool2d_backward(dy, indices, input_shape, *parameters)


min_pool2d_winners_backward = max_pool2d_winners_backward
