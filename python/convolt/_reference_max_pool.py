"""Definitions of the max and min poolings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convolt._arguments import Padding, Pair
from convolt._checks import as_float, check_flag, check_image, check_indices, check_shape
from convolt._padding import image_shape
from convolt._reference_windows import Window, pad, pool_window, quiet


def _max_pool(x: NDArray[Any], window: Window) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the maxima and their flat indices in the plane, the earliest where several tie.

    Padding is -inf and no tap replaces its equal, so it never wins: a window of -inf keeps the
    index of its first pixel, from which it starts.
    """
    width = x.shape[3]
    padded = pad(x, window, -np.inf)
    y = np.full((*x.shape[:2], *window.output_size), -np.inf, x.dtype)
    first = window.first_pixels(0)[:, np.newaxis] * width + window.first_pixels(1)
    indices = np.broadcast_to(first, y.shape).copy()
    rows, columns = window.starts(0)[:, np.newaxis], window.starts(1)
    for kh, kw in np.ndindex(window.kernel_size):
        tap = padded[window.tap(kh, kw)]
        better = (tap > y) | (np.isnan(tap) & ~np.isnan(y))
        position = (rows + kh * window.dilation[0]) * width + columns + kw * window.dilation[1]
        np.copyto(y, tap, where=better)
        np.copyto(indices, position, where=better)
    return y, indices


@quiet
def _add_at(
    dy: NDArray[Any], indices: Any, shape: tuple[int, int, int, int], function: str
) -> NDArray[Any]:
    """Return dx of the given shape: each dy added to the pixel that its index names."""
    batch, channels, height, width = shape
    checked = check_indices(indices, dy.shape, height * width, function)
    planes = np.arange(batch * channels, dtype=np.int64).reshape(batch, channels, 1, 1)
    pixels = (planes * (height * width) + checked).ravel()
    size = batch * channels * height * width
    sums: NDArray[Any] = np.bincount(pixels, weights=dy.ravel(), minlength=size)
    return sums.reshape(shape).astype(dy.dtype, copy=False)


def _extremum_backward(
    dy: NDArray[Any],
    indices: Any,
    input_shape: Any,
    parameters: tuple[Pair, Pair | None, Padding, Pair, bool],
    function: str,
) -> NDArray[Any]:
    dy = as_float(dy, "dy", function)
    shape = image_shape(input_shape, "input_shape", function)
    window = pool_window(shape[2:], *parameters, function)
    check_shape(dy, (*shape[:2], *window.output_size), "dy", function, "(N, C, OH, OW)")
    return _add_at(dy, indices, shape, function)


@quiet
def max_pool2d(
    x: NDArray[Any],
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    strict: bool = False,
) -> Any:
    """Maximum of every window.

    Padding never wins. The first of equal pixels wins, in row-major order; a NaN wins over every
    number, and the first NaN over the others.

    Parameters
    ----------
    x : ndarray, (N, C, H, W)
    kernel_size, stride, padding, dilation, ceil_mode, strict
        As in :func:`pool_output_size`.
    return_indices : bool
        Return where each maximum lies as well.

    Returns
    -------
    y : ndarray, (N, C, OH, OW)
    indices : ndarray of int64, (N, C, OH, OW)
        h*W + w of each maximum in its plane of x; only with `return_indices`.

    References
    ----------
    I. Goodfellow, Y. Bengio and A. Courville, "Deep Learning", section 9.3.

    Examples
    --------
    >>> import numpy as np
    >>> y, indices = max_pool2d(np.array([[[[1.0, 3.0, 2.0, 2.0]]]]), (1, 2), return_indices=True)
    >>> y.ravel(), indices.ravel()
    (array([3., 2.]), array([1, 2]))
    """
    function = "max_pool2d"
    check_flag(return_indices, "return_indices", function)
    x = as_float(x, "x", function)
    check_image(x, "x", function)
    parameters = (kernel_size, stride, padding, dilation, ceil_mode)
    y, indices = _max_pool(x, pool_window(x.shape[2:], *parameters, function, strict=strict))
    return (y, indices) if return_indices else y


def max_pool2d_backward(
    dy: NDArray[Any],
    indices: NDArray[Any],
    input_shape: tuple[int, int, int, int],
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
) -> NDArray[Any]:
    """Gradient of :func:`max_pool2d`: each dy goes to the pixel that won.

    Parameters
    ----------
    dy : ndarray, (N, C, OH, OW)
    indices : integer ndarray, (N, C, OH, OW)
        From the forward pass.
    input_shape : (N, C, H, W)
        Shape of the input of the forward pass.
    kernel_size, stride, padding, dilation, ceil_mode
        As in the forward pass.

    Returns
    -------
    ndarray, (N, C, H, W)
        Where windows that overlap share a winner, the sum of their dy.
    """
    function = "max_pool2d_backward"
    parameters = (kernel_size, stride, padding, dilation, ceil_mode)
    return _extremum_backward(dy, indices, input_shape, parameters, function)


@quiet
def min_pool2d(
    x: NDArray[Any],
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    strict: bool = False,
) -> Any:
    """Minimum of every window: -max_pool2d(-x), with its rules and parameters.

    Returns
    -------
    y : ndarray, (N, C, OH, OW)
    indices : ndarray of int64, (N, C, OH, OW)
        h*W + w of each minimum in its plane of x; only with `return_indices`.

    Examples
    --------
    >>> import numpy as np
    >>> min_pool2d(np.array([[[[1.0, 3.0, 2.0, 2.0]]]]), (1, 2)).ravel()
    array([1., 2.])
    """
    function = "min_pool2d"
    check_flag(return_indices, "return_indices", function)
    x = as_float(x, "x", function)
    check_image(x, "x", function)
    parameters = (kernel_size, stride, padding, dilation, ceil_mode)
    y, indices = _max_pool(-x, pool_window(x.shape[2:], *parameters, function, strict=strict))
    return (-y, indices) if return_indices else -y


def min_pool2d_backward(
    dy: NDArray[Any],
    indices: NDArray[Any],
    input_shape: tuple[int, int, int, int],
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
) -> NDArray[Any]:
    """Gradient of :func:`min_pool2d`, with the parameters of :func:`max_pool2d_backward`.

    Returns
    -------
    ndarray, (N, C, H, W)
    """
    function = "min_pool2d_backward"
    parameters = (kernel_size, stride, padding, dilation, ceil_mode)
    return _extremum_backward(dy, indices, input_shape, parameters, function)


def global_max_pool2d(x: NDArray[Any], return_indices: bool = False) -> Any:
    """Maximum of every plane, by the rules of :func:`max_pool2d`.

    Parameters
    ----------
    x : ndarray, (N, C, H, W)
    return_indices : bool
        Return where each maximum lies as well.

    Returns
    -------
    y : ndarray, (N, C, 1, 1)
    indices : ndarray of int64, (N, C, 1, 1)
        h*W + w of each maximum in its plane; only with `return_indices`.
    """
    function = "global_max_pool2d"
    check_flag(return_indices, "return_indices", function)
    x = as_float(x, "x", function)
    check_image(x, "x", function)
    batch, channels, height, width = x.shape
    planes = x.reshape(batch, channels, height * width)
    # argmax takes the first of equal values, and the first NaN before all.
    indices = planes.argmax(axis=2).astype(np.int64, copy=False)[:, :, np.newaxis]
    y = np.take_along_axis(planes, indices, axis=2)[..., np.newaxis]
    return (y, indices[..., np.newaxis]) if return_indices else y


def global_max_pool2d_backward(
    dy: NDArray[Any], indices: NDArray[Any], input_shape: tuple[int, int, int, int]
) -> NDArray[Any]:
    """Gradient of :func:`global_max_pool2d`: dy goes to the pixel that won.

    Parameters
    ----------
    dy : ndarray, (N, C, 1, 1)
    indices : integer ndarray, (N, C, 1, 1)
        From the forward pass.
    input_shape : (N, C, H, W)

    Returns
    -------
    ndarray, (N, C, H, W)
    """
    function = "global_max_pool2d_backward"
    dy = as_float(dy, "dy", function)
    shape = image_shape(input_shape, "input_shape", function)
    check_shape(dy, (*shape[:2], 1, 1), "dy", function, "(N, C, 1, 1)")
    return _add_at(dy, indices, shape, function)
