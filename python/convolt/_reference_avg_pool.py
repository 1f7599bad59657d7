"""Definitions of the average poolings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convolt._arguments import Padding, Pair
from convolt._checks import as_float, check_divisor, check_flag, check_image, check_shape
from convolt._padding import image_shape
from convolt._reference_windows import Window, pad, pool_window, quiet, scatter


def _divisor(
    size: tuple[int, ...],
    window: Window,
    count_include_pad: bool,
    divisor_override: int | None,
    function: str,
) -> NDArray[np.int64]:
    """Return what each window's sum is divided by, broadcastable to (OH, OW)."""
    check_flag(count_include_pad, "count_include_pad", function)
    divisor = check_divisor(divisor_override, function)
    if divisor:
        return np.array(divisor)
    counts = []
    for axis in (0, 1):
        starts = window.starts(axis)
        ends = starts + window.kernel_size[axis]
        before, after = window.pads[2 * axis : 2 * axis + 2] if count_include_pad else (0, 0)
        counts.append(np.minimum(ends, size[axis] + after) - np.maximum(starts, -before))
    divisors: NDArray[np.int64] = np.multiply.outer(counts[0], counts[1])
    return divisors


@quiet
def avg_pool2d(
    x: NDArray[Any],
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    strict: bool = False,
) -> NDArray[Any]:
    """Sum of every window over its divisor.

    Parameters
    ----------
    x : ndarray, (N, C, H, W)
    kernel_size, stride, padding, ceil_mode, strict
        As in :func:`pool_output_size`.
    count_include_pad : bool
        Divide by the number of pixels and padding in the window, instead of the pixels alone.
        What a window of `ceil_mode` covers beyond the padding never counts.
    divisor_override : int or None
        Divide by this number instead; not 0.

    Returns
    -------
    ndarray, (N, C, OH, OW)

    References
    ----------
    I. Goodfellow, Y. Bengio and A. Courville, "Deep Learning", section 9.3.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(1.0, 7.0).reshape(1, 1, 1, 6)
    >>> avg_pool2d(x, (1, 3), stride=(1, 2), ceil_mode=True).ravel()
    array([2. , 4. , 5.5])
    """
    function = "avg_pool2d"
    x = as_float(x, "x", function)
    check_image(x, "x", function)
    parameters = (kernel_size, stride, padding, 1, ceil_mode)
    window = pool_window(x.shape[2:], *parameters, function, strict=strict)
    divisor = _divisor(x.shape[2:], window, count_include_pad, divisor_override, function)
    padded = pad(x, window)
    y = np.zeros((*x.shape[:2], *window.output_size), x.dtype)
    for tap in np.ndindex(window.kernel_size):
        y += padded[window.tap(*tap)]
    y /= divisor.astype(x.dtype)
    return y


@quiet
def avg_pool2d_backward(
    dy: NDArray[Any],
    input_shape: tuple[int, int, int, int],
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> NDArray[Any]:
    """Gradient of :func:`avg_pool2d`: dy over the divisor, to every pixel of the window.

    Parameters
    ----------
    dy : ndarray, (N, C, OH, OW)
    input_shape : (N, C, H, W)
        Shape of the input of the forward pass.
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        As in the forward pass.

    Returns
    -------
    ndarray, (N, C, H, W)
    """
    function = "avg_pool2d_backward"
    dy = as_float(dy, "dy", function)
    shape = image_shape(input_shape, "input_shape", function)
    parameters = (kernel_size, stride, padding, 1, ceil_mode)
    window = pool_window(shape[2:], *parameters, function)
    check_shape(dy, (*shape[:2], *window.output_size), "dy", function, "(N, C, OH, OW)")
    divisor = _divisor(shape[2:], window, count_include_pad, divisor_override, function)
    share = (dy / divisor.astype(dy.dtype))[..., np.newaxis, np.newaxis]
    return scatter(np.broadcast_to(share, (*dy.shape, *window.kernel_size)), *shape[2:], window)


@quiet
def global_avg_pool2d(x: NDArray[Any]) -> NDArray[Any]:
    """Mean of every plane.

    Parameters
    ----------
    x : ndarray, (N, C, H, W)

    Returns
    -------
    ndarray, (N, C, 1, 1)

    References
    ----------
    M. Lin, Q. Chen and S. Yan, "Network In Network", arXiv:1312.4400, section 3.2.
    """
    x = as_float(x, "x", "global_avg_pool2d")
    check_image(x, "x", "global_avg_pool2d")
    y: NDArray[Any] = x.sum(axis=(2, 3), keepdims=True)
    y /= x.shape[2] * x.shape[3]
    return y


def global_avg_pool2d_backward(
    dy: NDArray[Any], input_shape: tuple[int, int, int, int]
) -> NDArray[Any]:
    """Gradient of :func:`global_avg_pool2d`: dy / (H*W) at every pixel of the plane.

    Parameters
    ----------
    dy : ndarray, (N, C, 1, 1)
    input_shape : (N, C, H, W)

    Returns
    -------
    ndarray, (N, C, H, W)
    """
    function = "global_avg_pool2d_backward"
    dy = as_float(dy, "dy", function)
    shape = image_shape(input_shape, "input_shape", function)
    check_shape(dy, (*shape[:2], 1, 1), "dy", function, "(N, C, 1, 1)")
    dx: NDArray[Any] = np.broadcast_to(dy / (shape[2] * shape[3]), shape).copy()
    return dx
